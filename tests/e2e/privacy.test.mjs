// What leaves the browser, looked at on its way: both browsers, the real backend, words that must not be seen.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { BROWSERS } from "./either.mjs";
import { releaseLike } from "./releases.mjs";
import { CREDENTIALS, World } from "./support.mjs";
import { Wiretap } from "./wiretap.mjs";

for (const [name, begin] of Object.entries(BROWSERS)) {
  describe(name, () => {
    let world, backend, account, tap, browser;

    before(async () => {
      world = await World.begin();
      ({ backend, account } = await world.backend());
      tap = await Wiretap.begin(backend);
      world.endsWith(() => tap.end());
      browser = await begin(world, { port: tap.port, asksForConsent: true });
    });
    after(() => world.end());

    /** Visits a page, and tries to deliver what came of it. */
    async function visitAndSync(url) {
      await browser.visit(url);
      await browser.ask({ type: "syncNow" });
    }

    /** Whether anything that the extension sent, or any row on the server, holds a word. */
    async function isSeen(word) {
      const sent = tap.fromTheExtension.some((request) => JSON.stringify(request).includes(word));
      return sent || JSON.stringify(await account.rows()).includes(word);
    }

    test("nothing leaves the browser before the question is answered, nor after a no", async () => {
      await visitAndSync("http://before-consent.example/harbour");
      await browser.answer("no");
      await visitAndSync("http://after-no.example/harbour");
      assert.deepEqual(tap.fromTheExtension, []);
      const { captured, settings } = await browser.ask({ type: "status" });
      assert.deepEqual([captured, settings.consent], [{ pageVisits: 0, tabAggregates: 0 }, false]);
      assert.ok(settings.answeredAt, "the no is remembered");
    });

    test("after a yes a visit is delivered, and nothing of what was before", async () => {
      await browser.answer("yes");
      await browser.ask({ type: "setSettings", settings: { serverUrl: backend.base } });
      await browser.ask({ type: "signIn", ...CREDENTIALS });
      await visitAndSync("http://said-yes.example/harbour");
      assert.ok(await isSeen("said-yes.example"));
      assert.ok(!(await isSeen("before-consent")) && !(await isSeen("after-no")));
    });

    test("how far a page was seen is not measured where the user did not turn that on, on no site", async () => {
      await visitAndSync("http://localhost/long");
      const { tabAggregates, pageVisits } = await account.rows();
      for (const host of ["localhost", "said-yes.example"]) {
        const visit = pageVisits.find(({ url }) => new URL(url).host === host);
        const aggregate = tabAggregates.find(({ page_visit_id }) => page_visit_id === visit.id);
        assert.ok(!aggregate.scroll_depth_percent, host);
      }
    });

    test("an excluded site and its subdomains are neither recorded nor sent, and a bad entry is told", async () => {
      const exclude = (excludedSites) => browser.ask({ type: "setSettings", settings: { excludedSites } });
      await exclude(["secret.example", "*.half.example"]);
      await assert.rejects(exclude(["secret.example", "no site at all"]));
      for (const host of ["secret.example", "mail.secret.example", "sub.half.example"]) {
        await visitAndSync(`http://${host}/sentinel-excluded`);
      }
      await visitAndSync("http://half.example/allowed");
      assert.ok(await isSeen("half.example/allowed"));
      assert.ok(!(await isSeen("secret.example")) && !(await isSeen("sentinel-excluded")));
    });

    test("a private window is not recorded", async () => {
      const arrived = tap.hears("private-window.example");
      await browser.visitPrivately("http://private-window.example/harbour", arrived);
      await visitAndSync("http://after-private.example/harbour");
      assert.ok(await isSeen("after-private.example"));
      assert.ok(!(await isSeen("private-window")));
    });

    test("a pause records nothing and sends nothing", async () => {
      await browser.ask({ type: "setSettings", settings: { paused: true } });
      const before = tap.fromTheExtension.length;
      await visitAndSync("http://paused.example/harbour");
      assert.equal(tap.fromTheExtension.length, before);
      await browser.ask({ type: "setSettings", settings: { paused: false } });
      await visitAndSync("http://going-on.example/harbour");
      assert.ok(await isSeen("going-on.example"));
      assert.ok(!(await isSeen("http://paused.example")));
    });

    test("while the server is away records wait, and go to it when it is back", async () => {
      tap.instead = 503;
      await visitAndSync("http://offline.example/harbour");
      const { pending, problem } = await browser.ask({ type: "status" });
      assert.deepEqual([pending.pageVisits > 0, problem?.code], [true, "server trouble"]);
      tap.instead = null;
      await browser.ask({ type: "syncNow" });
      assert.ok(JSON.stringify(await account.rows()).includes("http://offline.example/harbour"));
    });

    test("another account gets nothing of what the first one recorded", async () => {
      const other = { email: "grace@example.org", password: "another paper boat" };
      const grace = await backend.account(other.email, other.password);
      tap.instead = 503;
      await visitAndSync("http://of-ada.example/harbour");
      tap.instead = null;
      await browser.ask({ type: "signIn", ...other });
      await visitAndSync("http://of-grace.example/harbour");
      const { parked } = await browser.ask({ type: "status" });
      assert.ok(parked.pageVisits > 0);
      const rows = JSON.stringify(await grace.rows());
      assert.ok(rows.includes("of-grace.example") && !rows.includes("of-ada.example"));
      await browser.ask({ type: "signIn", ...CREDENTIALS });
      await browser.ask({ type: "syncNow" });
      assert.ok(JSON.stringify(await account.rows()).includes("of-ada.example"));
    });

    test("the extension has spoken to nobody but its server", () => {
      const { host } = new URL(backend.origin);
      const others = tap.fromTheExtension.filter((request) => request.host !== host);
      assert.deepEqual(
        others.map(({ url }) => url),
        [],
      );
    });
  });
}

test("Chromium measures how far a page was seen where the user turned that on", async () => {
  const world = await World.begin();
  try {
    const { backend, account } = await world.backend();
    const tap = await Wiretap.begin(backend);
    world.endsWith(() => tap.end());
    // What a click on the browser's own question would give.
    const extension = await releaseLike(path.join(world.folder, "allowed"), "Chromium", (manifest) => {
      manifest.host_permissions = manifest.optional_host_permissions;
    });
    const browser = await BROWSERS.Chromium(world, { extension, port: tap.port });
    await browser.signIn(backend.base);
    await browser.visit("http://measured.example/long");
    await browser.drain();
    const [{ scroll_depth_percent }] = (await account.rows()).tabAggregates;
    assert.ok(
      scroll_depth_percent > 20 && scroll_depth_percent < 60,
      `${scroll_depth_percent} % of three screens`,
    );
  } finally {
    await world.end();
  }
});
