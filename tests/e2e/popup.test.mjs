// The popup and what a user does in it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CREDENTIALS, World } from "./support.mjs";

let world, backend, account, site, browser, popup;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  site = await world.site();
  browser = await world.browser();
  popup = await browser.openPopup();
});
after(() => world.end());

test("nothing is recorded before the user says yes", async () => {
  await popup.part("consent").waitFor();
  const page = await browser.context.newPage();
  await page.goto(`${site}/tides`);
  await page.close();
  const { captured } = await popup.ask({ type: "status" });
  assert.deepEqual(captured, { pageVisits: 0, tabAggregates: 0 });

  await popup.part("consent-yes").click();
  await popup.part("sign-in-form").waitFor();
  assert.equal((await popup.ask({ type: "status" })).settings.consent, true);
});

test("a wrong password is told in words, and keeps nobody signed in", async () => {
  await signIn(backend.base, { ...CREDENTIALS, password: "not the password" });
  await popup.part("sign-in-error").getByText("E-mail or password is wrong.").waitFor();
  assert.equal((await popup.ask({ type: "status" })).state, "signedOut");
});

test("an address that is not secure is refused before anything is sent", async () => {
  await signIn("http://example.org/api/v1", CREDENTIALS);
  await popup.part("sign-in-error").getByText("must begin with https://").waitFor();
  assert.equal((await popup.ask({ type: "status" })).settings.serverUrl, backend.base);
});

test("a visit becomes a row in the database, and only then leaves the outbox", async () => {
  await signIn(backend.base, CREDENTIALS);
  await popup.part("account-name").getByText(CREDENTIALS.email).waitFor();

  const page = await browser.context.newPage();
  await page.goto(`${site}/lighthouse`);
  await page.close();
  const { pending } = await popup.until(({ pending }) => pending.pageVisits === 1);
  const waiting = String(pending.pageVisits + pending.tabAggregates);
  await popup.part("pending-count").filter({ hasText: waiting }).waitFor();

  await popup.part("sync-now").click();
  const settled = await popup.until(({ pending }) => pending.pageVisits + pending.tabAggregates === 0);
  assert.deepEqual(settled.acknowledged, settled.captured);
  await popup.part("state").getByText("Everything is safe").waitFor();
  assert.equal(await popup.part("last-success").textContent(), "Just now");

  const rows = await account.rows();
  assert.deepEqual(
    rows.pageVisits.map(({ url, title }) => ({ url, title })),
    [{ url: `${site}/lighthouse`, title: "The lighthouse keeper's log" }],
  );
  assert.deepEqual(
    rows.tabAggregates.map((row) => row.page_visit_id),
    rows.pageVisits.map((row) => row.id),
  );
});

test("a pause stops the recording and its end goes on with it", async () => {
  await popup.part("pause").click();
  await popup.until(({ settings }) => settings.paused);
  await visit("/knots");

  await popup.part("pause").click();
  await popup.until(({ settings }) => !settings.paused);
  await visit("/charts");
  await popup.until(({ pending }) => pending.tabAggregates > 0);
  await popup.ask({ type: "syncNow" });
  const { pageVisits } = await account.rows();
  assert.deepEqual(pageVisits.map((row) => row.url).sort(), [`${site}/charts`, `${site}/lighthouse`]);
});

test("after signing out records are kept and nothing is sent", async () => {
  await popup.part("sign-out").click();
  await popup.until(({ state }) => state === "signedOut");
  await visit("/weather");
  const { pending } = await popup.until(({ pending }) => pending.tabAggregates > 0);
  await popup.ask({ type: "syncNow" });
  assert.deepEqual((await popup.ask({ type: "status" })).pending, pending);
  assert.equal((await account.rows()).pageVisits.length, 2);
});

test("the popup's parts can be reached with the keyboard, in their order", async () => {
  const reached = [];
  await popup.page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
  });
  for (let press = 0; press < 5; press++) {
    await popup.page.keyboard.press("Tab");
    reached.push(await popup.page.evaluate(() => document.activeElement?.getAttribute("data-testid")));
  }
  assert.deepEqual(reached, ["pause", "email", "password", "server-address", "sign-in"]);
});

async function signIn(server, { email, password }) {
  await popup.part("email").fill(email);
  await popup.part("password").fill(password);
  await popup.part("server-address").fill(server);
  await popup.part("sign-in").click();
}

async function visit(path) {
  const page = await browser.context.newPage();
  await page.goto(site + path);
  await page.close();
}
