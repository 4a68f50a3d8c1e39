// The same source in Firefox's event page: from a visit to a row, with the event page ended in between.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchFirefox, PATIENCE_MS } from "../../scripts/lib/firefox.mjs";
import { CREDENTIALS, World } from "./support.mjs";

let world, backend, account, site, firefox;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  site = await world.site();
  // Firefox asks in a panel of its own, which a driver can't answer; what is asked for is granted without it.
  firefox = await launchFirefox({ "extensions.webextOptionalPermissionPrompts": false });
  world.endsWith(() => firefox.close());
});
after(() => world.end());

test("a visit in Firefox becomes a row in the database, though the event page ends before the upload", async () => {
  await firefox.openPopup();
  await firefox.part("consent-yes").click();
  await firefox.untilShown("state", "Not signed in");
  await firefox.ask({ type: "setSettings", settings: { serverUrl: backend.base } });
  assert.equal((await firefox.ask({ type: "signIn", ...CREDENTIALS })).error, undefined);
  await firefox.untilShown("account-name", CREDENTIALS.email);

  await firefox.driver.get(`${site}/lighthouse`);
  await firefox.openPopup();
  await firefox.untilShown("pending-count", "2");
  await firefox.stopBackground();
  await firefox.part("sync-now").click();
  await firefox.untilShown("state", "Everything is safe");

  const { captured, acknowledged } = await firefox.ask({ type: "status" });
  assert.deepEqual(acknowledged, captured);
  const rows = await account.rows();
  assert.deepEqual(
    rows.pageVisits.map(({ url, title }) => [url, title]),
    [[`${site}/lighthouse`, "The lighthouse keeper's log"]],
  );
});

test("how far pages are scrolled is measured once the user allows it, until they take that back", async () => {
  const registered = () => firefox.evaluate("browser.scripting.getRegisteredContentScripts()");
  const becomes = (count) =>
    firefox.driver.wait(async () => (await registered()).length === count, PATIENCE_MS);
  assert.deepEqual(await registered(), []);
  await firefox.openPage("options/options.html", 'body[data-ready="true"]');
  await firefox.part("scrolling").click();
  await becomes(1);

  await firefox.driver.get(`${site}/charts`);
  await firefox.openPopup();
  await firefox.ask({ type: "syncNow" });
  const { pageVisits, tabAggregates } = await account.rows();
  const { id } = pageVisits.find(({ url }) => url === `${site}/charts`);
  const { scroll_depth_percent } = tabAggregates.find((aggregate) => aggregate.page_visit_id === id);
  assert.equal(Number(scroll_depth_percent), 100, "the whole page fits into the window");

  await firefox.evaluate('browser.permissions.remove({ data_collection: ["websiteActivity"] })');
  await becomes(0);
});

test("what nothing works without can't be taken back in Firefox, only in the extension's own settings", async () => {
  await firefox.evaluate('browser.permissions.remove({ data_collection: ["browsingActivity"] })');
  const { data_collection: kinds } = await firefox.evaluate("browser.permissions.getAll()");
  assert.deepEqual(kinds, ["browsingActivity", "authenticationInfo", "personallyIdentifyingInfo"]);

  await firefox.openPage("options/options.html", 'body[data-ready="true"]');
  await firefox.part("consent").click();
  const consent = async () => (await firefox.ask({ type: "status" })).settings.consent;
  await firefox.driver.wait(async () => !(await consent()), PATIENCE_MS);
});
