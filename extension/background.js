// @ts-check
import { ensureHeartbeat, ensureSyncAlarm, isHeartbeat, isSyncAlarm } from "./alarms.js";
import { browser } from "./browser.js";
import { observe, startOfBrowser } from "./capture.js";
import { ready } from "./core.js";
import { failure, isRequest } from "./messages.js";
import { answer } from "./requests.js";
import { readSettings } from "./settings.js";

// Every listener is registered before the first await: an event that starts this worker reaches only those that stand
// when the script has run once.

/** @type {Promise<unknown>} */
let last = Promise.resolve();
const started = inOrder(start);

observe((event) => inOrder(async () => (await ready()).handleEvent(await event)));

browser.alarms.onAlarm.addListener((alarm) => {
  if (isSyncAlarm(alarm)) return sync();
  if (isHeartbeat(alarm)) return inOrder(beat);
});
globalThis.addEventListener("online", sync);

browser.runtime.onMessage.addListener((message, sender, reply) => {
  const own = sender.id === browser.runtime.id && sender.url?.startsWith(browser.runtime.getURL(""));
  if (!own || !isRequest(message)) return false;
  answer(message).then(reply, (reason) => reply(failure(reason)));
  return true;
});

// If nobody listened to these, the browser would not run the background when it starts or updates the extension, and
// the alarms that are lost on those occasions would not be made again.
browser.runtime.onStartup.addListener(() => started);
browser.runtime.onInstalled.addListener(() => started);

/**
 * Does one thing after the other, in the order of the calls. What fails is told by the core's status and stops nothing
 * that comes after it.
 *
 * @param {() => Promise<unknown>} work
 */
function inOrder(work) {
  last = last.then(work).catch(() => {});
  return last;
}

async function start() {
  await ensureSyncAlarm((await readSettings()).intervalMinutes);
  await ensureHeartbeat();
  // `storage.session` lives as long as the browser runs: where the mark is missing, the browser has just started.
  const { tabsAreKnown } = await browser.storage.session.get("tabsAreKnown");
  if (tabsAreKnown) return;
  const core = await ready();
  for (const event of await startOfBrowser()) await core.handleEvent(event);
  await browser.storage.session.set({ tabsAreKnown: true });
}

/** Tells the tracker that the browser is still there. */
async function beat() {
  await (await ready()).handleEvent({ type: "heartbeat", at: Date.now() });
}

/** Returns when the sync has ended, which Firefox waits for a while. A failure is in the core's status. */
async function sync() {
  const core = await ready().catch(() => null);
  await core?.sync({}).catch(() => {});
}
