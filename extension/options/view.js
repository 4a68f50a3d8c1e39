// @ts-check

/**
 * @typedef {import("../snapshot.js").Snapshot} Snapshot
 * @typedef {import("../shared/text.js").Text} Text
 * @typedef {{ pageVisits: number, tabAggregates: number }} Counts
 * @typedef {{ name: Text, value: number | Text, unit: "number" | "bytes" | "seconds" | "span" | "moment" }} Fact
 * @typedef {{ name: Text, value: number, look: "good" | "waiting" | "bad" | "rest" }} Share
 * @typedef {{ title: Text, shares: Share[] }} Chart
 * @typedef {{ name: Text, counts: Counts, total: number }} Line
 */

/** Where a record can be, in the order of the table. */
const PLACES = /** @type {const} */ ([
  "acknowledged",
  "pending",
  "parked",
  "quarantined",
  "archived",
  "discarded",
  "unrecoverable",
]);

/**
 * The books as a table: a line for each place, their sum, what was recorded, and whether the two agree.
 *
 * @param {Snapshot} snapshot
 */
export function booksOf(snapshot) {
  const lines = PLACES.map((place) => line(`place_name_${place}`, snapshot[place]));
  const sum = line("sum", {
    pageVisits: lines.reduce((total, { counts }) => total + counts.pageVisits, 0),
    tabAggregates: lines.reduce((total, { counts }) => total + counts.tabAggregates, 0),
  });
  const captured = line("captured", snapshot.captured);
  const balances =
    sum.counts.pageVisits === captured.counts.pageVisits &&
    sum.counts.tabAggregates === captured.counts.tabAggregates;
  return { lines, sum, captured, balances };
}

/** @param {string} key @param {Counts} counts @returns {Line} */
function line(key, counts) {
  return { name: { key }, counts, total: counts.pageVisits + counts.tabAggregates };
}

/** Days of a comparison that are shown, the latest. */
const MOST_DAYS = 30;

/**
 * What a comparison with the server has found, and what could be sent now.
 *
 * @param {import("../../pkg/heyho_sync.js").Reconciliation} found
 * @param {Snapshot} snapshot
 * @returns {{ right: boolean, result: Text, notes: Text[], here: number,
 *   days: { day: number, counts: Counts, total: number }[] }}
 */
export function comparisonOf({ reason, acknowledged, compared, erased, there, days }, snapshot) {
  const differing = [...days]
    .sort((one, other) => other.day - one.day)
    .map(({ day, missing, older }) => {
      const counts = {
        pageVisits: missing.pageVisits + older.pageVisits,
        tabAggregates: missing.tabAggregates + older.tabAggregates,
      };
      return { day, counts, total: together(counts) };
    });
  const lost = differing.reduce((sum, { total }) => sum + total, 0);
  const here = [snapshot.pending, snapshot.quarantined, snapshot.archived].reduce(
    (sum, counts) => sum + together(counts),
    0,
  );
  const unknown = together(acknowledged) - together(compared);
  /** @param {boolean} applies @param {string} key @param {number[]} values @returns {Text[]} */
  const note = (applies, key, ...values) => (applies ? [{ key, values }] : []);
  return {
    right: reason === null && lost === 0,
    result: resultOf(reason, together(compared), lost),
    notes: [
      ...note(differing.length > MOST_DAYS, "moreDays", differing.length - MOST_DAYS),
      ...note(lost > 0, "lostThere"),
      ...note(reason === null && unknown > 0, "notKnownAnyMore", unknown),
      ...note(together(erased) > 0, "erasedThere", together(erased)),
      ...(there ? note(true, "inAllThere", there.pageVisits, there.tabAggregates) : []),
      ...note(here > 0, "stillHere", here),
    ],
    days: differing.slice(0, MOST_DAYS),
    here,
  };
}

/** @param {string | null} reason @param {number} compared @param {number} lost @returns {Text} */
function resultOf(reason, compared, lost) {
  if (reason !== null) return { key: `notCompared_${reason.replaceAll(" ", "_")}` };
  if (lost > 0) return { key: "comparedDiffers", values: [lost, compared] };
  return compared > 0 ? { key: "comparedRight", values: [compared] } : { key: "comparedNothing" };
}

/** @param {Counts} counts */
const together = ({ pageVisits, tabAggregates }) => pageVisits + tabAggregates;

/**
 * What is checked, and how it stands.
 *
 * @param {Snapshot} snapshot
 * @returns {{ right: boolean, text: Text }[]}
 */
export function checksOf({ health, serverAllowed, problem, room, metrics }) {
  /** @param {boolean} right @param {string} key */
  const check = (right, key) => ({ right, text: { key: `${key}${right ? "Right" : "Wrong"}` } });
  return [
    check(health.booksBalance && health.balanced, "checkBooks"),
    check(health.missing + health.unreadable === 0, "checkRows"),
    check(health.orphans === 0, "checkOrphans"),
    check(!health.retryOverdue && !health.stuckLock, "checkSchedule"),
    check(serverAllowed, "checkServer"),
    check(problem?.code !== "storage", "checkStorage"),
    check(!room?.pressure, "checkRoom"),
    check(!metrics.alerts.includes("success_rate"), "checkUploads"),
    check(!metrics.alerts.includes("quarantined"), "checkRefused"),
  ];
}

