// @ts-check
import { nextAlarmAt } from "./alarms.js";
import { showTrouble } from "./badge.js";
import { browser } from "./browser.js";
import { mayReach } from "./permissions.js";
import { roomLeft } from "./room.js";
import { readSettings } from "./settings.js";
import { needsTheUser } from "./trouble.js";

/**
 * What the extension's pages are told about the background: the core's status, the settings, who is signed in, whether
 * the browser lets the extension talk to the server, and how much room it has.
 *
 * @typedef {import("../pkg/heyho_sync.js").Status & { settings: import("./settings.js").Settings, email: string | null,
 *   serverAllowed: boolean, room: import("./room.js").Room | null }} Snapshot
 */

const KEY = "snapshot";
const EMAIL = "signedInAs";

/** @param {import("../pkg/heyho_sync.js").Status} status @returns {Promise<Snapshot>} */
export async function snapshotOf(status) {
  const [settings, kept] = await Promise.all([readSettings(), browser.storage.local.get(EMAIL)]);
  const email = /** @type {string | undefined} */ (kept[EMAIL]) ?? null;
  const nextAttemptAt = status.nextAttemptAt ?? (await nextAlarmAt());
  const [serverAllowed, room] = await Promise.all([mayReach(settings.serverUrl), roomLeft()]);
  return { ...status, nextAttemptAt, settings, email, serverAllowed, room };
}

/** @param {string | null} email the name to show for who is signed in; whether somebody is, the status says */
export async function rememberEmail(email) {
  if (email === null) await browser.storage.local.remove(EMAIL);
  else await browser.storage.local.set({ [EMAIL]: email });
}

/** @type {import("../pkg/heyho_sync.js").Status | null} */
let waiting = null;
let publishing = false;

/**
 * Shows `status` to the pages that are open. A sync reports faster than a page can draw: while one status is on its
 * way, only the newest of those that follow waits.
 *
 * @param {import("../pkg/heyho_sync.js").Status} status
 */
export async function publish(status) {
  waiting = status;
  if (publishing) return;
  publishing = true;
  try {
    while (waiting) {
      const next = waiting;
      waiting = null;
      const snapshot = await snapshotOf(next);
      await showTrouble(needsTheUser(snapshot));
      await browser.storage.session.set({ [KEY]: snapshot });
    }
  } finally {
    publishing = false;
  }
}

/**
 * Calls `show` with the snapshot that is there, if any, and then with each new one.
 *
 * @param {(snapshot: Snapshot) => void} show
 */
export async function follow(show) {
  browser.storage.session.onChanged.addListener((changes) => {
    const snapshot = changes[KEY]?.newValue;
    if (snapshot) show(/** @type {Snapshot} */ (snapshot));
  });
  const snapshot = (await browser.storage.session.get(KEY))[KEY];
  if (snapshot) show(/** @type {Snapshot} */ (snapshot));
}
