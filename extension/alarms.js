// @ts-check
import { browser } from "./browser.js";

/** Fires every `intervalMinutes` for as long as the extension is installed. */
const SYNC = "sync";
/** Fires once, when the core wants to be woken before that. */
const RETRY = "sync-retry";

/** Fires twice a minute while a visit goes on, so that the tracker can tell a quiet reader from a sleeping machine. */
const HEARTBEAT = "heartbeat";

/** @param {chrome.alarms.Alarm} alarm */
export const isHeartbeat = (alarm) => alarm.name === HEARTBEAT;

/** What {@link beatWhile} was told last in this worker's life. @type {boolean | undefined} */
let beats;

/** Sees to it that the heartbeat is there while a visit goes on, and only then. @param {boolean} visiting */
export async function beatWhile(visiting) {
  if (visiting === beats) return;
  if (!visiting) await browser.alarms.clear(HEARTBEAT);
  else if (!(await browser.alarms.get(HEARTBEAT)))
    await browser.alarms.create(HEARTBEAT, { periodInMinutes: 0.5 });
  beats = visiting;
}

/** @param {chrome.alarms.Alarm} alarm */
export const isSyncAlarm = (alarm) => alarm.name === SYNC || alarm.name === RETRY;

/**
 * Sees to it that the periodic alarm exists. One that is there already with this period is left alone: creating it
 * anew at every worker start would put it off for ever. The first delay is random, so that a fleet doesn't arrive
 * together, and short, since Firefox forgets alarms whenever it ends.
 *
 * @param {number} intervalMinutes
 */
export async function ensureSyncAlarm(intervalMinutes) {
  const alarm = await browser.alarms.get(SYNC);
  if (alarm?.periodInMinutes === intervalMinutes) return;
  const delayInMinutes = Math.max(0.5, Math.random() * Math.min(intervalMinutes, 5));
  await browser.alarms.create(SYNC, { delayInMinutes, periodInMinutes: intervalMinutes });
}

/**
 * Arms the one-shot alarm, or clears it.
 *
 * @param {number | null} atMs when, in milliseconds since the epoch
 */
export async function armRetry(atMs) {
  if (atMs === null) await browser.alarms.clear(RETRY);
  else await browser.alarms.create(RETRY, { when: atMs });
}

/**
 * When the next alarm will wake the extension, in milliseconds since the epoch.
 *
 * @returns {Promise<number | null>}
 */
export async function nextAlarmAt() {
  const alarms = await Promise.all([browser.alarms.get(SYNC), browser.alarms.get(RETRY)]);
  const times = alarms.flatMap((alarm) => (alarm ? [alarm.scheduledTime] : []));
  return times.length ? Math.min(...times) : null;
}
