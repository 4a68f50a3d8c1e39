// @ts-check
import { browser } from "../browser.js";
import { patternOf } from "../permissions.js";
import { askTwice, ask, button, field, make, part, say, whatHelps, whatIsWrong } from "../shared/page.js";
import { exportAll } from "../shared/file.js";
import { onesToShow, setAsideView, whereaboutsView } from "../shared/record_view.js";
import { drawRecords } from "../shared/records.js";
import { drawScene } from "../shared/scene.js";
import { tellRoom } from "../shared/room.js";
import { ago, ahead, duration, number, translatePage, t } from "../shared/text.js";
import { serverAddress } from "../settings.js";
import { follow } from "../snapshot.js";
import { brokenView, viewOf } from "./view.js";

/**
 * @typedef {import("./view.js").View} View
 * @typedef {import("../shared/page.js").Problem} Problem
 */

/** How often the moments ("2 minutes ago") are told anew while the popup is open, in milliseconds. */
const RETELL_MS = 5_000;
/** Records in quarantine that are shown here; the settings show all. */
const MOST_SHOWN = 5;

const form = /** @type {HTMLFormElement} */ (part("sign-in-form"));
const quarantine = /** @type {HTMLDetailsElement} */ (part("quarantined"));
const syncNow = button("sync-now");
const progress = /** @type {HTMLProgressElement} */ (part("progress"));

/** @type {View | undefined} */
let shown;
/** @type {import("../snapshot.js").Snapshot | undefined} */
let latest;
/** What the user's last wish failed at. @type {Problem | null} */
let failed = null;

/** @param {View} view */
function show(view) {
  const refusedBefore = shown?.figures?.quarantined.total;
  shown = view;
  document.body.dataset.scene = view.scene;
  document.body.style.setProperty("--voyage", String(view.voyage));
  tell("state", t(view.headline));
  tell("state-detail", t(view.detail));
  tellProgress(view.progress);
  tellProblem(view);

  tellRoom(view.room);

  part("consent").hidden = !view.asksConsent;
  if (form.hidden && view.asksSignIn && !field("server-address").value)
    field("server-address").value = view.serverUrl;
  form.hidden = !view.asksSignIn;
  document.body.classList.toggle("asks-sign-in", view.asksSignIn);
  part("times").hidden = view.asksSignIn;
  syncNow.hidden = view.asksSignIn;

  part("figures").hidden = !view.figures;
  part("find").hidden = !view.figures;
  if (view.figures) {
    tellCount("pending", view.figures.pending);
    tellCount("acknowledged", view.figures.acknowledged);
  }
  const refused = view.figures?.quarantined.total ?? 0;
  quarantine.hidden = refused === 0;
  tell("quarantined-count", number(refused));
  if (quarantine.open && refused !== refusedBefore) void listQuarantine();
  part("unclaimed").hidden = view.unclaimed === 0;
  tell("unclaimed-count", number(view.unclaimed));
  part("archived").hidden = view.archived === 0;
  tell("archived-count", number(view.archived));
  tellMoments(view);

  syncNow.disabled = !view.canSync;
  say(syncNow, t({ key: view.scene === "syncing" ? "syncing" : "syncNow" }));
  part("pause").hidden = !view.figures;
  tell("pause", t({ key: view.paused ? "resume" : "pause" }));

  part("account").hidden = !view.account;
  part("sign-out").hidden = !view.account;
  tell("account-name", view.account ? t(view.account) : "");
  tell("account-server", view.serverUrl);
}

/** @param {View["progress"]} told */
function tellProgress(told) {
  part("progress-part").hidden = !told;
  if (!told) return;
  progress.max = told.total;
  progress.value = told.done;
  const { perSecond, secondsLeft } = told;
  const rate = perSecond >= 1 ? t({ key: "rate", values: [Math.round(perSecond)] }) : "";
  const left = secondsLeft === null ? "" : t({ key: "timeLeft", values: [duration(secondsLeft)] });
  tell("rate", [rate, left].filter(Boolean).join(" · "));
}

/** @param {View} view */
function tellProblem({ problem, remedy }) {
  part("problem").hidden = !problem;
  if (!problem) return;
  tell("problem-what", whatIsWrong(problem));
  tell("problem-help", whatHelps(problem));
  part("problem-act").hidden = remedy === null;
  if (remedy) tell("problem-act", t({ key: remedy === "allow" ? "allowServer" : "openSettings" }));
}

/** @param {View} view */
function tellMoments({ lastSuccessAt, nextAttemptAt }) {
  tell("last-success", lastSuccessAt === null ? t({ key: "never" }) : ago(lastSuccessAt));
  if (typeof nextAttemptAt === "number") tell("next-attempt", ahead(nextAttemptAt));
  else tell("next-attempt", nextAttemptAt ? t(nextAttemptAt) : "–");
}

/** @param {"pending" | "acknowledged"} which @param {import("./view.js").Count} count */
function tellCount(which, { total, pageVisits, tabAggregates }) {
  tell(`${which}-count`, number(total));
  tell(`${which}-kinds`, t({ key: "perKind", values: [pageVisits, tabAggregates] }));
}

/** @param {string} testId @param {string} text */
const tell = (testId, text) => say(part(testId), text);

