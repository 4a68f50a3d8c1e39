// The same source in Firefox's event page: from a visit to a row, with the event page ended in between.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchFirefox } from "../../scripts/lib/firefox.mjs";
import { CREDENTIALS, World } from "./support.mjs";

let world, backend, account, site, firefox;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  site = await world.site();
  firefox = await launchFirefox();
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
