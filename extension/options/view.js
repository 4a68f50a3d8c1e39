// @ts-check

/**
 * @typedef {import("../snapshot.js").Snapshot} Snapshot
 * @typedef {import("../shared/text.js").Text} Text
 * @typedef {{ pageVisits: number, tabAggregates: number }} Counts
 * @typedef {{ name: Text, value: number | Text, unit: "number" | "bytes" | "seconds" | "moment" }} Fact
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

/**
 * What is checked, and how it stands.
 *
 * @param {Snapshot} snapshot
 * @returns {{ right: boolean, text: Text }[]}
 */
export function checksOf({ health, serverAllowed, problem }) {
  /** @param {boolean} right @param {string} key */
  const check = (right, key) => ({ right, text: { key: `${key}${right ? "Right" : "Wrong"}` } });
  return [
    check(health.booksBalance && health.balanced, "checkBooks"),
    check(health.missing + health.unreadable === 0, "checkRows"),
    check(health.orphans === 0, "checkOrphans"),
    check(!health.retryOverdue && !health.stuckLock, "checkSchedule"),
    check(serverAllowed, "checkServer"),
    check(problem?.code !== "storage", "checkStorage"),
  ];
}

/**
 * When the rows were counted, and the last sync that found work, in figures.
 *
 * @param {Snapshot} snapshot
 * @returns {Fact[]}
 */
export function factsOf({ lastReport, health: { checkedAt } }) {
  /** @type {Fact[]} */
  const counted = checkedAt ? [{ name: { key: "factChecked" }, value: checkedAt, unit: "moment" }] : [];
  return [...counted, ...(lastReport ? factsOfReport(lastReport) : [])];
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
export function elsewhereOf({ elsewhere, email }) {
  return elsewhere.map(({ server, mayBeTaken, pageVisits, tabAggregates }) => ({
    server,
    text: { key: "waitsElsewhere", values: [pageVisits + tabAggregates, server] },
    mayBeTaken: mayBeTaken && email !== null,
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
