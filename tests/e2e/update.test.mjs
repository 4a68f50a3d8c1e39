// The extension is updated while records wait: from the layout of the first builds, in the middle of an upload, and back.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { BROWSERS, built } from "./either.mjs";
import { firstLayout, writeDatabase } from "./first_layout.mjs";
import { BEFORE_THE_ANSWER, Proxy } from "./proxy.mjs";
import { firstRelease, releaseLike } from "./releases.mjs";
import { records, World } from "./support.mjs";

const WAITING = 250;

for (const [name, begin] of Object.entries(BROWSERS)) {
  describe(name, () => {
    let world, account, proxy, browser, backend;
    const sent = { pageVisits: [], tabAggregates: [] };

    before(async () => {
      world = await World.begin();
      ({ backend, account } = await world.backend());
      proxy = await Proxy.start(backend);
      world.endsWith(() => proxy.end());
      const installed = await firstRelease(path.join(world.folder, "installed"), name);
      browser = await begin(world, { extension: installed });
    });
    after(() => world.end());

    /** Everything that was ever recorded is on the server, once. */
    async function assertDelivered({ acknowledged, captured, health }) {
      assert.deepEqual(acknowledged, captured);
      assert.deepEqual([health.booksBalance, health.rebuilt], [true, null]);
      const rows = await account.rows();
      for (const kind of Object.keys(sent))
        assert.deepEqual(rows[kind].map(({ id }) => id).sort(), sent[kind], `${kind}, each once`);
    }

    function some(first, count) {
      const { ndjson, ids } = records(first, count);
      for (const kind of Object.keys(sent)) sent[kind].push(...ids[kind]);
      return ndjson;
    }

    test("what the first builds have left behind is delivered after the update, each record once", async () => {
      const lines = some(1, WAITING)
        .split("\n")
        .map((line) => JSON.parse(line).record);
      const pairs = lines.flatMap((record, place) =>
        place % 2 ? [] : [{ pageVisit: record, tabAggregate: lines[place + 1] }],
      );
      const session = await account.session();
      const origin = new URL(proxy.base).origin;
      const left = firstLayout({ origin, account: session.account }, pairs, session);
      await browser.evaluate(`(${writeDatabase})(${JSON.stringify(left)})`);
      const settings = { serverUrl: proxy.base, consent: true, answeredAt: 1, of_another_release: 1 };
      await browser.evaluate(
        `(globalThis.browser ?? chrome).storage.local.set({ settings: ${JSON.stringify(settings)} })`,
      );

      await browser.update(built(name));
      await browser.openPopup();
      const status = await browser.ask({ type: "status" });
      assert.deepEqual(
        [status.signedIn, status.settings.paused, status.settings.intervalMinutes],
        [true, false, 5],
      );
      await assertDelivered(await browser.drain());
    });

    test("an update in the middle of an upload loses nothing and doubles nothing", async () => {
      await browser.ask({ type: "import", records: some(1 + WAITING, WAITING) });
      const uploading = proxy.stopNextAt(BEFORE_THE_ANSWER);
      await browser.tell({ type: "syncNow" });
      await uploading;
      const next = path.join(world.folder, "next");
      await browser.update(await releaseLike(next, name, (manifest) => (manifest.version = "0.9.0")));
      await browser.openPopup();
      const version = (release) => release.runtime.getManifest().version;
      assert.equal(
        await browser.evaluate(`(async () => (${version})(globalThis.browser ?? chrome))()`),
        "0.9.0",
      );
      await assertDelivered(await browser.drain());
    });

    test("a database of a newer release is left as it is, and the popup says what to do", async () => {
      await backend.stop();
      await browser.ask({ type: "import", records: records(1 + 2 * WAITING, WAITING).ndjson });
      const rows = () => browser.evaluate(`(${countRows})()`);
      const before = await rows();
      assert.ok(before[0] > 0 && before[1] > 0);
      await browser.evaluate(`(${raiseVersion})()`);
      await assert.rejects(browser.ask({ type: "status" }), { code: "newer_version" });
      await browser.openPopup();
      await browser.shows("problem-what", "A newer release of this extension");
      await browser.shows("problem-help", "Update the extension.");
      await browser.die();
      await browser.openPopup();
      await browser.shows("problem-what", "A newer release of this extension");
      assert.deepEqual(await rows(), before);
    });

    test("a module that can't be loaded is told by the popup and on the button", async () => {
      const broken = await releaseLike(path.join(world.folder, "broken"), name, (manifest) => {
        manifest.version = "0.9.1";
      });
      await rm(path.join(broken, "heyho_sync_bg.wasm"));
      await browser.update(broken);
      await browser.openPopup();
      await browser.shows("state", "Something is wrong");
      assert.equal(await browser.evaluate("(globalThis.browser ?? chrome).action.getBadgeText({})"), "!");
    });
  });
}

/** Runs in a page of the extension: raises the database's version, as a newer release does. */
async function raiseVersion() {
  const { name, version } = (await indexedDB.databases()).findLast(({ name }) =>
    /^heyho-sync(~\d+)?$/.test(name),
  );
  const request = indexedDB.open(name, version + 1);
  await new Promise((resolve, reject) => {
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  });
  request.result.close();
}

/** Runs in a page of the extension: how many objects the tables of what waits hold, visits and aggregates. */
async function countRows() {
  const { name } = (await indexedDB.databases()).findLast(({ name }) => /^heyho-sync(~\d+)?$/.test(name));
  const request = indexedDB.open(name);
  await new Promise((resolve) => (request.onsuccess = resolve));
  const database = request.result;
  const counts = ["page_visits", "tab_aggregates"].map((table) => {
    const count = database.transaction(table).objectStore(table).count();
    return new Promise((resolve) => (count.onsuccess = () => resolve(count.result)));
  });
  const counted = await Promise.all(counts);
  database.close();
  return counted;
}
