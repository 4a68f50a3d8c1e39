// What the background makes of what a browser and its pages tell it. No browser is needed for this.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBackground } from "./shim.mjs";

const A = "https://a.example/api/v1";
const B = "https://b.example/api/v1";
const WHO = { type: "signIn", email: "ada@example.org", password: "a paper boat" };

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

/** What the user allows with the setting. */
const EVERYWHERE = ["http://*/*", "https://*/*"];

test("how far a page is scrolled is taken only while the user allows it for all sites, though it is still open", async () => {
  const background = await startBackground(({ permissions, storage }) => {
    storage.local.kept.settings = { consent: true, answeredAt: 1 };
    permissions.allowed.origins.add("https://harbour.example/*");
  });
  const { permissions, scripting } = background.browser;
  const takes = async () => {
    const before = background.told.length;
    await permissions.onAdded.tell();
    scroll(background, "https://harbour.example/tides");
    await background.settled();
    return [background.told.length > before, (await scripting.getRegisteredContentScripts()).length > 0];
  };
  assert.deepEqual(await takes(), [false, false], "a site that may be read for another reason");
  EVERYWHERE.forEach((origin) => permissions.allowed.origins.add(origin));
  assert.deepEqual(await takes(), [true, true]);
  permissions.allowed.kinds = new Set(["websiteActivity"]);
  assert.deepEqual(await takes(), [true, true]);
  permissions.allowed.kinds.clear();
  assert.deepEqual(await takes(), [false, false], "Firefox's user takes back that kind of data");
  permissions.allowed.kinds = null;
  permissions.allowed.origins.delete("https://*/*");
  assert.deepEqual(await takes(), [false, false]);
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

/** Answers sign-ins when told to. Each login that was asked for is a host and what lets it have its answer. */
function holdLogins(t) {
  const logins = [];
  let asked = () => {};
  t.mock.method(globalThis, "fetch", async (url) => {
    const { host, pathname } = new URL(url);
    if (pathname.endsWith("/users/me")) return Response.json({ data: { user: { id: host } } });
    const token = `${host} ${logins.length}`;
    await new Promise((answer) => {
      logins.push({ host, answer });
      asked();
    });
    return Response.json({ data: { AccessToken: token } });
  });
  return async (count) => {
    while (logins.length < count) await new Promise((resolve) => (asked = resolve));
    return logins;
  };
}
const at = (serverUrl) => (browser) => (browser.storage.local.kept.settings = { serverUrl, consent: true });
const change = (settings) => ({ type: "setSettings", settings });

test("a login that its server gives late is not taken to the server that was set meanwhile", async (t) => {
  const logins = holdLogins(t);
  const { ask, core } = await startBackground(at(A));
  const late = ask(WHO);
  const [first] = await logins(1);
  assert.equal((await ask(change({ serverUrl: B }))).settings.serverUrl, B);
  first.answer();
  assert.deepEqual([(await late).error?.name, (await late).error?.code], ["SignInError", "overtaken"]);
  assert.equal(core.session(), null);
  assert.equal((await ask({ type: "status" })).email, null);
});

test("nor is one that was asked for while the server was being changed", async (t) => {
  const logins = holdLogins(t);
  const { ask, core } = await startBackground(at(A));
  const changing = new Promise((resolve) => {
    core.setSettings = () => new Promise((go) => resolve(go));
  });
  const changed = ask(change({ serverUrl: B }));
  const go = await changing;
  const signedIn = ask(WHO);
  go();
  await changed;
  const [{ host, answer }] = await logins(1);
  answer();
  await signedIn;
  assert.deepEqual([host, core.session()?.account], ["b.example", "b.example"]);
});

test("only the newest sign-in counts, and none that a sign-out has overtaken", async (t) => {
  const logins = holdLogins(t);
  const { ask, core } = await startBackground(at(A));
  const older = ask(WHO);
  await logins(1);
  const newer = ask({ ...WHO, email: "grace@example.org" });
  const [first, second] = await logins(2);
  second.answer();
  assert.equal((await newer).email, "grace@example.org");
  first.answer();
  assert.equal((await older).error?.code, "overtaken");
  assert.deepEqual(
    [core.session().accessToken, (await ask({ type: "status" })).email],
    ["a.example 1", "grace@example.org"],
  );

  const overtaken = ask(WHO);
  const third = (await logins(3))[2];
  await ask({ type: "signOut" });
  third.answer();
  assert.equal((await overtaken).error?.code, "overtaken");
  assert.equal(core.session(), null);
});

test("wherever the background dies in a sign-in or a sign-out, no name is shown but that of who is signed in", async (t) => {
  t.mock.method(globalThis, "fetch", async (url) => {
    const who = url.endsWith("/users/me") ? { user: { id: "1" } } : { AccessToken: "token" };
    return Response.json({ data: who });
  });
  const { ask, browser, core } = await startBackground(at(A));
  const seen = [];
  const note = (place, method) => {
    const act = place[method];
    place[method] = async (...values) => {
      await act(...values);
      seen.push([core.session()?.account ?? null, browser.storage.local.kept.signedInAs ?? null]);
    };
  };
  core.setSession({ account: "of grace" });
  browser.storage.local.kept.signedInAs = "grace@example.org";
  for (const [place, method] of [
    [core, "setSession"],
    [browser.storage.local, "set"],
    [browser.storage.local, "remove"],
  ])
    note(place, method);
  await ask(WHO);
  await ask({ type: "signOut" });
  assert.deepEqual(seen, [
    ["of grace", null],
    ["1", null],
    ["1", "ada@example.org"],
    ["1", null],
    [null, null],
  ]);
});

test("an address is taken without encryption only where the extension's own policy lets it be reached", async () => {
  const { load } = await startBackground();
  const { serverAddress } = await load("settings.js");
  assert.equal(serverAddress("http://localhost:3001/api/v1/"), "http://localhost:3001/api/v1");
  assert.equal(serverAddress("http://127.0.0.1:3001"), "http://127.0.0.1:3001");
  assert.throws(() => serverAddress("http://[::1]:3001"), { code: "insecure_address" });
});

const NARROWER = [
  ["paused", true],
  ["consent", false],
];
const recording = ({ storage }) => (storage.local.kept.settings = { consent: true, answeredAt: 1 });
const noRoom = async () => {
  throw Object.assign(new Error("no room"), { name: "StorageError", code: "quota_exceeded" });
};

test("a pause and a no are kept though the core can't be opened", async () => {
  for (const [field, value] of NARROWER) {
    const { browser, ask } = await startBackground((browser) => {
      recording(browser);
      globalThis.openCore = noRoom;
    });
    const { error } = await ask({ type: "setSettings", settings: { [field]: value } });
    assert.equal(error.code, "quota_exceeded");
    assert.equal(browser.storage.local.kept.settings[field], value);
  }
});

test("a pause and a no are in effect though the database takes nothing: a core that knows nothing of it is left", async () => {
  for (const [field, value] of NARROWER) {
    const { core, ask } = await startBackground(recording);
    let closed = false;
    Object.assign(core, { setSettings: noRoom, close: async () => void (closed = true) });
    const begunWith = [];
    globalThis.openCore = async (options) => {
      begunWith.push(options);
      return { ...core };
    };
    const { settings } = await ask({ type: "setSettings", settings: { [field]: value } });
    assert.equal(settings[field], value);
    assert.deepEqual([closed, begunWith.map((options) => options[field])], [true, [value]]);
  }
});

test("what lets more out is kept only once the core has it", async () => {
  for (const settings of [{ paused: false }, { consent: true }, { paused: true, intervalMinutes: 7 }]) {
    const { browser, core, ask } = await startBackground(recording);
    core.setSettings = noRoom;
    const { error } = await ask({ type: "setSettings", settings });
    assert.equal(error.code, "quota_exceeded");
    assert.deepEqual(browser.storage.local.kept.settings, { consent: true, answeredAt: 1 });
  }
});
