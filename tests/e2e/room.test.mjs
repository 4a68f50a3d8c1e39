// Little room is told before it is short, in both browsers. Nobody fills a disk for that: the browser's own word on it is
// put in the background's mouth.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { inBackground, setClockOn } from "./background.mjs";
import { BROWSERS } from "./either.mjs";
import { records, World } from "./support.mjs";

for (const [name, begin] of Object.entries(BROWSERS)) {
  describe(name, () => {
    let world, browser;

    before(async () => {
      world = await World.begin();
      const { backend } = await world.backend();
      browser = await begin(world);
      await browser.signIn(backend.base);
      await browser.evaluate("(globalThis.browser ?? chrome).alarms.clearAll()");
    });
    after(() => world.end());

    test("what the browser says of its room is in the settings, and no warning where there is enough", async () => {
      const { room } = await browser.ask({ type: "status" });
      assert.ok(room.usage > 0 && room.quota > room.usage && room.pressure === null);
      await browser.openOptions();
      await browser.shows("health", "There is room for what is to be kept.");
      await browser.shows("facts", "Room left");
      await browser.openPopup();
      assert.equal(await isHidden(browser, "room"), true);
    });

    test("room that gets short is told with what helps, and only nearly none marks the button", async () => {
      await browser.ask({ type: "import", records: records(0, 5).ndjson });
      await says(browser, { usage: 8_000_000, quota: 50_000_000 });
      await browser.until(({ room }) => room.pressure === "low");
      await browser.openPopup();
      await browser.shows("room-left", "Room is getting short: about 42 MB left.");
      await browser.shows("room-help", "10 are kept here: sync now");
      assert.equal(await badge(browser), "");

      await says(browser, { usage: 48_000_000, quota: 50_000_000 });
      await browser.until(({ room }) => room.pressure === "nearlyNone");
      await browser.openOptions();
      await browser.shows("room-left", "There is nearly no room left: about 2 MB.");
      await browser.shows("health", "There is little room left for what is to be kept.");
      await browser.drain();
      await browser.shows("room-help", "Free some disk space before it runs out.");
      assert.equal(await badge(browser), "!");
    });
  });
}

const badge = (browser) => browser.evaluate("(globalThis.browser ?? chrome).action.getBadgeText({})");
const isHidden = (browser, testId) =>
  browser.evaluate(`Promise.resolve(document.querySelector('[data-testid="${testId}"]').hidden)`);

/** From now on this is the browser's estimate, and the last one is two minutes old. */
async function says(browser, estimate) {
  await inBackground(
    browser,
    ({ navigator }, said) => void (navigator.storage.estimate = async () => said),
    estimate,
  );
  await setClockOn(browser, 120_000);
}
