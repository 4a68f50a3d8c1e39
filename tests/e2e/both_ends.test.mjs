// The books checked from both ends, in both browsers: against a server that has lost something, and after the extension
// was removed with all that it kept.
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { PATIENCE_MS } from "../../scripts/lib/firefox.mjs";
import { BROWSERS, marked } from "./either.mjs";
import { records, World } from "./support.mjs";

for (const [name, begin] of Object.entries(BROWSERS)) {
  test(`a server that was restored from an old backup is found out by day, in ${name}`, async (context) => {
    const world = await World.begin();
    context.after(() => world.end());
    const { backend, account } = await world.backend();
    const browser = await installed(begin, world, backend);

    await deliver(browser, 0, 30);
    await browser.click(marked("compare"));
    await browser.shows("compared", "All there: your server has everything that was compared, 60 in all.");

    const backup = path.join(world.folder, "backup");
    await mkdir(backup);
    await backend.stop();
    await copyDatabase(world.folder, backup);
    await backend.start();
    await deliver(browser, 30, 4);
    await browser.click(marked("compare"));
    await browser.shows("compared", "All there: your server has everything that was compared, 68 in all.");
    await backend.stop();
    await copyDatabase(backup, world.folder);
    await backend.start();

    await browser.ask({ type: "import", records: records(34, 2).ndjson });
    await browser.click(marked("compare"));
    await browser.shows("compared", "8 of 68 are not there any more, or only in an older version.");
    await browser.shows("comparison-notes", "they can't be sent again");
    await browser.shows("comparison-notes", "4 are still on this computer and not on your server.");
    const today = await browser.evaluate(
      `(async () => new Intl.DateTimeFormat(navigator.language, { dateStyle: "medium" }).format())()`,
    );
    assert.deepEqual(await differences(browser), [[today, "4", "4", "8"]]);

    await browser.click(marked("send-missing"));
    await browser.shows("compared", "8 of 72 are not there any more, or only in an older version.");
    const button = `document.querySelector('${marked("send-missing")}')`;
    assert.equal(await browser.evaluate(`Promise.resolve(${button}.hidden)`), true);
    assert.deepEqual(counts(await account.rows()), [32, 32]);
  });

  test(`what is saved, and brought back after the extension was removed, ends as the same rows, in ${name}`, async (context) => {
    const world = await World.begin();
    context.after(() => world.end());
    const { backend, account } = await world.backend();
    const browser = await installed(begin, world, backend);

    await deliver(browser, 0, 20);
    const { ndjson, ids } = records(0, 60);
    const waiting = ndjson.split("\n").slice(2 * 20);
    await browser.ask({ type: "import", records: waiting.join("\n") });
    const file = await save(browser, world);
    const saved = (await readFile(file, "utf8")).trim().split("\n");
    assert.deepEqual(saved.map(recordOf).sort(), waiting.map(recordOf).sort());
    const before = await account.rows();

    await installAnew(browser);
    const fresh = await browser.ask({ type: "status" });
    assert.deepEqual([fresh.captured, fresh.settings.consent, fresh.email], [per(0), false, null]);
    await setUp(browser, backend);
    const brought = path.join(world.folder, "brought.ndjson");
    await writeFile(brought, saved.join("\n"));
    await choose(browser, brought);
    await browser.shows("data-said", "Taken: 80. Here already: 0. Not taken: 0.");
    await browser.ask({ type: "syncNow" });

    const { captured, acknowledged, pending, health } = await browser.ask({ type: "status" });
    assert.deepEqual([captured, acknowledged, pending], [per(40), per(40), per(0)]);
    assert.ok(health.booksBalance && health.balanced);
    const rows = await account.rows();
    assert.deepEqual(idsOf(rows), [ids.pageVisits.toSorted(), ids.tabAggregates.toSorted()]);
    const pages = ndjson
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ kind }) => kind === "page_visit");
    assert.deepEqual(rows.pageVisits.map(pageOf).sort(), pages.map(({ record }) => pageOf(record)).sort());
    const untouched = rows.pageVisits.filter(({ id }) => before.pageVisits.some((row) => row.id === id));
    assert.deepEqual(untouched.sort(byId), before.pageVisits.sort(byId));
    await browser.click(marked("compare"));
    await browser.shows("compared", "All there: your server has everything that was compared, 80 in all.");
    await browser.shows("comparison-notes", "60 visits and 60 stays of this account");
  });
}

