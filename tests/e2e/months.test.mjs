// Three months without a delivery, in both browsers, by a true clock and by a wrong one: nothing is lost, nothing is
// withheld without a word. Nobody waits that long: the background's clock is set on, and, where it is a true one, the
// `Date` of the server's answers with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setClockOn } from "./background.mjs";
import { BROWSERS, marked } from "./either.mjs";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const MONTHS_MS = 91 * 86_400_000;
const forbidden = (path) => (path.endsWith("/data/sync") ? 403 : null);
const asEver = () => null;

for (const [name, begin] of Object.entries(BROWSERS)) {
  for (const clock of ["true", "wrong"]) {
    test(`91 days by a ${clock} clock, signed out and then refused, lose and hide nothing in ${name}`, async (context) => {
      const world = await World.begin();
      context.after(() => world.end());
      const { backend, account } = await world.backend();
      const proxy = await Proxy.start(backend);
      world.endsWith(() => proxy.end());
      const browser = await begin(world);
      const monthsPass = async () => {
        await setClockOn(browser, MONTHS_MS);
        if (clock === "true") proxy.aheadMs += MONTHS_MS;
      };
      const sums = async () => {
        const { pending, archived } = await browser.ask({ type: "status" });
        return [pending, archived].map((counts) => counts.pageVisits + counts.tabAggregates);
      };
      const bring = (first, count) => browser.ask({ type: "import", records: records(first, count).ndjson });
      const sync = () => browser.ask({ type: "syncNow" });

      await browser.ask({ type: "setSettings", settings: { consent: true, serverUrl: proxy.base } });
      await browser.evaluate("(globalThis.browser ?? chrome).alarms.clearAll()");
      await bring(0, 3);
      await monthsPass();
      await bring(3, 2);
      await sync();
      await browser.openPopup();
      await browser.shows("state", "Not signed in");
      await browser.shows("state-detail", "Visits are kept on this computer. Sign in to deliver them.");
      await browser.shows("pending-count", "10");

      // A sign-in comes first: what fails then hides nothing either.
      proxy.instead = forbidden;
      await browser.ask({ type: "signIn", ...CREDENTIALS });
      await sync();
      await browser.shows("problem-what", "Your server doesn't let this account deliver.");
      assert.deepEqual(await sums(), [10, 0]);
      proxy.instead = asEver;
      await browser.drain();
      await browser.shows("state", "Everything is safe");

      proxy.instead = forbidden;
      await bring(5, 2);
      await sync();
      await monthsPass();
      await sync();
      await browser.shows("problem-what", "Your server doesn't let this account deliver.");
      assert.deepEqual(await sums(), clock === "true" ? [0, 4] : [4, 0]);
      proxy.instead = asEver;
      await bring(7, 1);
      await browser.drain();
      if (clock === "true") {
        await browser.shows("state", "Delivered, but for 4");
        await browser.shows("archived-count", "4");
        await browser.click(`${marked("archived")} > summary`);
        await browser.shows("archived", "They are kept on this computer and can be sent after all.");
        await browser.click(marked("restore-all"));
        await browser.until(({ archived }) => archived.pageVisits + archived.tabAggregates === 0);
        await browser.drain();
      }
      await browser.shows("state", "Everything is safe");
      const { health, captured, acknowledged } = await browser.ask({ type: "status" });
      assert.ok(health.booksBalance && health.balanced);
      assert.deepEqual(acknowledged, captured);
      const { pageVisits, tabAggregates } = await account.rows();
      assert.deepEqual([pageVisits.length, tabAggregates.length], [8, 8]);
    });
  }
}
