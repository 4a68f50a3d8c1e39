import init from "./glue.mjs";

const { ready } = await init();
self.postMessage("loaded");
ready();
self.postMessage("handled");
