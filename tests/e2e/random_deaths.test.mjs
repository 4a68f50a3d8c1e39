// The background dies at random moments under steady browsing: Chromium's worker is killed, Firefox's event page is
// terminated. HEYHO_KILLS says how often, HEYHO_SEED when: the same moments again, as far as a browser repeats itself.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";
import { launchFirefox } from "../../scripts/lib/firefox.mjs";
import { PAGES } from "../../scripts/lib/site.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";

const DEATHS = Number(process.env.HEYHO_KILLS ?? 10);
const SEED = Number(process.env.HEYHO_SEED ?? Date.now() % 1_000_000);
const RECORDS_EACH = 3;
// About as long as it takes to capture and upload what each turn brings.
const LONGEST_LIFE_MS = 250;

for (const [browser, begin] of Object.entries({ Chromium: inChromium, Firefox: inFirefox })) {
  test(`${DEATHS} deaths of ${browser}'s background at random moments lose nothing and double nothing`, async (t) => {
    const world = await World.begin();
    t.after(() => world.end());
    const { backend, account } = await world.backend();
    const site = await world.site();
    const stage = await begin(world, backend.base);

    t.diagnostic(`HEYHO_SEED=${SEED}`);
    const random = randomFrom(SEED);
    const ids = { pageVisits: [], tabAggregates: [] };
    const paths = Object.keys(PAGES);
    for (let death = 0; death < DEATHS; death++) {
      const { ndjson, ids: made } = records(1 + death * RECORDS_EACH, RECORDS_EACH);
      await stage.ask({ type: "import", records: ndjson });
      ids.pageVisits.push(...made.pageVisits);
      ids.tabAggregates.push(...made.tabAggregates);
      await stage.browse(site + paths[death % paths.length]);
      await stage.tell({ type: "syncNow" });
      await pause(random() * LONGEST_LIFE_MS);
      await stage.die();
    }

    const status = await drained(stage);
    assert.deepEqual(status.acknowledged, status.captured);
    const rows = await account.rows();
    assert.equal(rows.pageVisits.length, status.captured.pageVisits, "each visit once, none beside them");
    for (const kind of ["pageVisits", "tabAggregates"]) {
      const arrived = new Set(rows[kind].map((row) => row.id));
      assert.deepEqual(
        ids[kind].filter((id) => !arrived.has(id)),
        [],
        `${kind} that are missing`,
      );
      assert.equal(arrived.size, rows[kind].length, `${kind}, each once`);
    }
    assert.ok(rows.pageVisits.length > ids.pageVisits.length, "what was browsed arrived too");
  });
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). @param {number} seed */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Syncs until nothing is left: a run that a death has left behind may be in the way of the first. */
async function drained(stage) {
  for (;;) {
    await stage.ask({ type: "syncNow" });
    const status = await stage.ask({ type: "status" });
    if (status.pending.pageVisits + status.pending.tabAggregates === 0) return status;
    assert.equal(status.problem, null);
  }
}

async function inChromium(world, base) {
  const browser = await world.browser();
  const popup = await browser.openPopup();
  await popup.setUp(base, CREDENTIALS);
  const tab = await browser.context.newPage();
  return {
    ask: (message) => popup.ask(message),
    tell: (message) => popup.tell(message),
    browse: (url) => tab.goto(url),
    die: () => browser.stopWorker(),
  };
}

async function inFirefox(world, base) {
  const firefox = await launchFirefox();
  world.endsWith(() => firefox.close());
  const { driver } = firefox;
  await firefox.openPopup();
  await firefox.part("consent-yes").click();
  await firefox.untilShown("state", "Not signed in");
  await firefox.ask({ type: "setSettings", settings: { serverUrl: base } });
  await firefox.ask({ type: "signIn", ...CREDENTIALS });
  await firefox.untilShown("account-name", CREDENTIALS.email);
  const popup = await driver.getWindowHandle();
  await driver.switchTo().newWindow("tab");
  const tab = await driver.getWindowHandle();
  await driver.switchTo().window(popup);
  return {
    async ask(message) {
      const reply = await firefox.ask(message);
      assert.equal(reply?.error, undefined, message.type);
      return reply;
    },
    tell: (message) =>
      driver.executeScript("browser.runtime.sendMessage(arguments[0]).catch(() => {});", message),
    async browse(url) {
      await driver.switchTo().window(tab);
      await driver.get(url);
      await driver.switchTo().window(popup);
    },
    die: () => firefox.stopBackground(),
  };
}
