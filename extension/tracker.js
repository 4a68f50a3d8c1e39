// @ts-check
import { beatWhile } from "./alarms.js";
import { inFront } from "./capture.js";
import { ready } from "./core.js";

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * Does one thing after the other, in the order of the calls. What fails is told by the core's status and stops nothing
 * that comes after it.
 *
 * @param {() => Promise<unknown>} work
 */
export function inOrder(work) {
  last = last.then(work).catch(() => {});
  return last;
}

/** Tells the tracker what happened. @param {TabEvent | Promise<TabEvent>} event */
export function hear(event) {
  return inOrder(async () => tell([await event]));
}

/** Tells the tracker where the user is: recording begins or goes on, and nothing has happened yet. */
export function lookAround() {
  return inOrder(async () => tell(await inFront()));
}

/** Must be called in order. @param {TabEvent[]} events */
export async function tell(events) {
  const core = await ready();
  for (const event of events) await beatWhile(await core.handleEvent(event));
}

/** @typedef {import("./capture.js").TabEvent} TabEvent */
