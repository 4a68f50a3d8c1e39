// @ts-check
import { browser } from "../browser.js";
import { mayMeasureScrolling, patternOf, scrollingPermissions } from "../permissions.js";
import { serverAddress } from "../settings.js";
import { askTwice, ask, button, field, make, part, say, whatHelps, whatIsWrong } from "../shared/page.js";
import { exportAll, importAll } from "../shared/file.js";
import { onesToShow, setAsideView } from "../shared/record_view.js";
import { drawRecords } from "../shared/records.js";
import { tellRoom } from "../shared/room.js";
import { bytes, duration, moment, number, span, translatePage, t } from "../shared/text.js";
import { follow } from "../snapshot.js";
import { roomOf, signedInAs, viewOf } from "../popup/view.js";
import { drawComparison } from "./comparison.js";
import { chart } from "./chart.js";
import { booksOf, chartsOf, checksOf, confirms, elsewhereOf, erasuresOf, factsOf } from "./view.js";

/**
 * @typedef {import("../snapshot.js").Snapshot} Snapshot
 * @typedef {import("../shared/page.js").Problem} Problem
 * @typedef {import("../shared/record_view.js").SetAside} SetAside
 */

/** What the browser must allow to be told of deletions from its history. */
const HISTORY = /** @type {chrome.permissions.Permissions} */ ({ permissions: ["history"] });

/** @type {Snapshot | undefined} */
let shown;
/** The ids of the records that are listed as refused, and of what follows them. @type {string[]} */
let listed = [];
/** The values of each list that is drawn. @type {Map<string, string>} */
const drawn = new Map();

/** @param {Snapshot} snapshot */
function show(snapshot) {
  const before = shown;
  shown = snapshot;
  const { settings } = snapshot;
  document.body.dataset.ready = "true";
  say(part("state"), t(viewOf(snapshot).headline));
  showProblem(viewOf(snapshot).problem);
  tellRoom(roomOf(snapshot));

  fill("server-address", settings.serverUrl, before?.settings.serverUrl);
  part("server-blocked").hidden = snapshot.serverAllowed;
  say(part("account"), t(snapshot.signedIn ? signedInAs(snapshot.email) : { key: "signInFromPopup" }));

  field("consent").checked = settings.consent;
  const { answeredAt } = settings;
  const since = settings.consent ? "consentSince" : "refusedSince";
  say(part("consent-since"), answeredAt ? t({ key: since, values: [moment(answeredAt)] }) : "");
  field("paused").checked = settings.paused;
  drawExclusions(settings.excludedSites);

  fill("interval", String(settings.intervalMinutes), before && String(before.settings.intervalMinutes));
  fill(
    "archive-after",
    String(settings.archiveAfterDays),
    before && String(before.settings.archiveAfterDays),
  );

  drawWaiting(snapshot);
  drawBooks(snapshot);
  drawComparison(snapshot);
  drawHealth(snapshot);
  if (changed(before?.quarantined, snapshot.quarantined)) void listQuarantine();
  if (changed(before?.archived, snapshot.archived)) void listArchive();
}

/** Puts a value into a field, unless the user is at it. @param {string} testId @param {string} value @param {string} [before] */
function fill(testId, value, before) {
  if (value !== before) field(testId).value = value;
}

/** @param {Problem | null} problem */
function showProblem(problem) {
  part("problem").hidden = !problem;
  if (!problem) return;
  say(part("problem-what"), whatIsWrong(problem));
  say(part("problem-help"), whatHelps(problem));
}

/** @param {import("./view.js").Counts} [before] @param {import("./view.js").Counts} [now] */
function changed(before, now) {
  return before?.pageVisits !== now?.pageVisits || before?.tabAggregates !== now?.tabAggregates;
}

/**
 * Draws a list, unless it stands there already: a button that is replaced takes the focus or a click with it.
 *
 * @template Value
 * @param {string} testId @param {Value[]} values @param {(value: Value) => HTMLElement[]} content
 */
