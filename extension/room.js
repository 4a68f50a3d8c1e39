// @ts-check

/**
 * How much room the browser still has for what is kept, as far as it says.
 *
 * @typedef {{ usage: number, quota: number, pressure: "low" | "nearlyNone" | null }} Room in bytes
 */

/** Months of browsing without a server fit into this. */
const LOW_BYTES = 100e6;
/** A long backlog fits into this, and little more. */
const NEARLY_NONE_BYTES = 10e6;
/** How long an estimate is good for, in milliseconds: a sync tells its status many times a second. */
const LASTS_MS = 60_000;

/** Whether to warn of what is left. @param {number} left bytes @returns {Room["pressure"]} */
export function pressureAt(left) {
  if (left < NEARLY_NONE_BYTES) return "nearlyNone";
  return left < LOW_BYTES ? "low" : null;
}

/** @type {{ room: Room | null, at: number } | undefined} */
let known;

/** What the browser says, at most a minute old; null where it doesn't say. @returns {Promise<Room | null>} */
export async function roomLeft(now = Date.now()) {
  if (known && Math.abs(now - known.at) < LASTS_MS) return known.room;
  /** @type {StorageEstimate} */
  const { usage, quota } = await navigator.storage.estimate().catch(() => ({}));
  const says = usage !== undefined && quota !== undefined;
  known = { room: says ? { usage, quota, pressure: pressureAt(quota - usage) } : null, at: now };
  return known.room;
}
