// @ts-check
import { ensureSyncAlarm } from "./alarms.js";
import { forCore, forsake, ready } from "./core.js";
import { followScrolling } from "./scrolling.js";
import { signIn, SignInError } from "./session.js";
import { betweenWrites, narrows, readSettings, writeSettings } from "./settings.js";
import { publish, rememberEmail, snapshotOf } from "./snapshot.js";
import { lookAround } from "./tracker.js";

/**
 * Does what a page asks for.
 *
 * @param {import("./messages.js").Request} request
 * @returns {Promise<unknown>} see {@link import("./messages.js").Request}
 */
export async function answer(request) {
  // A "no" is to hold though there is no core to tell it.
  if (request.type === "setSettings") return change(request.settings);
  const core = await ready();
  switch (request.type) {
    case "status":
      return snapshotOf(await core.status());
    case "syncNow":
      return core.sync({ force: true });
    case "signIn":
      await enter(core, request);
      // A failure of this sync is in the status; nobody waits for it here.
      core.sync({ force: true }).catch(() => {});
      void lookAround();
      return changed(core);
    case "signOut":
      await betweenWrites(() => signOut(core));
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
  const { intervalMinutes } = await writeSettings(settings, async (all, before) => {
    try {
      const core = await ready();
      // A login is worth something at the server that gave it, and is nobody else's business.
      if (new URL(all.serverUrl).origin !== new URL(before.serverUrl).origin) await signOut(core);
      await core.setSettings(forCore(all));
    } catch (error) {
      if (!narrows(settings)) throw error;
      forsake();
    }
  });
  await ensureSyncAlarm(intervalMinutes);
  await followScrolling();
  void lookAround();
  return changed(await ready());
}

/** Which sign-in or sign-out is the newest: a sign-in that answers when it isn't any more counts for nothing. */
let turn = 0;

/** @param {Core} core @param {{ email: string, password: string }} who */
async function enter(core, { email, password }) {
  // Between the writes, and another server signs out: whoever is still the newest has asked the server that is set.
  const { mine, serverUrl } = await betweenWrites(async () => ({ mine: ++turn, ...(await readSettings()) }));
  const session = await signIn(serverUrl, email, password);
  await betweenWrites(async () => {
    if (mine !== turn) throw new SignInError("overtaken", "Another choice came in between.");
    // Whenever the background dies, the name shown is that of who is signed in, or none.
    await rememberEmail(null);
    await core.setSession(session);
    await rememberEmail(email);
  });
}

/** @param {Core} core */
async function signOut(core) {
  turn++;
  await rememberEmail(null);
  await core.setSession(null);
}

/** @param {Core} core */
async function changed(core) {
  const status = await core.status();
  void publish(status);
  return snapshotOf(status);
}

/** The server hears of it at once. A sync that is at work stops for it, so that another one follows. @param {Core} core */
function afterwards(core) {
  const sync = () => core.sync({});
  sync()
    .then(sync)
    .catch(() => {});
  return changed(core);
}

/** @typedef {import("../pkg/heyho_sync.js").SyncCore} Core */
