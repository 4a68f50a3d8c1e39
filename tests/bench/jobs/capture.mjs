// What it costs to keep a record, alone and ten at once: the core beside hand-written JavaScript, in turns.
import { SameRows } from "../contenders/same_rows.mjs";
import { Core } from "../contenders/core.mjs";
import { remove } from "../indexed_db.mjs";
import { visit } from "../records.mjs";
import { median } from "../statistics.mjs";

const BLOCKS = 10;
const IN_BLOCK = 20;
const TEN = 10;

export default async function capture() {
  const name = `bench capture ${Math.random()}`;
  const core = await Core.open(name);
  const js = await SameRows.open(`${name} js`);
  let next = 0;
  const fresh = (count) => Array.from({ length: count }, () => visit((next += 1)));
  const ways = {
    core: { records: 1, keep: ([record]) => core.core.record({ pageVisits: [record] }) },
    js: { records: 1, keep: ([record]) => js.add([record]) },
    jsRowAlone: { records: 1, keep: ([record]) => js.addRowAlone(record) },
    coreTenCalls: {
      records: TEN,
      keep: (records) => Promise.all(records.map((record) => core.core.record({ pageVisits: [record] }))),
    },
    jsTenCalls: { records: TEN, keep: (records) => Promise.all(records.map((record) => js.add([record]))) },
    coreTenAtOnce: { records: TEN, keep: (pageVisits) => core.core.record({ pageVisits }) },
    jsTenAtOnce: { records: TEN, keep: (records) => js.add(records) },
  };
  const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  // The first block warms up.
  for (let block = 0; block <= BLOCKS; block += 1) {
    for (const [way, { records, keep }] of Object.entries(ways)) {
      for (let turn = 0; turn < IN_BLOCK; turn += 1) {
        const made = fresh(records);
        const begun = performance.now();
        await keep(made);
        if (block > 0) times[way].push((performance.now() - begun) / records);
      }
    }
  }
  await core.close();
  js.close();
  await remove(name);
  await remove(`${name} js`);
  return Object.fromEntries(Object.entries(times).map(([way, spans]) => [way, median(spans) * 1000]));
}