/**
 * What a look at says more than numbers: where the records are, and how the last uploads ended. Nothing is drawn of
 * nothing.
 *
 * @param {Snapshot} snapshot
 * @returns {Chart[]}
 */
export function chartsOf(snapshot) {
  /** @param {Share["look"]} look @param {string} name @param {(typeof PLACES)[number][]} places @returns {Share} */
  const share = (look, name, ...places) => ({
    name: { key: name },
    value: places.reduce((sum, place) => sum + together(snapshot[place]), 0),
    look,
  });
  const { uploads, successRate, networkErrors } = snapshot.metrics;
  const stored = Math.round((successRate ?? 0) * uploads);
  const charts = [
    {
      title: { key: "chartRecords" },
      shares: [
        share("good", "place_name_acknowledged", "acknowledged"),
        share("waiting", "place_name_pending", "pending", "parked"),
        share("bad", "chartAside", "quarantined", "archived"),
        share("rest", "chartGone", "discarded", "unrecoverable"),
      ],
    },
    {
      title: { key: "chartUploads", values: [uploads] },
      shares: [
        { name: { key: "uploadsStored" }, value: stored, look: "good" },
        { name: { key: "uploadsUnanswered" }, value: networkErrors, look: "waiting" },
        { name: { key: "uploadsFailed" }, value: uploads - stored - networkErrors, look: "bad" },
      ],
    },
  ];
  return /** @type {Chart[]} */ (charts).filter(({ shares }) => shares.some(({ value }) => value > 0));
}

/**
 * When the rows were counted, what they take, and the last sync that found work, in figures.
 *
 * @param {Snapshot} snapshot
 * @returns {Fact[]}
 */
export function factsOf({ lastReport, health: { checkedAt }, room, metrics }) {
  /** @type {Fact[]} */
  const counted = checkedAt ? [{ name: { key: "factChecked" }, value: checkedAt, unit: "moment" }] : [];
  /** @type {Fact[]} */
  const kept = room
    ? [
        { name: { key: "factKept" }, value: room.usage, unit: "bytes" },
        { name: { key: "factRoom" }, value: Math.max(0, room.quota - room.usage), unit: "bytes" },
      ]
    : [];
  const { meanBatchMs, p95BatchMs } = metrics;
  /** @type {Fact[]} */
  const times =
    meanBatchMs === null || p95BatchMs === null
      ? []
      : [
          { name: { key: "factMeanTime" }, value: meanBatchMs, unit: "span" },
          { name: { key: "factSlowTime" }, value: p95BatchMs, unit: "span" },
        ];
  return [...counted, ...kept, ...times, ...(lastReport ? factsOfReport(lastReport) : [])];
}

/** @param {import("../../pkg/heyho_sync.js").SyncReport} lastReport @returns {Fact[]} */
function factsOfReport(lastReport) {
  const { attempted, created, updated, requests, retries, bytesSent, durationMs } = lastReport;
  return [
    { name: { key: "factDelivered" }, value: created + updated, unit: "number" },
    { name: { key: "factAttempted" }, value: attempted, unit: "number" },
    {
      name: { key: "factRequests" },
      value: { key: "requestsAndRetries", values: [requests, retries] },
      unit: "number",
    },
    { name: { key: "factBytes" }, value: bytesSent, unit: "bytes" },
    { name: { key: "factDuration" }, value: durationMs / 1000, unit: "seconds" },
  ];
}

/**
 * What waits for other servers, and whether it may be taken along.
 *
 * @param {Snapshot} snapshot
 */
export function elsewhereOf({ elsewhere, signedIn }) {
  return elsewhere.map(({ server, mayBeTaken, pageVisits, tabAggregates }) => ({
    server,
    text: { key: "waitsElsewhere", values: [pageVisits + tabAggregates, server] },
    mayBeTaken: mayBeTaken && signedIn,
  }));
}

/**
 * What servers have not yet confirmed to have erased.
 *
 * @param {Snapshot} snapshot
 * @returns {Text[][]} the sentences of each
 */
export function erasuresOf({ erasing }) {
  return erasing.map(({ site, server, unable, waitsForSignIn }) => [
    site === null
      ? { key: "erasingEverything", values: [server] }
      : { key: "erasingSite", values: [site, server] },
    ...(waitsForSignIn ? [{ key: "erasingSignIn" }] : []),
    ...(unable ? [{ key: "erasingUnable" }] : []),
  ]);
}

/** Whether the word was typed with which the user confirms that everything is to be erased. @param {string} typed @param {string} word */
export const confirms = (typed, word) => typed.trim().toLocaleLowerCase() === word.toLocaleLowerCase();
