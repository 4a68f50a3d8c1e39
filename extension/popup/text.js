// @ts-check
import { browser } from "../browser.js";

const language = browser.i18n.getUILanguage();
const numbers = new Intl.NumberFormat(language);
const moments = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** @param {number} value */
export const number = (value) => numbers.format(value);

/** @param {import("./view.js").Text} text */
export function t({ key, values = [] }) {
  return browser.i18n.getMessage(
    key,
    values.map((value) => (typeof value === "number" ? number(value) : value)),
  );
}

/** @param {string} key @returns {string | null} null if there is no such text */
export const translated = (key) => browser.i18n.getMessage(key.replace(/\W/g, "_")) || null;

/** Puts the texts into a page: `data-text` names the text of an element, `data-label` its label. @param {Document} page */
export function translatePage(page) {
  page.documentElement.lang = language;
  for (const element of page.querySelectorAll("[data-text]")) {
    element.textContent = t({ key: element.getAttribute("data-text") ?? "" });
  }
  for (const element of page.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t({ key: element.getAttribute("data-label") ?? "" }));
  }
}

/** @param {number} atMs a moment that is past @returns {string} "2 minutes ago" */
export function ago(atMs) {
  const seconds = (Date.now() - atMs) / 1000;
  return seconds < 45 ? t({ key: "justNow" }) : relative(-seconds);
}

/** @param {number} atMs a moment to come @returns {string} "in 2 minutes" */
export function ahead(atMs) {
  const seconds = (atMs - Date.now()) / 1000;
  return seconds < 5 ? t({ key: "soon" }) : relative(seconds);
}

/** @param {number} seconds */
function relative(seconds) {
  const [unit, inUnit] = /** @type {[Intl.RelativeTimeFormatUnit, number]} */ (
    Math.abs(seconds) < 55
      ? ["second", seconds]
      : Math.abs(seconds) < 3300
        ? ["minute", seconds / 60]
        : Math.abs(seconds) < 82_800
          ? ["hour", seconds / 3600]
          : ["day", seconds / 86_400]
  );
  return moments.format(Math.round(inUnit), unit);
}
