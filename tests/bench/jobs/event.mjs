// The way of a tab event through the core: its time, and the longest that anything else had to wait meanwhile.
import { Core } from "../contenders/core.mjs";
import { remove } from "../indexed_db.mjs";
import { median } from "../statistics.mjs";

const EVENTS = 200;
const TABS = 7;

function events() {
  let at = Date.now();
  return Array.from({ length: EVENTS }, (_, index) => {
    at += 9_000;
    const tabId = 1 + (index % TABS);
    const url = `https://example.org/${index}`;
    return { at, type: "navigated", tabId, windowId: 1, url, title: `Page ${index}`, active: true };
  });
}

// The longest gap between two turns of the event loop while `work` goes on.
async function longestGap(work) {
  const { port1, port2 } = new MessageChannel();
  let longest = 0;
  let last = performance.now();
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    port2.postMessage(null);
  };
  port2.postMessage(null);
  await work();
  port1.close();
  return longest;
}

export default async function event() {
  const name = `bench event ${Math.random()}`;
  const core = await Core.open(name);
  const times = [];
  for (const each of events()) {
    const begun = performance.now();
    await core.core.handleEvent(each);
    times.push(performance.now() - begun);
  }
  const begun = performance.now();
  const stall = await longestGap(async () => {
    for (const each of events()) await core.core.handleEvent(each);
  });
  const span = performance.now() - begun;
  const idle = await longestGap(() => new Promise((resolve) => setTimeout(resolve, span)));
  await core.close();
  await remove(name);
  return { us: median(times) * 1000, stallMs: stall, idleStallMs: idle };
}
