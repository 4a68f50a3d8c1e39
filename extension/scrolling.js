// @ts-check
import { browser } from "./browser.js";
import { mayMeasureScrolling } from "./permissions.js";
import { readSettings } from "./settings.js";

/** @type {chrome.scripting.RegisteredContentScript} */
const SCRIPT = {
  id: "scrolling",
  js: ["content.js"],
  matches: ["http://*/*", "https://*/*"],
  runAt: "document_idle",
};

/**
 * Sees to it that pages tell how far they are scrolled, or don't. The browser runs the script only on sites which the
 * user let the extension read.
 */
export async function followScrolling() {
  const wanted = (await readSettings()).consent && (await mayMeasureScrolling());
  const registered = await browser.scripting.getRegisteredContentScripts({ ids: [SCRIPT.id] });
  if (wanted && !registered.length) await browser.scripting.registerContentScripts([SCRIPT]);
  if (!wanted && registered.length) await browser.scripting.unregisterContentScripts({ ids: [SCRIPT.id] });
}
