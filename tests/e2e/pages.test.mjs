// What the buttons of the extension's pages do, and what is told where it fails. The background is made up.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { programs } from "../../scripts/setup.mjs";
import { snapshot } from "./states.mjs";
import { openTold } from "./told.mjs";

const FULL = { error: { name: "StorageError", code: "quota_exceeded", message: "" } };
const NO_ROOM = "There is no room left for what should be kept.";
const owner = (account) => ({ origin: "https://sync.example.org", account });
const refused = (kind, id, record, reason = "refused") => ({
  kind,
  id,
  revision: 1,
  capturedAt: 0,
  note: { reason, at: 0 },
  record: { id, ...record },
});

const VISIT = refused("page_visit", "v1", { title: "Tides", url: "https://harbour.example/tides" });
const OTHER = refused("page_visit", "v2", { title: "Charts", url: "https://harbour.example/charts" });
const STAY = refused("tab_aggregate", "a1", { page_visit_id: "v1" }, "follows_its_visit");
const line = (of, { kind, record }) => `${JSON.stringify({ kind, owner: of && owner(of), record })}\n`;
const LINES = [line("ada", VISIT), line(null, OTHER), line("ada", STAY)];
const counted = { pageVisits: 2, tabAggregates: 1 };

const replies = (change = {}) => ({
  status: snapshot({ quarantined: counted }, { excludedSites: ["bank.example", "clinic.example"] }),
  "quarantine.list": [VISIT, OTHER, STAY],
  "archive.list": [],
  export: { text: LINES.join(""), next: null },
  ...change,
});

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: programs.chromium(),
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
});
after(() => browser.close());

/** A page that has drawn what is refused. */
async function open(page, change) {
  const opened = await openTold(browser, { page, replies: replies(change) }, {});
  if (page === "popup") await opened.getByTestId("quarantined").locator("summary").click();
  await opened.getByTestId("quarantine-list").getByText("Charts").waitFor();
  return opened;
}

async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click.click()]);
  return readFile(await download.path(), "utf8");
}

for (const name of ["popup", "options"]) {
  test(`${name}: a refused record is saved with the stays that follow it, and with whose it is`, async () => {
    const page = await open(name);
    const [one] = [page.getByRole("button", { name: "Save: Tides" })];
    assert.equal(await saved(page, one), LINES[0] + LINES[2]);
    const all = page.getByTestId(name === "popup" ? "export-all" : "export-set-aside");
    assert.equal(await saved(page, all), LINES.join(""));
  });
}

test("to give all up takes what is listed, and says how many before", async () => {
  const page = await open("options");
  const all = page.getByTestId("discard-all");
  await all.click();
  assert.equal(await all.textContent(), "Really give up 3?");
  await all.click();
  const asked = await page.evaluate(() => globalThis.asked.find(({ type }) => type === "quarantine.discard"));
  assert.deepEqual(asked.ids, ["v1", "v2", "a1"]);
});

test("whoever hears the page hears too that a button asks again, and of what", async () => {
  const page = await open("options");
  const list = page.getByTestId("quarantine-list");
  await list.getByRole("button", { name: "Give up: Tides", exact: true }).click();
  const asks = list.getByRole("button", { name: "Really? Give up: Tides", exact: true });
  await asks.waitFor();
  await asks.blur();
  await list.getByRole("button", { name: "Give up: Tides", exact: true }).waitFor();
});

test("a pause that fails is told in the popup, for as long as nothing else is tried, and hides nothing", async () => {
  const page = await open("popup", { setSettings: FULL });
  await page.getByTestId("pause").click();
  await page.getByTestId("problem-what").getByText(NO_ROOM).waitFor();
  await page.evaluate((status) => globalThis.tellStatus(status), snapshot({ quarantined: counted }));
  assert.deepEqual(
    await Promise.all(["problem", "pause", "figures"].map((part) => page.getByTestId(part).isVisible())),
    [true, true, true],
  );
  await page.getByTestId("sync-now").click();
  await page.getByTestId("problem").waitFor({ state: "hidden" });
});

test("a retry that fails is told in the popup", async () => {
  const page = await open("popup", { "quarantine.retry": FULL });
  await page.getByTestId("retry-all").click();
  await page.getByTestId("problem-what").getByText(NO_ROOM).waitFor();
  const asked = await page.evaluate(() => globalThis.asked.map(({ type }) => type));
  assert.equal(asked.at(-1), "quarantine.retry", "a status would be shown over it");
});

test("a setting that is refused doesn't stay as clicked", async () => {
  const page = await open("options", { setSettings: FULL });
  await page.getByTestId("paused").click();
  await page.getByTestId("problem-what").getByText(NO_ROOM).waitFor();
  assert.equal(await page.getByTestId("paused").isChecked(), false);
});

test("a button stays in its place while the figures change", async () => {
  const page = await open("options");
  const tell = (change, settings) =>
    page.evaluate((status) => globalThis.tellStatus(status), snapshot(change, settings));
  const elsewhere = [{ server: "https://old.example.org", mayBeTaken: true, ...counted }];
  const excludedSites = ["bank.example"];
  await tell({ elsewhere }, { excludedSites });
  const buttons = await page.locator('[data-testid="exclusions"] button, [data-testid="elsewhere"] button');
  const before = await buttons.elementHandles();
  assert.equal(before.length, 2);
  await tell({ elsewhere, acknowledged: { pageVisits: 1, tabAggregates: 1 } }, { excludedSites });
  for (const each of before) assert.ok(await each.evaluate((button) => button.isConnected));
  await tell({ elsewhere: [] }, { excludedSites: [] });
  assert.equal(await buttons.count(), 0);
});

test("a file that can't be read is told, and another one can be chosen", async () => {
  const page = await open("options");
  await page.evaluate(() => {
    File.prototype.stream = () =>
      new ReadableStream({ start: (stream) => stream.error(new DOMException("", "NotReadableError")) });
  });
  await page.getByTestId("import").setInputFiles({ name: "a", mimeType: "", buffer: Buffer.from("x") });
  await page.getByTestId("data-said").getByText("The file could not be read.").waitFor();
  assert.ok(await page.getByTestId("import").isEnabled());
});
