// @ts-check

/**
 * @typedef {import("../shared/text.js").Text} Text
 *
 * What the popup shows, as plain values.
 *
 * @typedef {object} View
 * @property {"safe" | "waiting" | "syncing" | "signedOut" | "paused" | "trouble" | "consent" | "broken"} scene
 * @property {number} voyage how far the boat has come, 0 to 1
 * @property {Text} headline
 * @property {Text} detail
 * @property {boolean} asksConsent
 * @property {boolean} asksSignIn
 * @property {{ code: string, message: string } | null} problem
 * @property {"allow" | "settings" | null} remedy what the user can do about the problem here
 * @property {Text[] | null} room what is told of the room that is left, where that is little
 * @property {{ pending: Count, acknowledged: Count, quarantined: Count } | null} figures
 * @property {number} unclaimed records that were made signed out, where somebody is signed in who may take them
 * @property {number} archived records set aside for their age, where they could be sent again
 * @property {{ done: number, total: number, perSecond: number, secondsLeft: number | null } | null} progress
 * @property {number | null} lastSuccessAt milliseconds since the epoch
 * @property {number | Text | null} nextAttemptAt milliseconds since the epoch, or what must happen first
 * @property {boolean} canSync
 * @property {boolean} paused
 * @property {Text | null} account who is signed in, if somebody is
 * @property {string} serverUrl
 *
 * @typedef {{ total: number, pageVisits: number, tabAggregates: number }} Count
 */

/** The problem that a new sign-in solves, as the core names it. */
const SIGN_IN_AGAIN = "sign in again";

/** What the user can do about some problems, by the problem's name. @type {Record<string, View["remedy"]>} */
const REMEDIES = { not_granted: "allow", "wrong address": "settings", "insecure address": "settings" };

/** What is told to someone who has said no. */
const REFUSED = { headline: { key: "stateRefused" }, detail: { key: "detailRefused" } };

/**
 * Turns what the background tells into what is shown.
 *
 * @param {import("../snapshot.js").Snapshot} snapshot
 * @returns {View}
 */
export function viewOf(snapshot) {
  const { settings, state } = snapshot;
  const problem = problemOf(snapshot);
  const pending = count(snapshot.pending);
  const acknowledged = count(snapshot.acknowledged);
  const scene = sceneOf(snapshot, pending.total);
  const { quarantined, archived, parked } = snapshot;
  const withheld = [quarantined, archived, parked].reduce((sum, counts) => sum + count(counts).total, 0);
  const progress = state === "syncing" && snapshot.progress?.total ? snapshot.progress : null;
  const signedOut = state === "signedOut";
  return {
    scene,
    voyage: voyageOf(scene, pending.total, acknowledged.total, progress),
    ...words(scene, pending.total, acknowledged.total, progress),
    ...(withheld && scene === "safe"
      ? { headline: { key: "stateWithheld", values: [withheld] }, detail: { key: "detailWithheld" } }
      : {}),
    ...(settings.answeredAt && scene === "consent" ? REFUSED : {}),
    // A storage that takes nothing is the one trouble in which something is lost.
    ...(scene === "trouble" && problem?.code === "storage"
      ? { detail: { key: "detailFull", values: [pending.total] } }
      : {}),
    asksConsent: !settings.consent,
    asksSignIn: settings.consent && (signedOut || snapshot.problem?.code === SIGN_IN_AGAIN),
    problem: scene === "trouble" ? problem : null,
    remedy: REMEDIES[problem?.code ?? ""] ?? null,
    room: settings.consent ? roomOf(snapshot) : null,
    figures: settings.consent ? { pending, acknowledged, quarantined: count(snapshot.quarantined) } : null,
    unclaimed: settings.consent && snapshot.signedIn ? count(snapshot.unclaimed).total : 0,
    archived: settings.consent && !snapshot.problem && !signedOut ? count(snapshot.archived).total : 0,
    progress,
    lastSuccessAt: snapshot.lastSuccessAt,
    nextAttemptAt: nextAttempt(snapshot),
    canSync: settings.consent && !settings.paused && !signedOut && state !== "syncing",
    paused: settings.paused,
    account: snapshot.signedIn ? signedInAs(snapshot.email) : null,
    serverUrl: settings.serverUrl,
  };
}

/** @param {import("../snapshot.js").Snapshot} snapshot @param {number} pending @returns {View["scene"]} */
function sceneOf({ settings, state, problem }, pending) {
  if (!settings.consent) return "consent";
  if (settings.paused) return "paused";
  if (state === "syncing") return "syncing";
  if (state === "signedOut") return "signedOut";
  if (problem && state !== "idle") return "trouble";
  return pending ? "waiting" : "safe";
}

