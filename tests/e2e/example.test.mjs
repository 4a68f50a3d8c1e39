// Another extension that adopts pkg/ by itself.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { launchChromium } from "../../scripts/lib/chromium.mjs";
import { root } from "../../scripts/setup.mjs";
import { World } from "./support.mjs";

let world, backend, account, worker;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  const extension = path.join(world.folder, "minimal");
  await cp(path.join(root, "examples", "minimal"), extension, { recursive: true });
  await cp(path.join(root, "pkg"), path.join(extension, "pkg"), { recursive: true });
  const profile = path.join(world.folder, "profile");
  const browser = await launchChromium({ profile, extension, asksForConsent: false });
  world.endsWith(() => browser.close());
  worker = browser.worker;
});
after(() => world.end());

test("an extension of thirty lines keeps a page and delivers it", async () => {
  await worker.evaluate((settings) => chrome.storage.local.set(settings), {
    serverUrl: backend.base,
    session: await account.session(),
  });
  const report = await worker.evaluate(() => keep("https://example.org/tides", "Tides"));
  assert.deepEqual([report.outcome, report.created], ["complete", 1]);
  const { pageVisits } = await account.rows();
  assert.deepEqual(
    pageVisits.map(({ url, title }) => [url, title]),
    [["https://example.org/tides", "Tides"]],
  );
});

test("a page that can't be delivered waits, and an alarm is set for it", async () => {
  await backend.stop();
  const report = await worker.evaluate(() => keep("https://example.org/knots", "Knots"));
  assert.equal(report.outcome, "incomplete");
  assert.ok(await worker.evaluate(() => chrome.alarms.get("retry")));
  await backend.start();
  const again = await worker.evaluate(async () => (await core()).sync({ force: true }));
  assert.deepEqual([again.outcome, again.created], ["complete", 1]);
});
