// Draws the extension's own pages, told states that a test can't easily bring about. Without arguments it draws the
// pictures of the documents; run it so after a change of the looks. `node docs/pictures/draw.mjs FOLDER` draws every
// page in every state, light and dark, to be looked at.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { programs, root } from "../../scripts/setup.mjs";
import { STATES } from "../../tests/e2e/states.mjs";
import { openTold } from "../../tests/e2e/told.mjs";

const WIDTHS = { popup: 360, options: 1040, firstrun: 1040 };

const [folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: programs.chromium(),
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
try {
  if (folder) await drawAll(folder);
  else await drawDocuments();
} finally {
  await browser.close();
}

async function drawAll(into) {
  await mkdir(into, { recursive: true });
  for (const [name, state] of Object.entries(STATES)) {
    for (const colorScheme of ["light", "dark"]) {
      await draw(state, { colorScheme, file: path.join(into, `${name}-${colorScheme}.png`) });
    }
  }
}

async function drawDocuments() {
  await drawSheet("popup.png", [
    ["popup-safe", "light"],
    ["popup-held-up", "light"],
    ["popup-syncing", "dark"],
  ]);
  for (const name of ["firstrun", "options"]) {
    const file = path.join(root, "docs/pictures", `${name}.png`);
    await draw(STATES[name], { colorScheme: "light", file, scale: 1, clip: 760 });
  }
}

/** Some popups side by side. */
async function drawSheet(file, panels) {
  const margin = 28;
  const width = WIDTHS.popup;
  const pictures = [];
  for (const [name, colorScheme] of panels) {
    pictures.push(await draw(STATES[name], { colorScheme }));
  }
  const height = Math.max(...pictures.map((picture) => picture.height));
  const sheet = await browser.newPage({
    viewport: { width: margin + pictures.length * (width + margin), height: height + 2 * margin },
    deviceScaleFactor: 1.2,
  });
  const images = pictures.map(
    ({ png }) => `<img width="${width}" src="data:image/png;base64,${png.toString("base64")}">`,
  );
  await sheet.setContent(`<style>
    body { margin: ${margin}px; display: flex; gap: ${margin}px; align-items: start; background: #c9d3d4 }
    img { border-radius: 10px }
  </style>${images.join("")}`);
  await sheet.screenshot({ path: path.join(root, "docs/pictures", file) });
  await sheet.close();
}

/** Draws one page in one state, magnified as its `zoom` says. */
async function draw({ zoom = 1, ...state }, { colorScheme, file, scale = 2, clip }) {
  const width = WIDTHS[state.page];
  const page = await openTold(browser, state, {
    colorScheme,
    deviceScaleFactor: scale * zoom,
    viewport: { width: Math.round(width / zoom), height: clip ?? Math.round(700 / zoom) },
  });
  const png = await page.screenshot({ path: file, fullPage: !clip, animations: "disabled" });
  const height = await page.evaluate(() => document.documentElement.offsetHeight);
  await page.context().close();
  return { png, height };
}
