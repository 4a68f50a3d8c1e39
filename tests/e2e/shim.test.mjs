// What the background makes of what a browser and its pages tell it. No browser is needed for this.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBackground } from "./shim.mjs";

const A = "https://a.example/api/v1";

/** A page of the web tells how far it was seen. */
function scroll({ browser }, url) {
  const message = { type: "scrolled", url, depthPercent: 40 };
  const sender = { id: browser.runtime.id, url, frameId: 0, tab: { id: 7, incognito: false } };
  for (const hear of browser.runtime.onMessage.listeners) hear(message, sender, () => {});
}
const kinds = (told) => told.map(({ type }) => type);

test("a browser that refuses one thing at the start is still woken in time and told of its start", async () => {
  for (const refuse of [
    ({ storage }) => (storage.local.setAccessLevel = async () => Promise.reject(new Error("not available"))),
    ({ scripting }) => (scripting.getRegisteredContentScripts = async () => Promise.reject(new Error("no"))),
    ({ alarms }) => (alarms.get = async () => Promise.reject(new Error("no"))),
  ]) {
    const { browser, told } = await startBackground(refuse);
    assert.deepEqual(kinds(told), ["browserStarted"]);
    assert.equal(browser.storage.session.kept.tabsAreKnown, true);
    if (!/alarms/.test(String(refuse))) assert.equal(browser.alarms.made.sync.periodInMinutes, 5);
  }
});

test("where a browser has no windows, everything else is heard all the same", async () => {
  const { browser, told } = await startBackground((android) => delete android.windows);
  assert.deepEqual(kinds(told), ["browserStarted"]);
  const { alarms, runtime, permissions, tabs, idle } = browser;
  for (const heard of [alarms.onAlarm, runtime.onMessage, runtime.onStartup, permissions.onRemoved])
    assert.ok(heard.listeners.length > 0);
  assert.ok(tabs.onRemoved.listeners.length > 0 && idle.onStateChanged.listeners.length > 0);
});

test("a browser that forgets its alarms delivers soon after its start, however rarely it does otherwise", async () => {
  const { random } = Math;
  Math.random = () => 0.99;
  try {
    const rarely = ({ storage }) => (storage.local.kept.settings = { intervalMinutes: 1440 });
    const { delayInMinutes, periodInMinutes } = (await startBackground(rarely)).browser.alarms.made.sync;
    assert.ok(delayInMinutes > 4 && delayInMinutes <= 5, `${delayInMinutes} minutes`);
    assert.equal(periodInMinutes, 1440);
  } finally {
    Math.random = random;
  }
});

test("how far a page is scrolled is not taken any more once its site may not be read, though it is still open", async () => {
  const background = await startBackground(({ permissions }) => {
    permissions.allowed.origins.add("https://harbour.example/*");
  });
  scroll(background, "https://harbour.example/tides");
  await background.settled();
  assert.deepEqual(kinds(background.told), ["browserStarted", "scrolled"]);
  background.browser.permissions.allowed.origins.clear();
  scroll(background, "https://harbour.example/tides");
  await background.settled();
  assert.deepEqual(kinds(background.told), ["browserStarted", "scrolled"]);
});

test("nor once Firefox's user takes back that kind of data", async () => {
  const collected = ["websiteActivity"];
  const background = await startBackground(({ permissions }) => {
    permissions.allowed.origins.add("https://harbour.example/*");
    permissions.getAll = async () => ({ data_collection: [...collected] });
  });
  scroll(background, "https://harbour.example/tides");
  await background.settled();
  collected.length = 0;
  scroll(background, "https://harbour.example/tides");
  await background.settled();
  assert.deepEqual(kinds(background.told), ["browserStarted", "scrolled"]);
});

test("a page learns at once that the browser keeps the extension from its server, or does so no more", async () => {
  const { browser } = await startBackground(({ storage, permissions }) => {
    storage.local.kept.settings = { serverUrl: A };
    permissions.allowed.origins.add("https://a.example/*");
  });
  const { allowed, onRemoved, onAdded } = browser.permissions;
  allowed.origins.clear();
  await onRemoved.tell({ origins: ["https://*/*"] });
  assert.equal(browser.storage.session.kept.snapshot?.serverAllowed, false);
  allowed.origins.add("https://a.example/*");
  await onAdded.tell({ origins: ["https://a.example/*"] });
  assert.equal(browser.storage.session.kept.snapshot.serverAllowed, true);
});

test("a message of a page that is no request is answered with an error that holds nothing of it", async () => {
  const { ask } = await startBackground();
  for (const message of [
    { type: "quarantine.discard", ids: ["ok", 7], secret: "sentinel" },
    { type: "sentinel" },
    { type: "signIn", email: "sentinel" },
  ]) {
    const { error } = await ask(message);
    assert.deepEqual([error.name, error.code], ["ArgumentError", "invalid_argument"]);
    assert.ok(!JSON.stringify(error).includes("sentinel"));
  }
  assert.equal(await ask({}), undefined);
  assert.equal(await ask(null), undefined);
});
