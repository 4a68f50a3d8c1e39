// The browser's quota is used up: what is refused is told, nothing of what was kept is lost, and the sync makes room.
//
// The extension's own permission lifts the quota in both browsers, so a release without it is installed. Chromium takes a
// limit for as long as a debugger is attached, and only before anything was stored, so it begins with a release that
// stores nothing; Firefox has a preference.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { BROWSERS } from "./either.mjs";
import { firstRelease, releaseLike } from "./releases.mjs";
import { records, World } from "./support.mjs";

const QUOTA_BYTES = { Chromium: 3_000_000, Firefox: 6_000_000 };
const AT_ONCE = 200;

for (const [name, begin] of Object.entries(BROWSERS)) {
  describe(name, () => {
    let world, backend, account, site, browser;

    before(async () => {
      world = await World.begin();
      ({ backend, account } = await world.backend());
      site = await world.site();
      const installed = await firstRelease(path.join(world.folder, "installed"), name);
      const limited = await releaseLike(path.join(world.folder, "limited"), name, (manifest) => {
        manifest.permissions = manifest.permissions.filter((each) => each !== "unlimitedStorage");
      });
      const kilobytes = QUOTA_BYTES.Firefox / 1000;
      const preferences = { "dom.quotaManager.temporaryStorage.fixedLimit": kilobytes };
      browser = await begin(world, { extension: installed, preferences });
      if (name === "Chromium") await limit(browser.browser);
      await browser.update(limited);
      await browser.openPopup();
      await browser.signIn(backend.base);
    });
    after(() => world.end());

    test("a full storage refuses what comes, says so, is emptied by the next sync, and takes records again", async () => {
      await browser.visit(`${site}/tides`);
      await browser.drain();
      await backend.stop();

      let next = 1;
      const kept = { pageVisits: [], tabAggregates: [] };
      /** Records some more until they are refused. */
      const fill = async (count) => {
        for (;;) {
          const { ndjson, ids } = records(next, count);
          next += count;
          const { error } = await browser.send({ type: "import", records: ndjson });
          if (error) return error.code;
          for (const kind of Object.keys(kept)) kept[kind].push(...ids[kind]);
        }
      };
      assert.equal(await fill(AT_ONCE), "quota_exceeded");
      // Firefox refuses once more, and finds some room then.
      assert.ok(["quota_exceeded", "closed"].includes(await fill(1)));

      await browser.shows("problem-what", "can't store what it should keep");
      const full = await browser.ask({ type: "status" });
      assert.deepEqual([full.state, full.problem.code], ["error", "storage"]);
      assert.ok(full.pending.pageVisits >= kept.pageVisits.length && full.pending.pageVisits > AT_ONCE);
      assert.equal(full.health.booksBalance, true);

      await backend.start();
      // What is refused now gives the reserve back; the alarm comes again.
      await browser.send({ type: "syncNow" });
      await browser.fireAlarm();
      const emptied = await browser.until(
        ({ pending, state }) => pending.pageVisits + pending.tabAggregates === 0 && state === "idle",
      );
      assert.deepEqual(emptied.acknowledged, emptied.captured);
      const rows = await account.rows();
      for (const kind of Object.keys(kept)) {
        const arrived = new Set(rows[kind].map(({ id }) => id));
        assert.equal(rows[kind].length, emptied.captured[kind], `${kind}, each once`);
        assert.deepEqual(
          kept[kind].filter((id) => !arrived.has(id)),
          [],
          `${kind} that are missing`,
        );
      }

      await browser.visit(`${site}/charts`);
      const { problem } = await browser.until(({ pending }) => pending.pageVisits > 0);
      assert.equal(problem, null);
    });
  });
}

/** Bounds what the extension may store; the session that does so stays with a page that outlives an update. */
async function limit({ context, extensionId }) {
  const session = await context.newCDPSession(context.pages()[0]);
  const origin = `chrome-extension://${extensionId}`;
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: QUOTA_BYTES.Chromium });
}
