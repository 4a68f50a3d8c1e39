// The worker is killed at five points of an upload, again and again. Wherever it dies, every record is then still in the
// outbox, and after the next alarm in the database alone, once.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { BEFORE_THE_ANSWER, BEFORE_THE_REQUEST, IN_MID_BODY, Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const KILLS = 20;
const RECORDS_EACH = 5;
const PERIOD_MINUTES = 5;

const POINTS = {
  [BEFORE_THE_REQUEST]: stoppedByTheProxy,
  [IN_MID_BODY]: stoppedByTheProxy,
  [BEFORE_THE_ANSWER]: stoppedByTheProxy,
  "after the answer, before the settlement": stoppedInTheWorker,
  "during the settlement": stoppedInTheWorker,
};

// Chromium fires alarms at most once a second: most of the time is waiting, so the points can wait together.
describe("a worker that is killed", { concurrency: true }, () => {
  for (const [point, stopped] of Object.entries(POINTS)) {
    test(`${KILLS} times ${point} loses nothing and doubles nothing`, async (t) => {
      const stage = await setStage();
      t.after(() => stage.world.end());
      const dueAt = await stage.popup.alarmAt("sync");
      const sent = { pageVisits: [], tabAggregates: [] };
      for (let kill = 0; kill < KILLS; kill++) {
        const ids = await killOnce(stage, point, stopped, kill);
        sent.pageVisits.push(...ids.pageVisits);
        sent.tabAggregates.push(...ids.tabAggregates);
      }
      assert.equal(
        await stage.popup.alarmAt("sync"),
        dueAt,
        "no start of a worker has put the periodic alarm off",
      );
      const rows = await stage.account.rows();
      for (const kind of ["pageVisits", "tabAggregates"]) {
        assert.deepEqual(rows[kind].map((row) => row.id).sort(), sent[kind], `${kind}, each once`);
      }
    });
  }
});

async function setStage() {
  const world = await World.begin();
  const { backend, account } = await world.backend();
  const proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  const browser = await world.browser();
  const popup = await browser.openPopup();
  await popup.setUp(proxy.base, CREDENTIALS);
  // The first one is due at a random moment, which could be now.
  await popup.page.evaluate((minutes) => {
    return chrome.alarms.create("sync", { delayInMinutes: minutes, periodInMinutes: minutes });
  }, PERIOD_MINUTES);
  return { world, account, proxy, browser, popup };
}

/** Captures a few records, kills the worker while it delivers them, lets an alarm wake it. Returns the records' ids. */
async function killOnce(stage, point, stopped, kill) {
  const { browser, popup } = stage;
  const { ndjson, ids } = records(1 + kill * RECORDS_EACH, RECORDS_EACH);
  await popup.ask({ type: "import", records: ndjson });

  const { reached } = await stopped(stage, point);
  await popup.tell({ type: "syncNow" });
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
  return ids;
}

/** Lets the next upload stand still at `point`. `reached` is kept when it does. */
async function stoppedByTheProxy({ proxy }, point) {
  return { reached: proxy.stopNextAt(point) };
}

async function stoppedInTheWorker({ proxy, browser }, point) {
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
