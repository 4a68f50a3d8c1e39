// What a backlog costs those who only capture or look: on a database that is kept from round to round.
import { Core } from "../contenders/core.mjs";
import { copy, remove } from "../indexed_db.mjs";
import { groups, visit } from "../records.mjs";
import { median } from "../statistics.mjs";

const TIMES = 200;
const BEYOND = 1_000_000;

async function timed(work) {
  const spans = [];
  for (let turn = 0; turn < TIMES; turn += 1) {
    const begun = performance.now();
    await work(turn);
    spans.push(performance.now() - begun);
  }
  return median(spans) * 1000;
}

/** @param {{ database: string, filled?: string, fill?: number, round?: number, remove?: boolean }} job */
export default async function backlog({ database, filled, fill = 0, round, remove: ends = false }) {
  if (filled) await copy(filled, database);
  const { core } = await Core.open(database);
  const result = {};
  for (const records of groups(0, fill)) await core.record(records);
  if (round !== undefined) {
    const first = BEYOND + round * TIMES;
    result.captureUs = await timed((turn) => core.record({ pageVisits: [visit(first + turn)] }));
    result.statusUs = await timed(() => core.status());
  }
  await core.close();
  if (ends) await remove(database);
  return result;
}
