// @ts-check
import { ensureSyncAlarm, isHeartbeat, isSyncAlarm } from "./alarms.js";
import { browser } from "./browser.js";
import { inFront, observe, observeDeletions, scrolled } from "./capture.js";
import { ready } from "./core.js";
import { failure, isRequest, NO_REQUEST } from "./messages.js";
import { mayMeasureScrolling } from "./permissions.js";
import { answer } from "./requests.js";
import { followScrolling } from "./scrolling.js";
import { readSettings } from "./settings.js";
import { publish } from "./snapshot.js";
import { hear, inOrder, tell } from "./tracker.js";

// Every listener is registered before the first await: an event that starts this worker reaches only those that stand
// when the script has run once.

// Each of these is done even where one before it fails, as the first does in Chrome before 140, which can't close that
// area to content scripts. Firefox doesn't know the call. A content script finds no login there either way.
inOrder(async () => browser.storage.local.setAccessLevel?.({ accessLevel: "TRUSTED_CONTEXTS" }));
inOrder(async () => ensureSyncAlarm((await readSettings()).intervalMinutes));
inOrder(followScrolling);
const started = inOrder(beginWithTheBrowser);

browser.alarms.onAlarm.addListener((alarm) => {
  if (isSyncAlarm(alarm)) return sync();
  if (isHeartbeat(alarm)) return hear({ type: "heartbeat", at: Date.now() });
});
globalThis.addEventListener("online", sync);

browser.runtime.onMessage.addListener((message, sender, reply) => {
  if (sender.id !== browser.runtime.id) return false;
  if (!sender.url?.startsWith(browser.runtime.getURL(""))) {
    const event = scrolled(message, sender);
    if (event) void inOrder(async () => (await mayMeasureScrolling()) && tell([event]));
    return false;
  }
  if (!isRequest(message)) {
    if (typeof message?.type === "string") reply(NO_REQUEST);
    return false;
  }
  answer(message).then(reply, (reason) => reply(failure(reason)));
  return true;
});

browser.permissions.onAdded.addListener(() => inOrder(permissionsChanged));
browser.permissions.onRemoved.addListener(() => inOrder(permissionsChanged));

// If nobody listened to these, the browser would not run the background when it starts or updates the extension, and
// the alarms that are lost on those occasions would not be made again.
browser.runtime.onStartup.addListener(() => started);
browser.runtime.onInstalled.addListener(({ reason }) =>
  reason === "install" ? inOrder(askForConsent) : started,
);

// What a browser lacks (Firefox for Android has no windows) must not keep it from what stands above.
observeDeletions((urls) => inOrder(async () => (await ready()).forgetPages(urls)));
observe(hear);

async function beginWithTheBrowser() {
  // `storage.session` lives as long as the browser runs: where the mark is missing, the browser has just started.
  const { tabsAreKnown } = await browser.storage.session.get("tabsAreKnown");
  if (tabsAreKnown) return;
  await tell([{ type: "browserStarted", at: Date.now() }, ...(await inFront())]);
  await browser.storage.session.set({ tabsAreKnown: true });
}

/** What the user has given or taken back in the browser begins or ends at once, and the pages tell of it. */
async function permissionsChanged() {
  await followScrolling();
  await publish(await (await ready()).status());
}

async function askForConsent() {
  if ((await readSettings()).answeredAt !== null) return;
  await browser.tabs.create({ url: browser.runtime.getURL("firstrun/firstrun.html") });
}

/** Returns when the sync has ended, which Firefox waits for a while. A failure is in the core's status. */
async function sync() {
  const core = await ready().catch(() => null);
  await core?.sync({}).catch(() => {});
}
