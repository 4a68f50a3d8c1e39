// A real backlog: 8,651 visits, each with its aggregate, drained in one go through a referee that looks at every upload.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const BACKLOG = 8_651;
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
  const expected = { pageVisits: [], tabAggregates: [] };
  await popup.page.evaluate(() => chrome.alarms.clearAll());
  for (let first = 1; first <= BACKLOG; first += IMPORTED_AT_ONCE) {
    const { ndjson, ids } = records(first, Math.min(IMPORTED_AT_ONCE, BACKLOG - first + 1));
    await popup.ask({ type: "import", records: ndjson });
    expected.pageVisits.push(...ids.pageVisits);
    expected.tabAggregates.push(...ids.tabAggregates);
  }
  const { pending } = await popup.ask({ type: "status" });
  assert.deepEqual(pending, { pageVisits: BACKLOG, tabAggregates: BACKLOG });

  const referee = new Referee(expected);
  proxy.on("upload", (body, bytes) => referee.look(body, bytes));
  const report = await popup.ask({ type: "syncNow" });

  assert.deepEqual(referee.complaints, []);
  assert.equal(report.outcome, "complete");
  assert.equal(report.attempted, 2 * BACKLOG);
  assert.equal(report.created, 2 * BACKLOG);
  const status = await popup.ask({ type: "status" });
  assert.deepEqual(status.pending, { pageVisits: 0, tabAggregates: 0 });
  assert.deepEqual(status.acknowledged, status.captured);

  const rows = await account.rows();
  for (const kind of ["pageVisits", "tabAggregates"]) {
    assert.deepEqual(
      rows[kind].map((row) => row.id).sort(),
      expected[kind],
      `the database holds the ${kind} once each`,
    );
  }
});

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
