// The whole way, to be watched: pages browsed in Chromium become rows in the backend's database.
// Flags: --headless (chosen by itself where there is no display), --keep (leaves everything running).
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as stay } from "node:timers/promises";
import { Backend, buildBackend } from "./lib/backend.mjs";
import { booksOf, printBooks, printRows } from "./lib/books.mjs";
import { root, setUpDemo } from "./setup.mjs";

const STAY_MS = 1_200;
const EVERYTHING_MS = 60_000;
const USER = { email: "ada@example.org", password: "a paper boat goes far" };

const keep = process.argv.includes("--keep");
const headless = process.argv.includes("--headless") || (process.platform === "linux" && !hasDisplay());
const folder = path.join(root, "demo");

setUpDemo();
// Not imported at the top: their packages may have been installed only just now.
const { build } = await import("./build.mjs");
const { launchChromium } = await import("./lib/chromium.mjs");
const { startSite } = await import("./lib/site.mjs");

await build();
say("building the backend");
const program = buildBackend();
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

say("starting the backend on a fresh SQLite database, and a small web site");
const backend = await Backend.start(program, path.join(folder, "heyho.db"));
const account = await backend.account(USER.email, USER.password);
const site = await startSite();

say(`opening Chromium with the extension${headless ? " (without a window)" : ""}`);
const browser = await launchChromium({ profile: path.join(folder, "profile"), headless });
try {
  const balanced = await run();
  if (keep) await staysOpen();
  process.exitCode = balanced ? 0 : 1;
} finally {
  await browser.close().catch(() => {});
  await backend.stop();
  site.stop();
}

async function run() {
  const popup = await browser.openPopup();
  say(`saying yes to the recording, and signing in as ${USER.email}`);
  await popup.setUp(backend.base, USER);

  say("browsing a few pages");
  await walk(["/", "/lighthouse", "/tides"]);
  await popup.until(({ captured }) => captured.pageVisits >= 3);
  await popup.ask({ type: "syncNow" });
  await tellStatus(popup);

  say("cutting the server off, and browsing on");
  await backend.stop();
  await walk(["/knots", "/charts"]);
  await popup.until(({ captured }) => captured.pageVisits >= 5);
  await popup.ask({ type: "syncNow" });
  await tellStatus(popup);

  say("bringing the server back");
  await backend.start();
  await walk(["/weather"]);
  await popup.until(({ captured }) => captured.pageVisits >= 6);
  await popup.part("sync-now").click();
  const delivered = popup.until(({ pending, state }) => {
    return state !== "syncing" && pending.pageVisits + pending.tabAggregates === 0;
  });
  await Promise.race([delivered, stay(EVERYTHING_MS, undefined, { ref: false })]);
  await tellStatus(popup);

  await popup.page.setViewportSize({ width: 360, height: 480 });
  const picture = path.join(folder, "popup.png");
  await popup.page.screenshot({ path: picture, fullPage: true, animations: "disabled" });

  const books = booksOf(await popup.ask({ type: "status" }), await account.rows());
  printRows(books.rows);
  printBooks(books);
  console.log(`\nThe popup's picture: ${path.relative(process.cwd(), picture)}`);
  console.log(
    books.faults.length ? `\nThe books don't balance: ${books.faults.join("; ")}.` : "\nThe books balance.",
  );
  return books.faults.length === 0;
}

/** Opens a tab, goes through the pages in it by their links, and closes it. */
async function walk([first, ...others]) {
  const page = await browser.context.newPage();
  await page.goto(site.address + first);
  await stay(STAY_MS);
  for (const path of others) {
    await page.locator(`a[href="${path}"]`).click();
    await stay(STAY_MS);
  }
  await page.close();
}

async function tellStatus(popup) {
  const texts = ["state", "state-detail"].map((part) => popup.part(part).textContent());
  const [state, detail] = await Promise.all(texts);
  const { pending, acknowledged } = await popup.ask({ type: "status" });
  const count = ({ pageVisits, tabAggregates }) => `${pageVisits} visits and ${tabAggregates} aggregates`;
  console.log(`      popup: "${state}" (${detail})`);
  console.log(`      waiting: ${count(pending)}; acknowledged: ${count(acknowledged)}`);
}

async function staysOpen() {
  console.log(`\nEverything stays open: the backend at ${backend.base}, the site at ${site.address}.`);
  console.log(`Sign in as ${USER.email} with "${USER.password}". Ctrl-C or closing the browser ends it.`);
  const stopped = new Promise((resolve) => process.once("SIGINT", resolve));
  const closed = new Promise((resolve) => browser.context.once("close", resolve));
  await Promise.race([stopped, closed]);
}

function hasDisplay() {
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

function say(what) {
  console.log(`demo: ${what}`);
}