function drawList(testId, values, content) {
  const now = JSON.stringify(values);
  if (drawn.get(testId) === now) return;
  drawn.set(testId, now);
  const item = (/** @type {Value} */ value) => {
    const made = make("li");
    made.append(...content(value));
    return made;
  };
  part(testId).replaceChildren(...values.map(item));
}

/** @param {string[]} sites */
function drawExclusions(sites) {
  drawList("exclusions", sites, (site) => {
    const remove = make("button", "×");
    remove.setAttribute("aria-label", t({ key: "includeAgain", values: [site] }));
    remove.addEventListener("click", () => void exclude(sites.filter((other) => other !== site)));
    return [make("span", site), remove];
  });
}

/** What waits for a decision, for another server, or for a server's word. @param {Snapshot} snapshot */
function drawWaiting(snapshot) {
  const { pageVisits, tabAggregates } = snapshot.unclaimed;
  const unclaimed = pageVisits + tabAggregates;
  part("unclaimed").hidden = unclaimed === 0;
  say(part("unclaimed-count"), t({ key: "unclaimed", values: [unclaimed] }));
  button("claim").disabled = !snapshot.signedIn;

  drawList("elsewhere", elsewhereOf(snapshot), ({ server, text, mayBeTaken }) => {
    const take = () => control("takeAlong", "plain", () => command({ type: "takeRecords", server }));
    return [make("span", t(text)), ...(mayBeTaken ? [take()] : [])];
  });

  const erasures = erasuresOf(snapshot);
  part("erasing").hidden = erasures.length === 0;
  drawList("erasures", erasures, (sentences) => [make("span", sentences.map(t).join(" "))]);
}

/** @param {Snapshot} snapshot */
function drawBooks(snapshot) {
  const { lines, sum, captured, balances } = booksOf(snapshot);
  /** @param {import("./view.js").Line} line */
  const row = ({ name, counts, total }) => {
    const drawn = make("tr", "", total ? "" : "nothing");
    const head = make("th", t(name));
    head.scope = "row";
    drawn.append(head, ...[counts.pageVisits, counts.tabAggregates, total].map((n) => make("td", number(n))));
    return drawn;
  };
  const table = part("books");
  table.querySelector("tbody")?.replaceChildren(...lines.map(row));
  table.querySelector("tfoot")?.replaceChildren(row(sum), row(captured));
  say(part("balance"), t({ key: balances ? "booksBalance" : "booksDiffer" }));
}

/** @param {Snapshot} snapshot */
function drawHealth(snapshot) {
  part("health").replaceChildren(
    ...checksOf(snapshot).map(({ right, text }) => make("li", t(text), right ? "" : "wrong")),
  );
  part("charts").replaceChildren(...chartsOf(snapshot).map(chart));
  const units = { number, bytes, seconds: duration, span, moment };
  part("facts").replaceChildren(
    ...factsOf(snapshot).flatMap(({ name, value, unit }) => [
      make("dt", t(name)),
      make("dd", typeof value === "number" ? units[unit](value) : t(value)),
    ]),
  );
}

async function listQuarantine() {
  const { reply, problem } = await ask({ type: "quarantine.list" });
  if (problem) return showProblem(problem);
  listed = reply.map((/** @type {SetAside} */ { id }) => id);
  const records = onesToShow(reply);
  part("quarantine-none").hidden = records.length > 0;
  part("quarantine-actions").hidden = records.length === 0;
  drawRecords(part("quarantine-list"), records.map(setAsideView), ({ id }) => [
    control("retry", "plain", () => aside({ type: "quarantine.retry", ids: [id] })),
    control("exportOne", "plain", () => saveRecords(id)),
    control("discard", "grave", () => aside({ type: "quarantine.discard", ids: [id] }), true),
  ]);
}

