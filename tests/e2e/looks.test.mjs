// The extension's pages in every state: whether everybody can read and use them.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { programs } from "../../scripts/setup.mjs";
import { STATES } from "./states.mjs";
import { openTold } from "./told.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: programs.chromium(),
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
});
after(() => browser.close());

test("axe finds nothing to mend on any page in any state, and the dark colours can be read too", async () => {
  for (const [name, state] of Object.entries(STATES)) {
    const page = await openTold(browser, state, { colorScheme: "light" });
    await page.addScriptTag({ path: axe });
    assert.deepEqual(await violations(page, {}), [], name);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.deepEqual(await violations(page, { runOnly: ["color-contrast"] }), [], `${name}, dark`);
    await page.context().close();
  }
});

test("at 200 % nothing is cut off at the side", async () => {
  // A popup gets wider with its zoom, as far as the browser lets it: 800 px.
  const widths = { popup: 400, options: 512, firstrun: 512 };
  for (const [name, state] of Object.entries(STATES)) {
    const viewport = { width: widths[state.page], height: 360 };
    const page = await openTold(browser, state, { viewport, deviceScaleFactor: 2 });
    const [needed, there] = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(needed <= there, `${name} needs ${needed} px of ${there}`);
    await page.context().close();
  }
});

test("whatever a chart's legend names is seen in its bar", async () => {
  for (const name of ["options", "options-trouble"]) {
    const page = await openTold(browser, STATES[name], {});
    const charts = await page.evaluate(() =>
      [...document.querySelectorAll("figure")].map((chart) => ({
        named: chart.querySelectorAll(".legend li").length,
        seen: [...chart.querySelectorAll(".bar span")].filter((part) => part.clientWidth > 2).length,
      })),
    );
    assert.ok(charts.length > 0 && charts.every(({ named, seen }) => named === seen && seen > 0), name);
    await page.context().close();
  }
});

test("whoever only has a keyboard reaches every control, in the order in which it stands on the page", async () => {
  for (const name of ["popup-quarantine", "options", "firstrun"]) {
    const page = await openTold(browser, STATES[name], {});
    const controls = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a, button, input, summary")];
      const usable = all.filter((control) => control.checkVisibility() && !control.disabled);
      usable.forEach((control, place) => (control.dataset.place = String(place)));
      document.body.tabIndex = -1;
      document.body.focus();
      return usable.length;
    });
    const reached = [];
    for (let press = 0; press < controls; press++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => Number(document.activeElement?.dataset.place)));
    }
    assert.deepEqual(reached, [...reached.keys()], `${name}: ${controls} controls`);
    await page.context().close();
  }
});

/** What axe finds: the rule and the elements. */
async function violations(page, options) {
  const { violations: found } = await page.evaluate((chosen) => globalThis.axe.run(chosen), options);
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(", ")}`);
}
