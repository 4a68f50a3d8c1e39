import init, { SyncCore } from "./pkg/heyho_sync.js";

// One core in a worker's life; the listeners stand before it is loaded.
let opened;
const core = () => (opened ??= open().catch((error) => ((opened = undefined), Promise.reject(error))));

async function open() {
  await init({ module_or_path: chrome.runtime.getURL("pkg/heyho_sync_bg.wasm") });
  const { serverUrl, session } = await chrome.storage.local.get();
  return SyncCore.open({
    databaseName: "reading-list",
    serverUrl,
    session,
    consent: true, // The user's click is the consent: nothing else is recorded.
    keepAlive: () => void chrome.runtime.getPlatformInfo(),
    armRetry: (at) => void (at ? chrome.alarms.create("retry", { when: at }) : chrome.alarms.clear("retry")),
  });
}

chrome.action.onClicked.addListener(({ url, title }) => keep(url, title));
chrome.alarms.onAlarm.addListener(async () => (await core()).sync());

// A page is kept when this returns, and delivered when it can be.
async function keep(url, title) {
  const visit = { id: crypto.randomUUID(), url, title, visited_at: Date.now() };
  await (await core()).record({ pageVisits: [visit] });
  return (await core()).sync();
}
Object.assign(globalThis, { core, keep }); // for the worker's console
