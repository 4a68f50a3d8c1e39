// @ts-check
import { browser } from "./browser.js";

/** Every site. */
const EVERYWHERE = ["http://*/*", "https://*/*"];

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
 * What the browser must allow for the depth of scrolling; only Firefox knows kinds of data. Sites that may be read for
 * another reason, as the server's, don't count: their pages are measured with all others or not at all.
 *
 * @returns {Promise<chrome.permissions.Permissions & { data_collection?: string[] }>}
 */
export async function scrollingPermissions() {
  const all = /** @type {{ data_collection?: string[] }} */ (await browser.permissions.getAll());
  return all.data_collection
    ? { origins: EVERYWHERE, data_collection: ["websiteActivity"] }
    : { origins: EVERYWHERE };
}

/** Whether the user lets it be measured how far pages are scrolled; the browser lets that be taken back at any time. */
export async function mayMeasureScrolling() {
  return browser.permissions.contains(await scrollingPermissions()).catch(() => false);
}