async function listArchive() {
  const { reply, problem } = await ask({ type: "archive.list" });
  if (problem) return showProblem(problem);
  const records = onesToShow(reply);
  part("archive-none").hidden = records.length > 0;
  part("archive-actions").hidden = records.length === 0;
  drawRecords(part("archive-list"), records.map(setAsideView), ({ id }) => [
    control("restore", "plain", () => aside({ type: "archive.restore", ids: [id] })),
  ]);
}

/** @param {string} key @param {string} look @param {() => unknown} act @param {boolean} [grave] whether it is asked for twice */
function control(key, look, act, grave = false) {
  const made = make("button", t({ key }), `${look} small`);
  if (grave) askTwice(made, () => void act());
  else made.addEventListener("click", () => void act());
  return made;
}

/** @param {import("../messages.js").Request} request */
async function aside(request) {
  const { problem } = await ask(request);
  if (problem) showProblem(problem);
  else await command({ type: "status" });
}

/** @param {import("../messages.js").Request} request @returns {Promise<Problem | null>} */
async function command(request) {
  const { reply, problem } = await ask(request);
  if (problem) showProblem(problem);
  else if (reply?.settings) show(reply);
  return problem;
}

/** What is refused does not stay as clicked. @param {import("../settings.js").Change} settings */
async function set(settings) {
  const problem = await command({ type: "setSettings", settings });
  if (problem && shown) show(shown);
  if (problem) showProblem(problem);
  return problem;
}

/** @param {string} testId @param {string} text @param {boolean} [wrong] */
function answer(testId, text, wrong = false) {
  part(testId).classList.toggle("wrong", wrong);
  say(part(testId), text);
}

/** @param {string} [only] */
async function saveRecords(only) {
  const problem = await exportAll(() => {}, only);
  if (problem) showProblem(problem);
}

async function saveServer() {
  let serverUrl;
  try {
    serverUrl = serverAddress(field("server-address").value);
  } catch (error) {
    return answer("server-said", whatIsWrong(/** @type {Problem} */ (error)), true);
  }
  // Nothing may be awaited before this: a browser grants it only while it handles the user's click.
  if (!(await request({ origins: [patternOf(serverUrl)] }))) {
    return answer("server-said", t({ key: "problem_not_granted" }), true);
  }
  const problem = await set({ serverUrl });
  answer("server-said", problem ? whatIsWrong(problem) : t({ key: "saved" }), !!problem);
}

/** @param {chrome.permissions.Permissions & { data_collection?: string[] }} permissions */
function request(permissions) {
  return browser.permissions.request(permissions).catch(() => false);
}

/** Known before the click: a browser asks its user only at once. @type {chrome.permissions.Permissions} */
let scrolling = {};

async function showScrolling() {
  scrolling = await scrollingPermissions();
  field("scrolling").checked = await mayMeasureScrolling();
}

async function changeScrolling() {
  if (field("scrolling").checked) await request(scrolling);
  else await browser.permissions.remove(scrolling).catch(() => false);
  await showScrolling();
}

/** @param {string[]} excludedSites */
async function exclude(excludedSites) {
  const { reply, problem } = await ask({ type: "setSettings", settings: { excludedSites } });
  if (reply) show(reply);
  say(part("exclude-said"), problem ? t({ key: "notASite" }) : "");
  return !problem;
}

async function excludeOne() {
  const site = field("exclude-site").value.trim();
  const sites = shown?.settings.excludedSites ?? [];
  if (await exclude([...sites.filter((other) => other !== site), site])) field("exclude-site").value = "";
}

async function saveDelivery() {
  const intervalMinutes = Number(field("interval").value);
  const archiveAfterDays = Number(field("archive-after").value);
  const problem = await set({ intervalMinutes, archiveAfterDays });
  answer("delivery-said", problem ? whatIsWrong(problem) : t({ key: "saved" }), !!problem);
}

async function showHistory() {
  field("history").checked = await browser.permissions.contains(HISTORY);
}

