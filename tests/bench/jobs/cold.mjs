// From the start of a worker to the end of its first event: ours beside an empty module, alone and with hand-written
// storage around it. The databases exist already, as they do on every start but the first.
import { remove } from "../indexed_db.mjs";

const STARTS = 15;
const WAYS = ["empty", "empty_with_storage", "core"];

function start(way, database) {
  const begun = performance.now();
  const worker = new Worker(`cold/${way}.mjs?${encodeURIComponent(database)}`, { type: "module" });
  const marks = {};
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data: mark }) => {
      marks[mark] = performance.now() - begun;
      if (mark === "handled") resolve(marks);
    };
    worker.onerror = (event) => reject(new Error(`${way}: ${event.message}`));
  }).finally(() => worker.terminate());
}

export default async function cold() {
  const name = `bench cold ${Math.random()}`;
  const marks = Object.fromEntries(WAYS.map((way) => [way, []]));
  for (let round = 0; round <= STARTS; round += 1) {
    for (const way of round % 2 ? WAYS : [...WAYS].reverse()) {
      const marked = await start(way, `${name} ${way}`);
      // The first start makes the database.
      if (round > 0) marks[way].push(marked);
    }
  }
  for (const way of WAYS.slice(1)) await remove(`${name} ${way}`);
  return marks;
}
