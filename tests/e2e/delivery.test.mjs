// Visits reach the database whatever the network and the backend do meanwhile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PAGES, UNTITLED } from "../../scripts/lib/site.mjs";
import { CREDENTIALS, World } from "./support.mjs";

let world, backend, account, site, browser, popup;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  site = await world.site();
  browser = await world.browser();
  popup = await browser.openPopup();
  await popup.setUp(backend.base, CREDENTIALS);
});
after(() => world.end());

test("every page of a walk through a site arrives, with its title and its tab's engagement", async () => {
  const page = await browser.context.newPage();
  for (const path of Object.keys(PAGES)) await page.goto(site + path);
  await page.close();
  await popup.until(({ pending }) => pending.pageVisits === 6);
  await popup.ask({ type: "syncNow" });
  const { pageVisits } = await drained(Object.keys(PAGES).length);
  assert.deepEqual(
    pageVisits.map(({ url, title }) => [url, title]).sort(),
    Object.entries(PAGES)
      .map(([path, title]) => [site + path, title])
      .sort(),
  );
});

test("a page without a title arrives without one: what a browser shows instead is its address", async () => {
  const page = await browser.context.newPage();
  await page.goto(`${site}${UNTITLED}?utm_source=a%20letter`);
  await page.close();
  await popup.until(({ pending }) => pending.tabAggregates > 0);
  await popup.ask({ type: "syncNow" });
  const { pageVisits } = await drained(Object.keys(PAGES).length + 1);
  const row = pageVisits.find(({ url }) => url.startsWith(site + UNTITLED));
  assert.equal(row.title || null, null);
});

test("what is recorded offline is delivered when the network is back", async () => {
  // Offline no page can be loaded, but one that is there can navigate by itself.
  const page = await browser.context.newPage();
  await page.goto(`${site}/tides`);
  await browser.context.setOffline(true);
  await page.evaluate(() => history.pushState(null, "", "/tides?offline"));
  await page.close();
  const { pending } = await popup.until(({ pending }) => pending.pageVisits === 2);
  await popup.part("sync-now").click();
  await popup.part("problem").getByText("can't be reached").waitFor();
  const offline = await popup.ask({ type: "status" });
  assert.deepEqual(offline.pending, pending);
  assert.equal(offline.problem.code, "unreachable");
  assert.ok(offline.nextAttemptAt > Date.now(), "it says when it tries again");

  await browser.context.setOffline(false);
  await popup.ask({ type: "syncNow" });
  const { pageVisits } = await drained(Object.keys(PAGES).length + 3);
  assert.ok(pageVisits.some((row) => row.url === `${site}/tides?offline`));
});

test("a server that is killed and started again gets what was recorded meanwhile, by the alarm alone", async () => {
  await backend.stop("SIGKILL");
  const page = await browser.context.newPage();
  await page.goto(`${site}/charts`);
  await page.close();
  await popup.until(({ pending }) => pending.pageVisits === 1);
  await popup.ask({ type: "syncNow" });
  await popup.part("problem").getByText("can't be reached").waitFor();
  const { nextAttemptAt } = await popup.ask({ type: "status" });

  await backend.start();
  await browser.stopWorker();
  await popup.fireAlarm(nextAttemptAt);
  const { pageVisits } = await drained(Object.keys(PAGES).length + 4);
  assert.equal(pageVisits.filter((row) => row.url === `${site}/charts`).length, 2);
});

/** Waits until nothing is pending. Returns the rows of the database, which must be `visits` and an aggregate for each. */
async function drained(visits) {
  const status = await popup.until(({ pending }) => pending.pageVisits + pending.tabAggregates === 0);
  assert.deepEqual(status.acknowledged, status.captured);
  const rows = await account.rows();
  assert.equal(rows.pageVisits.length, visits);
  assert.deepEqual(
    rows.tabAggregates.map((row) => row.page_visit_id).sort(),
    rows.pageVisits.map((row) => row.id).sort(),
  );
  return rows;
}
