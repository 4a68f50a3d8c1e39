// What the user wants gone is gone: here, and in the real server's database.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Proxy } from "./proxy.mjs";
import { CREDENTIALS, World } from "./support.mjs";

let world, account, site, browser, popup;
/** The bodies of the uploads, as they were on the wire. */
const uploads = [];

before(async () => {
  world = await World.begin();
  let backend;
  ({ backend, account } = await world.backend());
  const proxy = await Proxy.start(backend);
  world.endsWith(() => proxy.end());
  proxy.onUpload = async (body) => uploads.push(JSON.stringify(body));
  site = await world.site();
  browser = await world.browser();
  popup = await browser.openPopup();
  await popup.setUp(proxy.base, CREDENTIALS);
});
after(() => world.end());

test("a site that is forgotten is gone here and on the server, and everything that is erased too", async () => {
  const sentinel = site.replace("127.0.0.1", "sentinel.localhost");
  await visit(`${sentinel}/tides`, `${site}/knots`);
  await popup.ask({ type: "syncNow" });
  await popup.until(({ pending }) => pending.pageVisits + pending.tabAggregates === 0);
  assert.equal((await account.rows()).pageVisits.length, 2);

  await visit(`${sentinel}/charts`, `${site}/weather`);
  await popup.until(({ pending }) => pending.pageVisits === 2);
  uploads.length = 0;
  const { discarded } = await popup.ask({ type: "forgetSite", site: "sentinel.localhost" });
  assert.equal(discarded.pageVisits, 1);
  const forgotten = await popup.until(
    ({ erasing, pending }) => erasing.length + pending.pageVisits + pending.tabAggregates === 0,
  );
  assert.equal(forgotten.health.booksBalance, true);
  const { pageVisits, tabAggregates } = await account.rows();
  assert.deepEqual(
    pageVisits.map(({ url }) => url).sort(),
    ["/knots", "/weather"].map((path) => site + path),
  );
  assert.ok(!JSON.stringify([pageVisits, tabAggregates]).includes("sentinel"));
  assert.ok(uploads.length > 0 && !uploads.join().includes("sentinel"));

  await popup.ask({ type: "eraseAll" });
  const erased = await popup.until(({ erasing }) => erasing.length === 0);
  assert.ok(erased.signedIn && erased.captured.pageVisits === 4);
  assert.deepEqual(await account.rows(), { pageVisits: [], tabAggregates: [] });
});

test("what names no site is refused with the field's name and nothing of what was typed", async () => {
  const refusal = await popup.ask({ type: "forgetSite", site: "no site" }).catch(String);
  assert.match(refusal, /invalid_argument: site/);
  assert.ok(!refusal.includes("no site"));
});

test("deletions in the browser's history are heard of as soon as the user allows it", async () => {
  const listeners = {};
  const event = (name) => ({ addListener: (listener) => (listeners[name] = listener) });
  const stub = { runtime: { id: "stub" }, permissions: { onAdded: event("added") } };
  globalThis.chrome = stub;
  const { observeDeletions } = await import("../../extension/capture.js");
  const heard = [];
  observeDeletions((urls) => heard.push(urls));
  stub.history = { onVisitRemoved: event("removed") };
  listeners.added();
  listeners.removed({ allHistory: false, urls: ["https://example.org/"] });
  listeners.removed({ allHistory: true });
  assert.deepEqual(heard, [["https://example.org/"], "all"]);
});

/** Visits pages in a tab of their own, one after the other. */
async function visit(...urls) {
  const page = await browser.context.newPage();
  for (const url of urls) await page.goto(url);
  await page.close();
}
