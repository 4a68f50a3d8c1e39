// @ts-check
import { browser } from "./browser.js";

/**
 * What the core's tracker is told; `at` is in milliseconds since the epoch.
 *
 * @typedef {{ type: "opened", at: number, tabId: number, windowId: number, openerTabId: number | null, active: boolean, incognito: boolean }
 *   | { type: "navigated", at: number, tabId: number, windowId: number, url: string, active: boolean, incognito: boolean }
 *   | { type: "titled", at: number, tabId: number, title: string }
 *   | { type: "activated", at: number, tabId: number, windowId: number, url: string | null, title: string | null, incognito: boolean }
 *   | { type: "closed", at: number, tabId: number }
 *   | { type: "windowFocused", at: number, windowId: number | null }
 *   | { type: "idle", at: number, state: "active" | "idle" | "locked" }
 *   | { type: "audible", at: number, tabId: number, audible: boolean }
 *   | { type: "scrolled", at: number, tabId: number, url: string, depthPercent: number }
 *   | { type: "heartbeat", at: number }
 *   | { type: "browserStarted", at: number }} TabEvent
 */

/** Seconds without input after which the browser calls the user idle. */
const IDLE_AFTER_SECONDS = 60;

/**
 * Watches the browser. This is the only place that knows what is observed.
 *
 * @param {(event: TabEvent | Promise<TabEvent>) => void} report called in the order in which things happened
 */
export function observe(report) {
  const { tabs, windows, idle } = browser;

  tabs.onCreated.addListener((tab) => {
    if (tab.id === undefined) return;
    const { id: tabId, windowId, openerTabId = null, active, incognito } = tab;
    report({ type: "opened", at: Date.now(), tabId, windowId, openerTabId, active, incognito });
  });

  tabs.onUpdated.addListener((tabId, change, tab) => {
    const at = Date.now();
    const { windowId, active, incognito } = tab;
    if (change.url) report({ type: "navigated", at, tabId, windowId, url: change.url, active, incognito });
    // A single-page application may navigate without setting its title anew: the title of a loaded page counts too.
    const title = change.title ?? (change.status === "complete" ? tab.title : undefined);
    if (title && !repeatsAddress(title, tab.url)) report({ type: "titled", at, tabId, title });
    if (change.audible !== undefined) report({ type: "audible", at, tabId, audible: change.audible });
  });

  tabs.onActivated.addListener(({ tabId, windowId }) => {
    const at = Date.now();
    report(
      tabs.get(tabId).then(
        (tab) => activated(at, tab),
        () => ({ type: "activated", at, tabId, windowId, url: null, title: null, incognito: false }),
      ),
    );
  });

  tabs.onRemoved.addListener((tabId) => report({ type: "closed", at: Date.now(), tabId }));

  windows?.onFocusChanged.addListener((windowId) => {
    const focused = windowId === windows.WINDOW_ID_NONE ? null : windowId;
    report({ type: "windowFocused", at: Date.now(), windowId: focused });
  });

  idle.setDetectionInterval(IDLE_AFTER_SECONDS);
  idle.onStateChanged.addListener((state) => report({ type: "idle", at: Date.now(), state }));
}

/**
 * Watches what is deleted from the browser's history, where the user has allowed it (the optional permission "history").
 *
 * @param {(urls: string[] | "all") => void} forget
 */
export function observeDeletions(forget) {
  let watches = false;
  const watch = () => {
    if (watches || !browser.history) return;
    watches = true;
    browser.history.onVisitRemoved.addListener(({ allHistory, urls }) => {
      forget(allHistory ? "all" : (urls ?? []));
    });
  };
  watch();
  browser.permissions.onAdded.addListener(watch);
}

/**
 * Where the user is now.
 *
 * @returns {Promise<TabEvent[]>}
 */
export async function inFront() {
  const at = Date.now();
  const [tab] = await browser.tabs.query({ active: true, lastFocusedWindow: true });
  return tab ? [{ type: "windowFocused", at, windowId: tab.windowId }, activated(at, tab)] : [];
}

/**
 * What a page tells of itself, if it is that; nothing of a private window is taken.
 *
 * @param {any} message @param {chrome.runtime.MessageSender} sender
 * @returns {TabEvent | null}
 */
export function scrolled(message, { tab, frameId }) {
  const { type, url, depthPercent } = message ?? {};
  const isIt = type === "scrolled" && typeof url === "string" && typeof depthPercent === "number";
  if (!isIt || tab?.id === undefined || tab.incognito || frameId !== 0) return null;
  return { type, at: Date.now(), tabId: tab.id, url, depthPercent };
}

/** @param {number} at @param {chrome.tabs.Tab} tab @returns {TabEvent} */
function activated(at, tab) {
  const { id: tabId = -1, windowId, url = null, incognito } = tab;
  const title = tab.title && !repeatsAddress(tab.title, tab.url) ? tab.title : null;
  return { type: "activated", at, tabId, windowId, url, title, incognito };
}

/**
 * Whether a title is only what browsers show for a page that has none (yet): its address without the scheme. Firefox
 * tells it even before it tells of the navigation.
 *
 * @param {string} title @param {string} [url]
 */
function repeatsAddress(title, url = "") {
  return bare(title) === bare(url);
}

/** @param {string} address */
function bare(address) {
  const short = address.replace(/^\w[\w+.-]*:\/\//, "").replace(/\/$/, "");
  try {
    return decodeURI(short);
  } catch {
    return short;
  }
}
