// The extension's background without a browser: its own code, with an extension API and a core that only take notes.
import { register } from "node:module";

// The module in `pkg/` needs a browser; and each background is loaded anew, as the browser does.
register(
  `data:text/javascript,${encodeURIComponent(`
  export async function resolve(specifier, context, next) {
    if (specifier.endsWith("/pkg/heyho_sync.js"))
      return { url: "data:text/javascript,export default async () => {}; export const SyncCore = { open: (options) => globalThis.openCore(options) };", shortCircuit: true };
    const { url, ...found } = await next(specifier, context);
    const life = new URL(context.parentURL ?? url).searchParams.get("life");
    return { url: life && url.startsWith("file:") ? url + "?life=" + life : url, ...found };
  }
`)}`,
);

// What a worker has besides, and Node has not.
globalThis.addEventListener = () => {};
Object.defineProperty(globalThis, "navigator", { value: { storage: { estimate: async () => ({}) } } });

let lives = 0;

/**
 * Starts the background, and waits until it has nothing more to do.
 *
 * @param {(browser: any) => void} change what this browser has otherwise
 */
export async function startBackground(change = () => {}) {
  const told = [];
  const core = makeCore(told);
  const browser = makeBrowser();
  Object.assign(globalThis, { browser, openCore: async () => core });
  change(browser);
  const life = ++lives;
  const load = (name) => import(`../../extension/${name}?life=${life}`);
  await load("background.js");
  const { inOrder } = await load("tracker.js");
  const settled = () => inOrder(async () => {});
  await settled();

  /** What the background answers to a page of its own. */
  const ask = (message) =>
    new Promise((resolve) => {
      const sender = { id: browser.runtime.id, url: browser.runtime.getURL("popup/popup.html") };
      const answers = browser.runtime.onMessage.listeners.map((hear) => hear(message, sender, resolve));
      if (!answers.some(Boolean)) resolve(undefined);
    });
  return { browser, core, told, settled, ask, load };
}

function makeBrowser() {
  const area = () => {
    const kept = {};
    return {
      kept,
      get: async (key) => (key in kept ? { [key]: structuredClone(kept[key]) } : {}),
      set: async (values) => void Object.assign(kept, structuredClone(values)),
      remove: async (key) => void delete kept[key],
      onChanged: event(),
    };
  };
  const alarms = {};
  const scripts = new Map();
  /** What the user has allowed. */
  const allowed = { origins: new Set(), kinds: null };
  return {
    alarms: {
      made: alarms,
      onAlarm: event(),
      get: async (name) => alarms[name],
      clear: async (name) => delete alarms[name],
      create: async (name, alarm) => void (alarms[name] = { name, scheduledTime: 0, ...alarm }),
    },
    action: {
      setBadgeText: async () => {},
      setTitle: async () => {},
      setBadgeBackgroundColor: async () => {},
    },
    i18n: { getMessage: (key) => key },
    idle: { setDetectionInterval() {}, onStateChanged: event() },
    permissions: {
      allowed,
      contains: async ({ origins, data_collection: kinds = [] }) =>
        origins.every((origin) => allowed.origins.has(origin)) &&
        kinds.every((kind) => allowed.kinds?.has(kind)),
      getAll: async () => ({
        origins: [...allowed.origins],
        ...(allowed.kinds ? { data_collection: [...allowed.kinds] } : {}),
      }),
      onAdded: event(),
      onRemoved: event(),
    },
    runtime: {
      id: "shim",
      getURL: (path) => `chrome-extension://shim/${path}`,
      getPlatformInfo: async () => ({}),
      onMessage: event(),
      onStartup: event(),
      onInstalled: event(),
    },
    scripting: {
      getRegisteredContentScripts: async () => [...scripts.values()],
      registerContentScripts: async ([script]) => void scripts.set(script.id, script),
      unregisterContentScripts: async ({ ids }) => ids.forEach((id) => scripts.delete(id)),
    },
    storage: { local: area(), session: area() },
    tabs: {
      query: async () => [],
      get: async () => ({}),
      onCreated: event(),
      onUpdated: event(),
      onActivated: event(),
      onRemoved: event(),
    },
    windows: { WINDOW_ID_NONE: -1, onFocusChanged: event() },
  };
}

/** An event of the extension API, and who listens to it. */
function event() {
  const listeners = [];
  return {
    listeners,
    addListener: (listener) => void listeners.push(listener),
    tell: (...values) => Promise.all(listeners.map((listener) => listener(...values))),
  };
}

/** A core that notes in `told` what it hears. */
function makeCore(told) {
  const none = { pageVisits: 0, tabAggregates: 0 };
  let session = null;
  return {
    handleEvent: async (event) => void told.push(event),
    setSession: async (next) => void (session = next),
    setSettings: async () => {},
    session: () => session,
    status: async () => ({
      state: "idle",
      signedIn: session !== null,
      quarantined: none,
      nextAttemptAt: null,
    }),
    subscribe: () => () => {},
    sync: async () => ({}),
  };
}
