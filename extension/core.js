// @ts-check
import init, { SyncCore } from "../pkg/heyho_sync.js";
import { armRetry } from "./alarms.js";
import { showTrouble } from "./badge.js";
import { browser } from "./browser.js";
import { readSettings } from "./settings.js";
import { publish } from "./snapshot.js";

/** Where the books' totals are kept a second time, should the database be lost. */
const MIRROR = "mirror";

/** @type {Promise<SyncCore> | undefined} */
let opened;

/**
 * The core, opened once in a worker's life. After a failure the next call tries again.
 *
 * @returns {Promise<SyncCore>}
 */
export function ready() {
  opened ??= open().catch((error) => {
    opened = undefined;
    void showTrouble(true);
    throw error;
  });
  return opened;
}

/** Leaves the core to itself, once its sync has ended: the next one begins with what is stored. */
export function forsake() {
  opened?.then((core) => core.close()).catch(() => {});
  opened = undefined;
}

async function open() {
  await init({ module_or_path: browser.runtime.getURL("heyho_sync_bg.wasm") });
  const core = await SyncCore.open({
    databaseName: "heyho-sync",
    restoreSession: true,
    ...forCore(await readSettings()),
    armRetry,
    mirror: { load: loadMirror, save: (totals) => browser.storage.local.set({ [MIRROR]: totals }) },
    // Any call of the extension API puts the worker's idle death off; of those that do so in both browsers this is
    // the one that changes nothing.
    keepAlive: () => void browser.runtime.getPlatformInfo(),
  });
  core.subscribe(publish);
  return core;
}

const loadMirror = async () =>
  /** @type {string | undefined} */ ((await browser.storage.local.get(MIRROR))[MIRROR]) ?? null;

/** @param {import("./settings.js").Settings} settings the part of them that the core acts on */
export function forCore({ serverUrl, consent, paused, excludedSites, archiveAfterDays }) {
  return { serverUrl, consent, paused, excludedSites, archiveAfterDays };
}
