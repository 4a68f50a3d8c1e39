// What the core asks of IndexedDB and of the network, counted: independent of the machine.
import { counted, install } from "../counter.mjs";
import { remove } from "../indexed_db.mjs";
import { begin } from "../post.mjs";
import { aggregate, groups, visit } from "../records.mjs";

const BATCHES = 9;

export default async function counts() {
  install();
  const { Core } = await import("../contenders/core.mjs");
  const database = `bench counts ${Math.random()}`;
  const outbox = await Core.open(database);
  await begin({});
  const capture = await counted(() => outbox.core.record({ pageVisits: [visit(0)] }));
  const pair = await counted(() =>
    outbox.core.record({ pageVisits: [visit(1)], tabAggregates: [aggregate(1)] }),
  );
  const at = Date.now();
  const event = (number) => ({
    at: at + number * 9_000,
    type: "navigated",
    tabId: 1,
    windowId: 1,
    url: `https://example.org/${number}`,
    title: `Page ${number}`,
    active: true,
  });
  await outbox.core.handleEvent(event(0));
  const tabEvent = await counted(() => outbox.core.handleEvent(event(1)));
  const titled = await counted(() =>
    outbox.core.handleEvent({ at: at + 10_000, type: "titled", tabId: 1, title: "Another" }),
  );
  await outbox.drain();
  const emptyWake = await counted(() => outbox.core.sync());
  const status = await counted(() => outbox.core.status());
  for (const records of groups(1000, BATCHES * 100)) await outbox.fill(records);
  const drain = await counted(() => outbox.drain());
  await outbox.close();
  await remove(database);
  return { capture, pair, tabEvent, titled, emptyWake, status, drain: { batches: BATCHES, ...drain } };
}