/** @param {import("../messages.js").Request} request */
async function command(request) {
  const { reply, problem } = await ask(request);
  if (problem && request.type === "status") return show(brokenView(problem));
  tellFailure(problem);
  if (reply?.settings) showSnapshot(reply);
}

/** What fails leaves everything else usable. @param {Problem | null} problem */
function tellFailure(problem) {
  failed = problem;
  if (latest) showSnapshot(latest);
}

/** @param {import("../snapshot.js").Snapshot} snapshot */
function showSnapshot(snapshot) {
  latest = snapshot;
  const view = viewOf(snapshot);
  show(failed ? { ...view, problem: failed, remedy: null } : view);
}

async function listQuarantine() {
  const { reply, problem } = await ask({ type: "quarantine.list" });
  if (problem) return tellFailure(problem);
  const records = onesToShow(reply);
  drawRecords(part("quarantine-list"), records.slice(0, MOST_SHOWN).map(setAsideView), ({ id }) => {
    const retry = make("button", t({ key: "retry" }), "plain small");
    retry.addEventListener("click", () => void aside({ type: "quarantine.retry", ids: [id] }));
    const keep = make("button", t({ key: "exportOne" }), "plain small");
    keep.addEventListener("click", () => void saveRecords(id));
    const discard = make("button", t({ key: "discard" }), "grave small");
    askTwice(discard, () => void aside({ type: "quarantine.discard", ids: [id] }));
    return [retry, keep, discard];
  });
  const more = records.length - MOST_SHOWN;
  part("quarantine-more").hidden = more <= 0;
  tell("quarantine-more", t({ key: "moreInSettings", values: [more] }));
}

/** @param {import("../messages.js").Request} request */
async function aside(request) {
  await command(request);
  if (!failed) await command({ type: "status" });
}

/** @param {string} [only] */
async function saveRecords(only) {
  tellFailure(await exportAll(() => {}, only));
}

/** @param {SubmitEvent} event */
async function find(event) {
  event.preventDefault();
  const { reply, problem } = await ask({ type: "whereIs", text: field("find-text").value });
  if (problem || !latest) return tellFailure(problem);
  const status = latest;
  /** @type {import("../shared/record_view.js").Whereabouts[]} */
  const found = reply;
  const place = part("found");
  if (found.length)
    drawRecords(
      place,
      found.map((record) => whereaboutsView(record, status)),
    );
  else place.replaceChildren(make("p", t({ key: "foundNowhere" })));
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  const control = button("sign-in");
  control.disabled = true;
  tell("sign-in", t({ key: "signingIn" }));
  const problem = await trySignIn();
  control.disabled = false;
  tell("sign-in", t({ key: "signIn" }));
  part("sign-in-error").hidden = !problem;
  if (problem) tell("sign-in-error", whatIsWrong(problem));
  else form.reset();
}

/** @returns {Promise<Problem | null>} */
async function trySignIn() {
  let serverUrl;
  try {
    serverUrl = serverAddress(field("server-address").value);
  } catch (error) {
    return /** @type {import("../settings.js").SettingsError} */ (error);
  }
  if (!(await allow(serverUrl))) return { code: "not_granted", message: "" };
  if (serverUrl !== shown?.serverUrl) {
    const { problem } = await ask({ type: "setSettings", settings: { serverUrl } });
    if (problem) return problem;
  }
  const email = field("email").value;
  const { reply, problem } = await ask({ type: "signIn", email, password: field("password").value });
  if (!problem) showSnapshot(reply);
  return problem;
}

/** Nothing may be awaited before this: a browser grants it only while it handles the user's click. @param {string} serverUrl */
function allow(serverUrl) {
  return browser.permissions.request({ origins: [patternOf(serverUrl)] }).catch(() => false);
}

async function remedy() {
  if (shown?.remedy === "settings") return browser.runtime.openOptionsPage();
  if (shown && (await allow(shown.serverUrl))) await command({ type: "syncNow" });
}

translatePage(document);
drawScene(/** @type {Element} */ (document.querySelector(".scene")));
part("consent-yes").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { consent: true } });
});
part("consent-no").addEventListener("click", async () => {
  await command({ type: "setSettings", settings: { consent: false } });
  window.close();
});
part("pause").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { paused: !shown?.paused } });
});
part("problem-act").addEventListener("click", () => void remedy());
part("sign-out").addEventListener("click", () => void command({ type: "signOut" }));
part("settings").addEventListener("click", () => void browser.runtime.openOptionsPage());
part("quarantine-more").addEventListener("click", () => void browser.runtime.openOptionsPage());
quarantine.addEventListener("toggle", () => void (quarantine.open && listQuarantine()));
part("claim").addEventListener("click", () => void command({ type: "claimRecords" }));
askTwice(button("discard-unclaimed"), () => void command({ type: "discardUnclaimed" }));
part("retry-all").addEventListener("click", () => void aside({ type: "quarantine.retry" }));
part("export-all").addEventListener("click", () => void saveRecords());
part("restore-all").addEventListener("click", () => void aside({ type: "archive.restore" }));
part("find-form").addEventListener("submit", (event) => void find(/** @type {SubmitEvent} */ (event)));
syncNow.addEventListener("click", () => void command({ type: "syncNow" }));
form.addEventListener("submit", (event) => void signIn(event));

void follow(showSnapshot);
void command({ type: "status" });
setInterval(() => shown && tellMoments(shown), RETELL_MS);
