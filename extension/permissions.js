// @ts-check
import { browser } from "./browser.js";

/** What the depth of scrolling is to Firefox. */
const SCROLLING = "websiteActivity";

/** The pattern by which the browser's permissions name a server. @param {string} serverUrl */
export function patternOf(serverUrl) {
  const { protocol, hostname } = new URL(serverUrl);
  return `${protocol}//${hostname}/*`;
}

/** Whether the browser lets the extension talk to a server directly. @param {string} serverUrl */
export function mayReach(serverUrl) {
  return browser.permissions.contains({ origins: [patternOf(serverUrl)] }).catch(() => false);
}

/**
 * Whether how far pages are scrolled may be collected: Firefox lets its user give and take that back at any time. Where a
 * browser knows no kinds of data, the extension's own question decides alone. A page at `url` must be one that may be
 * read, too: its script runs on after that was taken back.
 *
 * @param {string} [url]
 */
export async function mayMeasureScrolling(url) {
  if (url !== undefined && !(await mayReach(url))) return false;
  const { data_collection: kinds } = /** @type {{ data_collection?: string[] }} */ (
    await browser.permissions.getAll()
  );
  return !kinds || kinds.includes(SCROLLING);
}