/**
 * The core can't tell a server that is away from one that the browser keeps it from; the browser's permissions do.
 *
 * @param {import("../snapshot.js").Snapshot} snapshot
 * @returns {View["problem"]}
 */
function problemOf({ problem, serverAllowed }) {
  const kept = problem?.code === "unreachable" && !serverAllowed;
  return kept ? { code: "not_granted", message: problem.message } : problem;
}

/** Says that somebody is signed in, and who, where the name is known. @param {string | null} email @returns {Text} */
export const signedInAs = (email) => (email ? { key: "signedInAs", values: [email] } : { key: "signedIn" });

/**
 * What is told where little room is left, before anything is refused for it: how little, and what helps.
 *
 * @param {import("../snapshot.js").Snapshot} snapshot
 * @returns {Text[] | null}
 */
export function roomOf({ room, pending, quarantined, archived }) {
  if (!room?.pressure) return null;
  const left = { key: `room_${room.pressure}`, bytes: Math.max(0, room.quota - room.usage) };
  const kept = [pending, quarantined, archived].reduce((sum, counts) => sum + count(counts).total, 0);
  return [left, { key: kept ? "roomHelpWaiting" : "roomHelp", values: kept ? [kept] : [] }];
}

/** @param {View["scene"]} scene @param {number} pending @param {number} acknowledged @param {View["progress"]} progress */
function voyageOf(scene, pending, acknowledged, progress) {
  if (scene === "safe") return acknowledged ? 1 : 0;
  if (scene === "syncing") return progress ? 0.15 + 0.75 * Math.min(1, progress.done / progress.total) : 0.3;
  if (scene === "trouble" || scene === "paused") return pending ? 0.45 : 0.6;
  return scene === "waiting" ? 0.15 : 0;
}

/**
 * @param {View["scene"]} scene @param {number} pending @param {number} acknowledged @param {View["progress"]} progress
 * @returns {{ headline: Text, detail: Text }}
 */
function words(scene, pending, acknowledged, progress) {
  switch (scene) {
    case "safe":
      return acknowledged
        ? { headline: { key: "stateSafe" }, detail: { key: "detailSafe" } }
        : { headline: { key: "stateEmpty" }, detail: { key: "detailEmpty" } };
    case "waiting":
      return { headline: { key: "stateWaiting", values: [pending] }, detail: { key: "detailWaiting" } };
    case "syncing":
      return {
        headline: { key: "stateSyncing" },
        detail: progress
          ? { key: "detailSyncing", values: [progress.done, progress.total] }
          : { key: "detailSyncingSoon" },
      };
    case "signedOut":
      return { headline: { key: "stateSignedOut" }, detail: { key: "detailSignedOut" } };
    case "paused":
      return { headline: { key: "statePaused" }, detail: { key: "detailPaused" } };
    case "trouble":
      return { headline: { key: "stateTrouble" }, detail: { key: "detailTrouble", values: [pending] } };
    case "consent":
      return { headline: { key: "stateConsent" }, detail: { key: "detailConsent" } };
    case "broken":
      return { headline: { key: "stateBroken" }, detail: { key: "detailBroken" } };
  }
}

/** @param {import("../snapshot.js").Snapshot} snapshot @returns {View["nextAttemptAt"]} */
function nextAttempt({ settings, state, problem, nextAttemptAt }) {
  if (settings.paused) return { key: "whenResumed" };
  if (state === "signedOut" || problem?.code === SIGN_IN_AGAIN) return { key: "whenNeeded" };
  return nextAttemptAt;
}

/** @param {{ pageVisits: number, tabAggregates: number }} perKind @returns {Count} */
const count = ({ pageVisits, tabAggregates }) => ({
  total: pageVisits + tabAggregates,
  pageVisits,
  tabAggregates,
});

/**
 * What is shown where the background doesn't answer, or the core can't be loaded.
 *
 * @param {{ code: string, message: string }} problem
 * @returns {View}
 */
export function brokenView(problem) {
  return {
    scene: "broken",
    voyage: 0.45,
    ...words("broken", 0, 0, null),
    asksConsent: false,
    asksSignIn: false,
    problem,
    remedy: null,
    room: null,
    figures: null,
    unclaimed: 0,
    archived: 0,
    progress: null,
    lastSuccessAt: null,
    nextAttemptAt: null,
    canSync: false,
    paused: false,
    account: null,
    serverUrl: "",
  };
}
