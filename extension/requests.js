// @ts-check
import { ensureSyncAlarm } from "./alarms.js";
import { forCore, ready } from "./core.js";
import { signIn } from "./session.js";
import { readSettings, writeSettings } from "./settings.js";
import { publish, rememberEmail, snapshotOf } from "./snapshot.js";

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
      return changed(core);
    }
    case "signOut":
      await core.setSession(null);
      await rememberEmail(null);
      return changed(core);
    case "setSettings": {
      const settings = await writeSettings(request.settings);
      await core.setSettings(forCore(settings));
      await ensureSyncAlarm(settings.intervalMinutes);
      return changed(core);
    }
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
    case "export":
      return core.exportRecords();
    case "import":
      return core.importRecords(request.records);
  }
}

/** @param {Core} core */
async function changed(core) {
  const status = await core.status();
  void publish(status);
  return snapshotOf(status);
}

/** A failure of this sync is in the status; nobody waits for it here. @param {Core} core */
function syncInBackground(core) {
  core.sync({ force: true }).catch(() => {});
}

/** @typedef {import("../pkg/heyho_sync.js").SyncCore} Core */
