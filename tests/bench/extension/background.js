// Opens the page that does the work: so no debugging protocol is needed, which would cost the contenders unequally.
const api = globalThis.browser ?? globalThis.chrome;
api.runtime.onInstalled.addListener(() => api.tabs.create({ url: api.runtime.getURL("bench/page.html") }));
