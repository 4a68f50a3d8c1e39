// The settings, and what a user does there and in the popup about trouble.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { launchChromium } from "../../scripts/lib/chromium.mjs";
import { CREDENTIALS, records, World } from "./support.mjs";
import { Wiretap } from "./wiretap.mjs";

let world, backend, account, tap, browser, popup, options;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
  tap = await Wiretap.begin(backend);
  world.endsWith(() => tap.end());
  browser = await launchChromium({
    profile: path.join(world.folder, "profile"),
    args: [`--proxy-server=127.0.0.1:${tap.port}`, "--proxy-bypass-list=<-loopback>"],
  });
  world.endsWith(() => browser.close());
  popup = await browser.openPopup();
  await popup.setUp(backend.base, CREDENTIALS);
  options = await browser.context.newPage();
  await options.goto(`chrome-extension://${browser.extensionId}/options/options.html`);
  await options.locator('body[data-ready="true"]').waitFor();
});
after(() => world.end());

const part = (testId) => options.getByTestId(testId);

async function visit(url) {
  const page = await browser.context.newPage();
  await page.goto(url);
  await page.close();
}

test("a site is excluded and taken back, and what is no site is told and changes nothing", async () => {
  await part("exclude-site").fill("bank.example");
  await part("exclude").click();
  await part("exclusions").getByText("bank.example").waitFor();
  await part("exclude-site").fill("not a site");
  await part("exclude").click();
  await part("exclude-said").getByText("This is not the name of a site").waitFor();
  assert.deepEqual((await popup.ask({ type: "status" })).settings.excludedSites, ["bank.example"]);
  await options.getByRole("button", { name: "Record bank.example again" }).click();
  await popup.until(({ settings }) => settings.excludedSites.length === 0);
});

test("the interval is the alarm's, and a senseless one is refused", async () => {
  await part("interval").fill("17");
  await part("delivery-save").click();
  await part("delivery-said").getByText("Saved.").waitFor();
  const period = await options.evaluate(async () => (await chrome.alarms.get("sync")).periodInMinutes);
  assert.equal(period, 17);
  await assert.rejects(popup.ask({ type: "setSettings", settings: { intervalMinutes: 0 } }));
});

test("an address that is not secure is refused in words", async () => {
  await part("server-address").fill("http://example.org/api/v1");
  await part("server-save").click();
  await part("server-said").getByText("must begin with https://").waitFor();
  assert.equal((await popup.ask({ type: "status" })).settings.serverUrl, backend.base);
});

test("a record that waits is found by a part of its address, and one that was delivered is told to be gone", async () => {
  tap.instead = 503;
  await visit("http://waiting.example/harbour");
  await popup.part("find").locator("summary").click();
  const look = async (text) => {
    await popup.part("find-text").fill(text);
    await popup.part("find-go").click();
  };
  await look("waiting.example");
  await popup.part("found").getByText("Waits on this computer.").waitFor();
  tap.instead = null;
  await popup.ask({ type: "syncNow" });
  await look("waiting.example");
  await popup.part("found").getByText("your server has confirmed it").waitFor();
});

test("what waits is saved to a file and brought back from it, once", async () => {
  tap.instead = 503;
  const { ndjson } = records(0, 3);
  await popup.ask({ type: "import", records: ndjson });
  const [download] = await Promise.all([options.waitForEvent("download"), part("export").click()]);
  const saved = await readFile(await download.path(), "utf8");
  const ids = (lines) =>
    lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).record.id)
      .sort();
  assert.deepEqual(ids(saved), ids(ndjson));
  const file = { name: "records.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(saved) };
  await part("import").setInputFiles(file);
  await part("data-said").getByText("Taken: 0. Here already: 6. Not taken: 0.").waitFor();
  tap.instead = null;
  await popup.ask({ type: "syncNow" });
});

test("the books in the settings add up to what was recorded", async () => {
  const status = await popup.ask({ type: "status" });
  const number = (text) => Number(text.replaceAll(/\D/g, ""));
  const rows = await part("books")
    .locator("tr")
    .evaluateAll((all) => {
      return all.map((row) => [...row.querySelectorAll("td:not(:empty)")].map((cell) => cell.textContent));
    });
  const [sum, captured] = rows.slice(-2).map((row) => row.map(number));
  assert.deepEqual(sum, captured);
  assert.deepEqual(captured.slice(0, 2), [status.captured.pageVisits, status.captured.tabAggregates]);
  assert.ok(captured[2] > 0);
});

test("the heartbeat beats only while somebody reads", async () => {
  const beats = () => options.evaluate(async () => !!(await chrome.alarms.get("heartbeat")));
  const page = await browser.context.newPage();
  await page.goto("http://reading.example/harbour");
  await options.waitForFunction(async () => !!(await chrome.alarms.get("heartbeat")));
  await page.close();
  await options.bringToFront();
  await options.waitForFunction(async () => !(await chrome.alarms.get("heartbeat")));
  assert.equal(await beats(), false);
});

test("a site is forgotten, and everything is erased for the typed word, here and on the server", async () => {
  await visit("http://fine.example/harbour");
  await popup.ask({ type: "syncNow" });
  await part("forget-site").fill("fine.example");
  await part("forget").click();
  await part("forget-said").getByText("Forgotten on this computer.").waitFor();
  await popup.until(({ erasing }) => erasing.length === 0);
  const urls = async () => (await account.rows()).pageVisits.map(({ url }) => url);
  const left = await urls();
  assert.ok(left.length > 0 && !left.some((url) => url.includes("fine.example")));

  await part("erase-word").fill("eras");
  assert.equal(await part("erase").isDisabled(), true);
  await part("erase-word").fill("erase");
  await part("erase").click();
  await part("erase-said").getByText("Erased on this computer.").waitFor();
  await popup.until(({ erasing }) => erasing.length === 0);
  assert.deepEqual(await urls(), []);
});

test("Chromium has nothing to say against the manifest, and no page or worker has failed", async () => {
  const page = await browser.context.newPage();
  await page.goto("chrome://extensions");
  const { manifestErrors, runtimeErrors, installWarnings } = await page.evaluate(async (id) => {
    return chrome.developerPrivate.getExtensionInfo(id);
  }, browser.extensionId);
  assert.deepEqual([manifestErrors, runtimeErrors, installWarnings ?? []], [[], [], []]);
});