async function changeHistory() {
  if (field("history").checked) await request(HISTORY);
  else await browser.permissions.remove(HISTORY).catch(() => false);
  await showHistory();
}

async function forget() {
  const site = field("forget-site").value;
  const { reply, problem } = await ask({ type: "forgetSite", site });
  if (reply) show(reply);
  const refused =
    problem?.code === "invalid_argument" ? t({ key: "notASite" }) : problem && whatIsWrong(problem);
  answer("forget-said", refused ?? t({ key: "forgotten" }), !!problem);
  if (!problem) field("forget-site").value = "";
}

async function eraseAll() {
  const problem = await command({ type: "eraseAll" });
  answer("erase-said", problem ? whatIsWrong(problem) : t({ key: "erased" }), !!problem);
  field("erase-word").value = "";
  button("erase").disabled = true;
}

async function exportFile() {
  button("export").disabled = true;
  const problem = await exportAll(tellData);
  button("export").disabled = false;
  answer("data-said", problem ? whatIsWrong(problem) : t({ key: "exported" }), !!problem);
}

async function importFile() {
  const chosen = field("import");
  const file = chosen.files?.[0];
  if (!file) return;
  chosen.disabled = true;
  const { problem, captured, heldAlready, notTaken } = await importAll(file, tellData);
  chosen.disabled = false;
  chosen.value = "";
  const told = t({ key: "imported", values: [captured, heldAlready, notTaken] });
  if (problem) answer("data-said", [whatIsWrong(problem), told, t({ key: "importStopped" })].join(" "), true);
  else answer("data-said", told, notTaken > 0);
  await command({ type: "status" });
}

/** @param {number} records */
const tellData = (records) => answer("data-said", t({ key: "recordsSoFar", values: [records] }));

/** @param {string} testId @param {() => unknown} act */
function onSubmit(testId, act) {
  part(testId).addEventListener("submit", (event) => {
    event.preventDefault();
    void act();
  });
}

translatePage(document);
document.title = t({ key: "settingsTitle" });
const word = t({ key: "eraseWord" });
say(part("erase-label"), t({ key: "eraseLabel", values: [word] }));

onSubmit("server-form", saveServer);
part("server-allow").addEventListener("click", async () => {
  if (shown) await request({ origins: [patternOf(shown.settings.serverUrl)] });
  await command({ type: "status" });
});
field("consent").addEventListener("change", () => void set({ consent: field("consent").checked }));
field("paused").addEventListener("change", () => void set({ paused: field("paused").checked }));
field("scrolling").addEventListener("change", () => void changeScrolling());
onSubmit("exclude-form", excludeOne);
onSubmit("delivery-form", saveDelivery);
part("retry-all").addEventListener("click", () => void aside({ type: "quarantine.retry" }));
part("export-set-aside").addEventListener("click", () => void saveRecords());
askTwice(
  button("discard-all"),
  () => void aside({ type: "quarantine.discard", ids: listed }),
  () => t({ key: "reallyAll", values: [listed.length] }),
);
part("restore-all").addEventListener("click", () => void aside({ type: "archive.restore" }));
part("export").addEventListener("click", () => void exportFile());
field("import").addEventListener("change", () => void importFile());
button("claim").addEventListener("click", () => void command({ type: "claimRecords" }));
askTwice(button("discard-unclaimed"), () => void command({ type: "discardUnclaimed" }));
field("history").addEventListener("change", () => void changeHistory());
onSubmit("forget-form", forget);
onSubmit("erase-form", eraseAll);
field("erase-word").addEventListener("input", () => {
  button("erase").disabled = !confirms(field("erase-word").value, word);
});

function showPermissions() {
  void showScrolling();
  void showHistory();
}

showPermissions();
browser.permissions.onAdded.addListener(showPermissions);
browser.permissions.onRemoved.addListener(showPermissions);
void follow(show);
void command({ type: "status" });
