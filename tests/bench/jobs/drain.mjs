// Fills a contender, drains it, and looks whether everything is where it should be.
import { contender } from "../contenders/index.mjs";
import { copy, remove } from "../indexed_db.mjs";
import { begin, score } from "../post.mjs";
import { groups } from "../records.mjs";

const SETTLE_MS = 500;

/**
 * @param {{ contender: string, count: number, filled?: string, delayMs?: number, ordered?: boolean, gzip?: boolean,
 *   mostABatch?: number }} job `filled` is a database that holds these records already, and is copied
 */
export default async function drain({ contender: which, count, filled, mostABatch = 100, ...manner }) {
  const database = `bench ${which} ${Math.random()}`;
  if (filled) await copy(filled, database);
  const outbox = await contender(which, database);
  if (!filled) for (const records of groups(0, count)) await outbox.fill(records);
  await outbox.filled?.();
  // The database goes on writing to its files for a while.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await begin(manner);
  const begun = performance.now();
  await outbox.drain();
  const ms = performance.now() - begun;
  const seen = await score();
  const left = await outbox.left();
  await outbox.close();
  await remove(database);
  const right = seen.visits === count && seen.aggregates === count && left === 0 && seen.orphans === 0;
  if (!right || seen.largest.some((records) => records > mostABatch)) {
    throw new Error(`wrong outcome: ${JSON.stringify({ count, left, ...seen })}`);
  }
  return { ms, ...seen };
}
