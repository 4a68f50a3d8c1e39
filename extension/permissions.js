// @ts-check
import { browser } from "./browser.js";

/** The kinds of data without which nothing can be recorded and delivered, as Firefox names them. */
const NEEDED = ["browsingActivity", "authenticationInfo", "personallyIdentifyingInfo"];
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
 * What may be collected as far as the browser has a say in it: Firefox lets its user take back each kind of data at any
 * time. Where a browser knows no such choice, the extension's own question decides alone.
 */
export async function allowedByBrowser() {
  const { data_collection: kinds } = /** @type {{ data_collection?: string[] }} */ (
    await browser.permissions.getAll()
  );
  return {
    recording: !kinds || NEEDED.every((kind) => kinds.includes(kind)),
    scrolling: !kinds || kinds.includes(SCROLLING),
  };
}
