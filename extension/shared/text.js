// @ts-check
import { browser } from "../browser.js";

const language = browser.i18n.getUILanguage();
const numbers = new Intl.NumberFormat(language);
const moments = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const days = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" });
const hours = new Intl.DateTimeFormat(language, { timeStyle: "short" });

/**
 * A text by its key in `_locales`, with what goes into it, or the moment (milliseconds since the epoch) or the size (in
 * bytes) that does.
 *
 * @typedef {{ key: string, values?: (string | number)[], moment?: number, bytes?: number }} Text
 */

/** @param {number} value */
export const number = (value) => numbers.format(value);

/** @param {Text} text */
export function t({ key, values = [], bytes: size }) {
  if (size !== undefined) return t({ key, values: [bytes(size)] });
  return browser.i18n.getMessage(
    key,
    values.map((value) => (typeof value === "number" ? number(value) : value)),
  );
}

/** @param {string} key @returns {string | null} null if there is no such text */
export const translated = (key) => browser.i18n.getMessage(key.replace(/\W/g, "_")) || null;

/** A moment by its hour, and by its day where that is another one. @param {number} atMs */
export function moment(atMs) {
  const isToday = new Date(atMs).toDateString() === new Date().toDateString();
  return (isToday ? hours : days).format(atMs);
}

/** A day by its number in the user's calendar, counted from 1970-01-01. @param {number} number */
export const day = (number) => calendar.format(number * 86_400_000);

/** A size: "12 kB". @param {number} count */
export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const which = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(count || 1) / 3)));
  const [unit, inUnit] = [units[which], count / 1000 ** which];
  const words = new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: 1 });
  return words.format(inUnit);
}

/** A short length of time: "340 milliseconds", "1.2 seconds". @param {number} ms */
export function span(ms) {
  const [unit, inUnit] = ms < 1_000 ? ["millisecond", Math.round(ms)] : ["second", ms / 1_000];
  const style = /** @type {const} */ ({ style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 });
  return new Intl.NumberFormat(language, style).format(inUnit);
}

/** A length of time in its largest unit: "2 minutes". @param {number} seconds */
export function duration(seconds) {
  const [unit, inUnit] = inLargestUnit(seconds);
  const words = new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" });
  return words.format(Math.max(1, Math.round(inUnit)));
}

/**
 * Puts the texts into a page: `data-text` names the text of an element, `data-label` its label,
 * `data-hint` what stands in it while it is empty.
 *
 * @param {Document} page
 */
export function translatePage(page) {
  page.documentElement.lang = language;
  for (const element of page.querySelectorAll("[data-text]")) {
    element.textContent = t({ key: element.getAttribute("data-text") ?? "" });
  }
  for (const element of page.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t({ key: element.getAttribute("data-label") ?? "" }));
  }
  for (const element of page.querySelectorAll("[data-hint]")) {
    element.setAttribute("placeholder", t({ key: element.getAttribute("data-hint") ?? "" }));
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
  const [unit, inUnit] = inLargestUnit(seconds);
  return moments.format(Math.round(inUnit), unit);
}

/** @param {number} seconds @returns {["second" | "minute" | "hour" | "day", number]} */
function inLargestUnit(seconds) {
  const length = Math.abs(seconds);
  if (length < 55) return ["second", seconds];
  if (length < 3300) return ["minute", seconds / 60];
  return length < 82_800 ? ["hour", seconds / 3600] : ["day", seconds / 86_400];
}
