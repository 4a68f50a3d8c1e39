// @ts-check
import { ensureSyncAlarm } from "./alarms.js";
import { forCore, ready } from "./core.js";
import { followScrolling } from "./scrolling.js";
import { signIn } from "./session.js";
import { readSettings, writeSettings } from "./settings.js";
import { publish, rememberEmail, snapshotOf } from "./snapshot.js";
import { lookAround } from "./tracker.js";

/**
 * Does what a page asks for.
 *
 * @param {import("./messages.js").Request} request
 * @returns {Promise<unknown>} see {@link import("./messages.js").Request}
 */
export async function answer(request) {
  const core = await ready();
  switch (request.type) {
    case "status":
      return snapshotOf(await core.status());
    case "syncNow":
      return core.sync({ force: true });
    case "signIn": {
      const { serverUrl } = await readSettings();
      await core.setSession(await signIn(serverUrl, request.email, request.password));
      await rememberEmail(request.email);
      syncInBackground(core);
      void lookAround();
      return changed(core);
    }
    case "signOut":
      await signOut(core);
      return changed(core);
    case "setSettings":
      await change(request.settings);
      return changed(core);
    case "quarantine.list":
      return core.quarantine.list();
    case "quarantine.retry":
      return core.quarantine.retry(request.ids);
    case "quarantine.discard":
      return core.quarantine.discard(request.ids);
    case "archive.list":
      return core.archive.list();
    case "archive.restore":
      return core.archive.restore(request.ids);
    case "whereIs":
      return core.whereIs(request.text);
    case "export":
      return request.after === undefined ? core.exportRecords() : core.exportPiece(request.after);
    case "import":
      return core.importRecords(request.records);
    case "forgetSite":
      await core.forgetSite(request.site);
      return afterwards(core);
    case "eraseAll":
      await core.eraseAll();
      return afterwards(core);
    case "claimRecords":
      await core.claimRecords();
      return afterwards(core);
    case "discardUnclaimed":
      await core.discardUnclaimed();
      return changed(core);
    case "reconcile":
      return core.reconcile();
    case "sendMissing":
      await core.archive.restore(undefined);
      await core.quarantine.retry(undefined);
      return core.sync({ force: true });
    case "takeRecords":
      await core.takeRecords(request.server);
      return afterwards(core);
  }
}

/** Changes settings, and all that hangs on them. @param {import("./settings.js").Change} settings */
async function change(settings) {
  const core = await ready();
  const { serverUrl } = await readSettings();
  const { intervalMinutes, consent } = await writeSettings(settings, async (all) => {
    // A login is worth something at the server that gave it, and is nobody else's business.
    if (new URL(all.serverUrl).origin !== new URL(serverUrl).origin) await signOut(core);
    await core.setSettings(forCore(all));
  });
  await ensureSyncAlarm(intervalMinutes);
  await followScrolling(consent);
  void lookAround();
}

/** @param {Core} core */
async function signOut(core) {
  await core.setSession(null);
  await rememberEmail(null);
}

/** @param {Core} core */
async function changed(core) {
  const status = await core.status();
  void publish(status);
  return snapshotOf(status);
}

/** The server hears of it at once. A sync that is at work stops for it, so that another one follows. @param {Core} core */
function afterwards(core) {
  core
    .sync({})
    .then(() => core.sync({}))
    .catch(() => {});
  return changed(core);
}

/** A failure of this sync is in the status; nobody waits for it here. @param {Core} core */
function syncInBackground(core) {
  core.sync({ force: true }).catch(() => {});
}

/** @typedef {import("../pkg/heyho_sync.js").SyncCore} Core */
