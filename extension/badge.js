// @ts-check
import { browser } from "./browser.js";

/** What the badge says now; unknown when the worker starts. @type {boolean | undefined} */
let shown;

/** Shows a mark on the extension's button while something waits for the user, and nothing otherwise. @param {boolean} trouble */
export async function showTrouble(trouble) {
  if (trouble === shown) return;
  shown = trouble;
  const { action, i18n } = browser;
  await action.setBadgeBackgroundColor({ color: "#b4530a" });
  await action.setBadgeText({ text: trouble ? "!" : "" });
  await action.setTitle({ title: i18n.getMessage(trouble ? "nameInTrouble" : "name") });
}
