// A real backlog: 8,651 visits, each with its aggregate, drained in one go through a referee that looks at every upload.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { workerHeapBytes } from "./memory.mjs";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const BACKLOG = 8_651;
const FEW = 2_000;
// What is held differs by a window from look to look: how many are in flight, what has been read ahead.
const LOOKS = 16;
const IMPORTED_AT_ONCE = 1_000;
const MAX_RECORDS = 100;
const MAX_BYTES = 512 * 1024;

let world, backend, account, browser, popup, proxy;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  browser = await world.browser();
  popup = await browser.openPopup();
  await popup.setUp(proxy.base, CREDENTIALS);
});
after(() => world.end());

test(`${BACKLOG} visits and their aggregates drain in one go, oldest first, within the limits, each once`, async () => {
  const few = await heapDuringDrain(1, FEW);
  const { ids, heapBytes: many, report, referee } = await heapDuringDrain(1 + FEW, BACKLOG);

  assert.deepEqual(referee.complaints, []);
  assert.equal(report.outcome, "complete");
  assert.deepEqual([report.attempted, report.created], [2 * BACKLOG, 2 * BACKLOG]);
  const status = await popup.ask({ type: "status" });
  assert.deepEqual(status.pending, { pageVisits: 0, tabAggregates: 0 });
  assert.deepEqual(status.acknowledged, status.captured);

  const rows = await account.rows();
  for (const kind of ["pageVisits", "tabAggregates"]) {
    const held = rows[kind].map((row) => row.id).sort();
    assert.deepEqual(held, [...few.ids[kind], ...ids[kind]], `the database holds the ${kind} once each`);
  }

  assert.ok(many <= few.heapBytes * 1.3, `${few.heapBytes} -> ${many} bytes of heap`);
});

/** Imports `count` visits with their aggregates and drains them; `heapBytes` is the median of the looks at the heap. */
async function heapDuringDrain(first, count) {
  const ids = { pageVisits: [], tabAggregates: [] };
  await popup.page.evaluate(() => chrome.alarms.clearAll());
  for (let done = 0; done < count; done += IMPORTED_AT_ONCE) {
    const part = records(first + done, Math.min(IMPORTED_AT_ONCE, count - done));
    await popup.ask({ type: "import", records: part.ndjson });
    ids.pageVisits.push(...part.ids.pageVisits);
    ids.tabAggregates.push(...part.ids.tabAggregates);
  }
  const { pending } = await popup.ask({ type: "status" });
  assert.deepEqual(pending, { pageVisits: count, tabAggregates: count });
  // What the import has needed must not be counted.
  await browser.stopWorker();

  const referee = new Referee(ids);
  const uploads = Math.ceil(count / MAX_RECORDS);
  let passed = 0;
  const looks = [];
  proxy.onUpload = async (body, bytes) => {
    referee.look(body, bytes);
    passed += 1;
    if (passed % Math.floor(uploads / LOOKS) === 0) looks.push(await workerHeapBytes(browser));
  };
  const report = await popup.ask({ type: "syncNow" });
  looks.sort((one, other) => one - other);
  return { ids, heapBytes: looks[Math.floor(looks.length / 2)], report, referee };
}

/** Looks at each upload as it passes, and writes down what is against the rules. */
class Referee {
  complaints = [];
  #places;
  #seen = new Set();

  constructor(expected) {
    this.#places = {
      pageVisits: new Map(expected.pageVisits.map((id, place) => [id, place])),
      tabAggregates: new Map(expected.tabAggregates.map((id, place) => [id, place])),
    };
  }

  look({ pageVisits, tabAggregates }, bytes) {
    if (bytes > MAX_BYTES) this.complaints.push(`an upload of ${bytes} bytes`);
    this.#lookAtKind("pageVisits", pageVisits);
    this.#lookAtKind("tabAggregates", tabAggregates);
    for (const { page_visit_id: visit } of tabAggregates) {
      if (!this.#seen.has(visit)) this.complaints.push("an aggregate before its visit");
    }
  }

  #lookAtKind(kind, records) {
    if (records.length > MAX_RECORDS) this.complaints.push(`an upload of ${records.length} ${kind}`);
    const places = records.map(({ id }) => this.#places[kind].get(id));
    // Batches may overtake each other on the way; within each of them the order is that of the outbox, without a gap.
    if (places.some((place, i) => place !== places[0] + i)) this.complaints.push(`${kind} out of order`);
    for (const { id } of records) {
      if (this.#seen.has(id)) this.complaints.push(`one of the ${kind} twice`);
      this.#seen.add(id);
    }
  }
}
