// What the real server's abilities are worth, in requests and in bytes on the wire: a restored backlog of which most is
// on the server already, and a backlog that travels compressed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const BACKLOG = 8_651;
const THERE_ALREADY = 8_000;
const IMPORTED_AT_ONCE = 1_000;
const MAX_RECORDS = 100;
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

/** A browser with the extension, signed in, behind a proxy of its own; nothing syncs by itself. */
async function installation(profile) {
  const proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  const browser = await world.browser(profile);
  const popup = await browser.openPopup();
  await popup.setUp(proxy.base, CREDENTIALS);
  await popup.page.evaluate(() => chrome.alarms.clearAll());
  return { popup, proxy };
}

async function importRecords(popup, first, count) {
  for (let done = 0; done < count; done += IMPORTED_AT_ONCE) {
    const part = records(first + done, Math.min(IMPORTED_AT_ONCE, count - done));
    await popup.ask({ type: "import", records: part.ndjson });
  }
}
