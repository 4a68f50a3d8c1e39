// What a user sees and does when something is in the way, in both browsers: a refusal, no network, a browser that dies.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BROWSERS, marked } from "./either.mjs";
import { World } from "./support.mjs";
import { Wiretap } from "./wiretap.mjs";

for (const [name, begin] of Object.entries(BROWSERS)) {
  describe(name, () => {
    let world, backend, account, tap, browser;

    before(async () => {
      world = await World.begin();
      ({ backend, account } = await world.backend());
      tap = await Wiretap.begin(backend);
      world.endsWith(() => tap.end());
      browser = await begin(world, { port: tap.port, keepsProfile: true, asksForConsent: true });
      await browser.signIn(backend.base);
    });
    after(() => world.end());

    const urls = async () => (await account.rows()).pageVisits.map(({ url }) => url);
    const badge = () => browser.evaluate("(globalThis.browser ?? chrome).action.getBadgeText({})");

    /** Visits a page that the server refuses, and another one by which that is noticed. */
    async function refuse(url) {
      tap.refuses = url;
      await browser.visit(`${url}/before`);
      await browser.visit(url);
      await browser.ask({ type: "syncNow" });
      await browser.until(({ quarantined }) => quarantined.pageVisits === 1);
    }

    test("what the server refuses is shown with its words, and stored when the user tries it again", async () => {
      await refuse("http://refused.example/harbour");
      assert.equal(await badge(), "!");
      await browser.openPopup();
      await browser.click(`${marked("quarantined")} > summary`);
      await browser.shows("quarantine-list", "the harbour master says no");
      tap.refuses = null;
      await browser.click(`${marked("quarantine-list")} [aria-label^="Try again"]`);
      await browser.until(({ quarantined }) => quarantined.pageVisits === 0);
      await browser.drain();
      assert.ok((await urls()).includes("http://refused.example/harbour"));
      assert.equal(await badge(), "");
    });

    test("a refused record is given up only on the second click", async () => {
      await refuse("http://given-up.example/harbour");
      await browser.openOptions();
      const giveUp = `${marked("quarantine-list")} button.grave`;
      await browser.click(giveUp);
      await browser.waitFor(giveUp, "Really?");
      assert.equal((await browser.ask({ type: "status" })).quarantined.pageVisits, 1);
      await browser.click(giveUp);
      const { discarded } = await browser.until(({ quarantined }) => quarantined.pageVisits === 0);
      assert.equal(discarded.pageVisits, 1);
      tap.refuses = null;
      await browser.openPopup();
    });

    test("what is recorded without a network waits, is told, and is delivered when the network is back", async () => {
      await browser.drain();
      await browser.visit("http://cut-off.example/harbour", () => tap.cutOff());
      await browser.click(marked("sync-now"));
      await browser.shows("problem-what", "can't be reached");
      const { pending, nextAttemptAt } = await browser.ask({ type: "status" });
      assert.ok(pending.pageVisits > 0 && nextAttemptAt > Date.now());
      await tap.connectAgain();
      await browser.drain();
      assert.ok((await urls()).includes("http://cut-off.example/harbour"));
    });

    test("a browser that is killed comes back with what waited, its login and its alarms, and delivers it once", async () => {
      tap.instead = 503;
      await browser.visit("http://before-the-kill.example/harbour");
      const { captured } = await browser.until(({ pending }) => pending.tabAggregates > 0);
      await browser.kill();

      await browser.start({ asksForConsent: false });
      const status = await browser.ask({ type: "status" });
      assert.equal(status.signedIn, true);
      assert.ok(status.captured.pageVisits >= captured.pageVisits && status.pending.pageVisits > 0);
      const alarm = await browser.evaluate('(globalThis.browser ?? chrome).alarms.get("sync")');
      assert.equal(alarm.periodInMinutes, 5);
      tap.instead = null;
      await browser.fireAlarm();
      const drained = await browser.until(
        ({ pending, state }) => pending.pageVisits + pending.tabAggregates === 0 && state === "idle",
      );
      const { captured: all, acknowledged, discarded } = drained;
      assert.equal(acknowledged.pageVisits + discarded.pageVisits, all.pageVisits);
      const arrived = await urls();
      assert.equal(arrived.length, acknowledged.pageVisits, "each once");
      assert.equal(arrived.filter((url) => url.includes("before-the-kill")).length, 1);
    });
  });
}
