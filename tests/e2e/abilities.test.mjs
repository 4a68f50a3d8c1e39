// What the real server's abilities are worth, in requests and in bytes on the wire: a restored backlog of which most is
// on the server already, and a backlog that travels compressed; and what it costs where they fail.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setClockOn } from "./background.mjs";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const BACKLOG = 8_651;
const THERE_ALREADY = 8_000;
const IMPORTED_AT_ONCE = 1_000;
const MAX_RECORDS = 100;
const ATTEMPTS = 3;
const HOUR_MS = 3_600_000;
const EVERY_RECORD = { pageVisits: BACKLOG, tabAggregates: BACKLOG };

let world, backend, account;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
});
after(() => world.end());

test("a backlog that travels compressed takes a fifth of its bytes on the wire", async () => {
  const { popup, proxy } = await installation("profile");
  await importRecords(popup, 1, THERE_ALREADY);
  proxy.requests.length = 0;
  const report = await popup.ask({ type: "syncNow" });
  assert.deepEqual([report.outcome, report.created], ["complete", 2 * THERE_ALREADY]);
  const uploads = proxy.requests.filter(({ path }) => path.endsWith("/data/sync"));
  const sum = (field) => uploads.reduce((total, upload) => total + upload[field], 0);
  assert.ok(uploads.every(({ encoding }) => encoding === "gzip"));
  assert.deepEqual([report.bytesSent, report.bytesBeforeCompression], [sum("bytes"), sum("plainBytes")]);
  assert.ok(5 * sum("bytes") <= sum("plainBytes"), `${sum("plainBytes")} bytes became ${sum("bytes")}`);
});

test(`${BACKLOG} visits with aggregates, of which ${THERE_ALREADY} are there, cost one question and the rest`, async () => {
  const { popup, proxy } = await installation("restored");
  await importRecords(popup, 1, BACKLOG);
  proxy.requests.length = 0;
  const report = await popup.ask({ type: "syncNow" });
  const asked = (route) => proxy.requests.filter(({ path }) => path.endsWith(route)).length;
  assert.equal(asked("/data/sync/known"), 1);
  assert.equal(asked("/data/sync"), Math.ceil((BACKLOG - THERE_ALREADY) / MAX_RECORDS));
  assert.deepEqual([report.skipped, report.created], [2 * THERE_ALREADY, 2 * (BACKLOG - THERE_ALREADY)]);
  const status = await popup.ask({ type: "status" });
  assert.deepEqual(status.acknowledged, EVERY_RECORD);
  const rows = await account.rows();
  assert.deepEqual([rows.pageVisits.length, rows.tabAggregates.length], [BACKLOG, BACKLOG]);
});

test("without an answer to that question everything is sent, and ends as the same", async () => {
  const grace = { email: "grace@example.org", password: "a nanosecond is a foot of wire" };
  const graces = await backend.account(grace.email, grace.password);
  const before = await installation("before", grace);
  await importRecords(before.popup, 1, THERE_ALREADY);
  await before.popup.ask({ type: "syncNow" });
  const { popup, proxy } = await installation("unanswered", grace);
  proxy.instead = (path) => (path.endsWith("/data/sync/known") ? 500 : null);
  await importRecords(popup, 1, BACKLOG);
  proxy.requests.length = 0;
  const report = await popup.ask({ type: "syncNow" });
  const asked = (route) => proxy.requests.filter(({ path }) => path.endsWith(route)).length;
  assert.equal(asked("/data/sync/known"), ATTEMPTS);
  assert.equal(asked("/data/sync"), Math.ceil(BACKLOG / MAX_RECORDS));
  assert.deepEqual([report.outcome, report.attempted], ["complete", 2 * BACKLOG]);
  const status = await popup.ask({ type: "status" });
  assert.deepEqual(status.acknowledged, EVERY_RECORD);
  const rows = await graces.rows();
  const { ids } = records(1, BACKLOG);
  for (const kind of ["pageVisits", "tabAggregates"])
    assert.deepEqual(rows[kind].map(({ id }) => id).sort(), ids[kind], kind);
});

test("a server that refuses compressed bodies costs one request more a day", async () => {
  const { popup, proxy, browser } = await installation("plain");
  proxy.instead = (path, headers) => (headers["content-encoding"] ? 415 : null);
  let next = BACKLOG + 1;
  const encodings = async (count) => {
    await importRecords(popup, next, count);
    next += count;
    proxy.requests.length = 0;
    assert.equal((await popup.ask({ type: "syncNow" })).outcome, "complete");
    const uploads = proxy.requests.filter(({ path }) => path.endsWith("/data/sync"));
    return uploads.map(({ encoding }) => encoding ?? "plain");
  };
  assert.deepEqual(await encodings(3 * MAX_RECORDS), ["gzip", "plain", "plain", "plain"]);
  assert.deepEqual(await encodings(MAX_RECORDS), ["plain"]);
  await setClockOn({ browser }, 23 * HOUR_MS);
  assert.deepEqual(await encodings(MAX_RECORDS), ["plain"]);
  await setClockOn({ browser }, 2 * HOUR_MS);
  assert.deepEqual(await encodings(MAX_RECORDS), ["gzip", "plain"]);
});

/** A browser with the extension, signed in, behind a proxy of its own; nothing syncs by itself. */
async function installation(profile, credentials = CREDENTIALS) {
  const proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  const browser = await world.browser(profile);
  const popup = await browser.openPopup();
  await popup.setUp(proxy.base, credentials);
  await popup.page.evaluate(() => chrome.alarms.clearAll());
  return { popup, proxy, browser };
}

async function importRecords(popup, first, count) {
  for (let done = 0; done < count; done += IMPORTED_AT_ONCE) {
    const part = records(first + done, Math.min(IMPORTED_AT_ONCE, count - done));
    await popup.ask({ type: "import", records: part.ndjson });
  }
}