async function installed(begin, world, backend) {
  const downloads = path.join(world.folder, "downloads");
  await mkdir(downloads);
  const preferences = {
    "browser.download.folderList": 2,
    "browser.download.dir": downloads,
    "browser.download.always_ask_before_handling_new_types": false,
  };
  const browser = await begin(world, { preferences });
  await setUp(browser, backend);
  return browser;
}

/** Signs in, opens the settings, and lets nothing sync by itself. */
async function setUp(browser, backend) {
  await browser.signIn(backend.base);
  await browser.openOptions();
  await browser.evaluate("(globalThis.browser ?? chrome).alarms.clearAll()");
}

/** Saves what waits to a file, by the page's button. Returns its path. */
async function save(browser, { folder }) {
  if (browser.page) {
    const download = browser.page.waitForEvent("download");
    await browser.click(marked("export"));
    return (await download).path();
  }
  await browser.click(marked("export"));
  const downloads = path.join(folder, "downloads");
  return browser.firefox.driver.wait(async () => {
    const names = (await readdir(downloads)).filter((name) => name.endsWith(".ndjson"));
    // Firefox keeps the place with an empty file until all of it is there.
    const isWhole = (file) => !existsSync(`${file}.part`) && statSync(file).size > 0;
    const whole = names.find((name) => isWhole(path.join(downloads, name)));
    return whole ? path.join(downloads, whole) : null;
  }, PATIENCE_MS);
}

/** Chooses a file to be brought back. */
async function choose({ page, firefox }, file) {
  if (page) await page.getByTestId("import").setInputFiles(file);
  else await firefox.part("import").sendKeys(file);
}

/** Removes the extension with all that it keeps, and installs it in a browser that was started anew. */
async function installAnew(browser) {
  const { page, firefox } = browser;
  if (page) {
    const gone = page.waitForEvent("close");
    await page.evaluate(() => void chrome.management.uninstallSelf()).catch(() => {});
    await gone;
    await browser.browser.close();
  } else {
    // The extension's page is closed with it, and a Firefox without a page ends.
    await firefox.driver.switchTo().newWindow("tab");
    await firefox.driver.uninstallAddon(firefox.id);
  }
  await browser.start();
}

const per = (both) => ({ pageVisits: both, tabAggregates: both });
const recordOf = (line) => JSON.stringify({ ...JSON.parse(line).record, revision: 1 });
const pageOf = ({ id, url, title }) => [id, url, title].join(" ");
const byId = (one, other) => (one.id < other.id ? -1 : 1);
const counts = ({ pageVisits, tabAggregates }) => [pageVisits.length, tabAggregates.length];
const idsOf = ({ pageVisits, tabAggregates }) =>
  [pageVisits, tabAggregates].map((rows) => rows.map(({ id }) => id).sort());

async function deliver(browser, first, count) {
  await browser.ask({ type: "import", records: records(first, count).ndjson });
  const { outcome } = await browser.ask({ type: "syncNow" });
  assert.equal(outcome, "complete");
}

/** The rows of the table of differences. */
function differences(browser) {
  return browser.evaluate(`(async () => {
    const rows = document.querySelectorAll('[data-testid="differences"] tbody tr');
    return [...rows].map((row) => [...row.children].map((cell) => cell.textContent));
  })()`);
}

async function copyDatabase(from, to) {
  const ofDatabase = (name) => name.startsWith("heyho.db");
  for (const name of (await readdir(to)).filter(ofDatabase)) await rm(path.join(to, name));
  for (const name of (await readdir(from)).filter(ofDatabase))
    await copyFile(path.join(from, name), path.join(to, name));
}
