import init, { SyncCore } from "../../pkg/heyho_sync.js";

await init();
self.postMessage("loaded");
const core = await SyncCore.open({
  databaseName: decodeURIComponent(location.search.slice(1)),
  serverUrl: "http://127.0.0.1:9/api/v1",
  consent: true,
  session: { account: "bench", accessToken: "none" },
});
await core.handleEvent({
  at: Date.now(),
  type: "navigated",
  tabId: 1,
  windowId: 1,
  url: "https://example.org/",
  title: "Example",
  active: true,
});
self.postMessage("handled");
