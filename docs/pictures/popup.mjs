// Draws popup.png: the popup's own page, told three states. Run it after a change of the popup's looks.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { programs, root } from "../../scripts/setup.mjs";

const extension = path.join(root, "extension");
const messages = JSON.parse(await readFile(path.join(extension, "_locales/en/messages.json"), "utf8"));
const MINUTE_MS = 60_000;
const WIDTH = 360;
const MARGIN = 28;

const per = (pageVisits, tabAggregates) => ({ pageVisits, tabAggregates });
const snapshot = (change) => ({
  state: "idle",
  pending: per(0, 0),
  acknowledged: per(8_651, 12_904),
  quarantined: per(0, 0),
  problem: null,
  progress: null,
  lastSuccessAt: Date.now() - 2 * MINUTE_MS,
  nextAttemptAt: Date.now() + 3 * MINUTE_MS,
  email: "ada@example.org",
  settings: { serverUrl: "https://sync.example.org/api/v1", consent: true, paused: false },
  ...change,
});

const PANELS = [
  { colorScheme: "light", status: snapshot({}) },
  {
    colorScheme: "light",
    status: snapshot({
      state: "waiting",
      pending: per(37, 52),
      problem: { code: "unreachable", message: "", since: Date.now() - 40 * MINUTE_MS },
      lastSuccessAt: Date.now() - 41 * MINUTE_MS,
    }),
  },
  {
    colorScheme: "dark",
    status: snapshot({
      state: "syncing",
      pending: per(1_351, 2_044),
      acknowledged: per(7_300, 10_860),
      progress: { done: 5_200, total: 8_595 },
      lastSuccessAt: Date.now(),
    }),
  },
];

const browser = await chromium.launch({
  executablePath: programs.chromium(),
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
try {
  const pictures = [];
  for (const panel of PANELS) pictures.push(await draw(panel));
  const height = Math.max(...pictures.map((picture) => picture.height));
  const sheet = await browser.newPage({
    viewport: { width: MARGIN + pictures.length * (WIDTH + MARGIN), height: height + 2 * MARGIN },
    deviceScaleFactor: 1.2,
  });
  const images = pictures.map(({ png }) => `<img width="${WIDTH}" src="data:image/png;base64,${png}">`);
  await sheet.setContent(`<style>
    body { margin: ${MARGIN}px; display: flex; gap: ${MARGIN}px; align-items: start; background: #c9d3d4 }
    img { border-radius: 10px }
  </style>${images.join("")}`);
  await sheet.screenshot({ path: path.join(root, "docs/pictures/popup.png") });
} finally {
  await browser.close();
}

async function draw({ colorScheme, status }) {
  const context = await browser.newContext({
    colorScheme,
    deviceScaleFactor: 2,
    viewport: { width: WIDTH, height: 400 },
    reducedMotion: "reduce",
  });
  await context.route("http://popup.test/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    const body = await readFile(path.join(extension, pathname), "utf8");
    const contentType = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript" };
    // What the build would bundle is loaded piece by piece here.
    await route.fulfill({
      body: body.replace('src="popup.js" defer', 'src="popup.js" type="module"'),
      contentType: contentType[path.extname(pathname)],
    });
  });
  const page = await context.newPage();
  await page.addInitScript(pretendToBeTheBrowser, { status, messages });
  await page.goto("http://popup.test/popup/popup.html");
  await page.locator('body:not([data-scene="loading"])').waitFor();
  const png = await page.screenshot({ fullPage: true, animations: "disabled" });
  const height = await page.evaluate(() => document.documentElement.offsetHeight);
  await context.close();
  return { png: png.toString("base64"), height };
}

/** Runs in the page: as much of the extension API as the popup asks for. */
function pretendToBeTheBrowser({ status, messages }) {
  const text = (key, values = []) => {
    const { message, placeholders = {} } = messages[key] ?? { message: "" };
    return message.replace(/\$(\w+)\$/g, (_, name) => {
      const place = Number(placeholders[name.toLowerCase()].content.slice(1));
      return values[place - 1];
    });
  };
  globalThis.chrome = {
    runtime: { id: "popup", sendMessage: async () => status },
    i18n: { getUILanguage: () => "en", getMessage: text },
    storage: { session: { get: async () => ({}), onChanged: { addListener() {} } } },
  };
}
