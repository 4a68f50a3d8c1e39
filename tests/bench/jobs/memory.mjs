// The heap and the module's memory over a drain of the core, in a frame: only pages are told the heap's size. The database
// was filled by another job, whose memory is not counted.
import { Core } from "../contenders/core.mjs";
import { remove } from "../indexed_db.mjs";
import { begin } from "../post.mjs";
import { median } from "../statistics.mjs";

const SAMPLE_EVERY_MS = 10;

export default async function memory({ database }) {
  const outbox = await Core.open(database);
  globalThis.gc?.();
  await begin({});
  const heap = [];
  const sampler = setInterval(() => heap.push(performance.memory?.usedJSHeapSize ?? NaN), SAMPLE_EVERY_MS);
  await outbox.drain();
  clearInterval(sampler);
  const wasm = outbox.memory.buffer.byteLength;
  await outbox.close();
  await remove(database);
  return { heapPeak: Math.max(...heap), heapMedian: median(heap), wasm };
}
