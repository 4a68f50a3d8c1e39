// The worker is killed at five points of an upload, again and again. Wherever it dies, every record is then in the
// outbox or in the database, and after the next alarm in the database alone, once.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { BEFORE_THE_ANSWER, BEFORE_THE_REQUEST, IN_MID_BODY, Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const KILLS = 20;
const RECORDS_EACH = 5;

let world, account, browser, popup, proxy;
let next = 1;

before(async () => {
  world = await World.begin();
  const { backend, account: owner } = await world.backend();
  account = owner;
  proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  browser = await world.browser();
  popup = await browser.openPopup();
  await popup.setUp(proxy.base, CREDENTIALS);
});
after(() => world.end());

const POINTS = {
  [BEFORE_THE_REQUEST]: stoppedByTheProxy,
  [IN_MID_BODY]: stoppedByTheProxy,
  [BEFORE_THE_ANSWER]: stoppedByTheProxy,
  "after the answer, before the settlement": stoppedInTheWorker,
  "during the settlement": stoppedInTheWorker,
};

for (const [point, stopped] of Object.entries(POINTS)) {
  test(`${KILLS} kills ${point} lose nothing and double nothing`, async () => {
    const sent = { pageVisits: [], tabAggregates: [] };
    for (let kill = 0; kill < KILLS; kill++) {
      const { ndjson, ids } = records(next, RECORDS_EACH);
      next += RECORDS_EACH;
      await popup.ask({ type: "import", records: ndjson });

      const { reached } = await stopped(point);
      await popup.fireAlarm();
      await reached;
      await browser.stopWorker();

      const { pending } = await popup.ask({ type: "status" });
      assert.deepEqual(
        pending,
        { pageVisits: RECORDS_EACH, tabAggregates: RECORDS_EACH },
        "not settled, so still here",
      );
      await popup.fireAlarm();
      const status = await popup.until(
        ({ pending, state }) => state === "idle" && pending.pageVisits + pending.tabAggregates === 0,
      );
      assert.deepEqual(status.acknowledged, status.captured);
      sent.pageVisits.push(...ids.pageVisits);
      sent.tabAggregates.push(...ids.tabAggregates);
    }
    const rows = await account.rows();
    for (const kind of ["pageVisits", "tabAggregates"]) {
      const held = rows[kind].map((row) => row.id);
      assert.equal(new Set(held).size, held.length, `${kind} are held once`);
      assert.deepEqual(
        sent[kind].filter((id) => !held.includes(id)),
        [],
        `${kind} are held`,
      );
    }
  });
}

/** Lets the next upload stand still at `point`. `reached` is kept when it does. */
async function stoppedByTheProxy(point) {
  return { reached: proxy.stopNextAt(point) };
}

async function stoppedInTheWorker(point) {
  const reached = once(proxy, "signal");
  await browser.worker.evaluate(holdSettlement, {
    early: point.startsWith("after"),
    signalUrl: proxy.signalUrl,
  });
  return { reached };
}

/**
 * Runs in the worker: the first transaction that writes after an upload was answered is the settlement. It is kept
 * from beginning (`early`), or from being committed once it has written something.
 */
function holdSettlement({ early, signalUrl }) {
  const { fetch: realFetch } = globalThis;
  const { transaction: realTransaction } = IDBDatabase.prototype;
  let answered = false;
  let held = false;

  globalThis.fetch = async (...args) => {
    const response = await realFetch(...args);
    answered ||= new URL(response.url).pathname.endsWith("/data/sync");
    return response;
  };

  IDBDatabase.prototype.transaction = function (stores, mode, ...rest) {
    if (mode !== "readwrite" || !answered || held) return realTransaction.call(this, stores, mode, ...rest);
    held = true;
    if (early) {
      keepOpen(realTransaction.call(this, stores, mode));
      realFetch(signalUrl);
      return realTransaction.call(this, stores, mode, ...rest);
    }
    const settlement = realTransaction.call(this, stores, mode, ...rest);
    settlement.commit = () => {};
    keepOpen(settlement);
    signalAtFirstWriteOf(settlement);
    return settlement;
  };

  function keepOpen(transaction) {
    const store = transaction.objectStore(transaction.objectStoreNames[0]);
    const again = () => (store.count().onsuccess = again);
    again();
  }

  function signalAtFirstWriteOf(settlement) {
    let signalled = false;
    for (const method of ["delete", "put", "add"]) {
      const real = IDBObjectStore.prototype[method];
      IDBObjectStore.prototype[method] = function (...args) {
        const request = real.apply(this, args);
        if (this.transaction === settlement && !signalled) {
          signalled = true;
          request.addEventListener("success", () => realFetch(signalUrl));
        }
        return request;
      };
    }
  }
}
