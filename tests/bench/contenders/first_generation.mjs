// The first generation's way: two arrays in `storage.local`, read whole, sent in batches of 1,000, and rewritten whole with
// every record marked as synced.
import { post } from "../post.mjs";

const BATCH = 1000;
const KEYS = ["pageVisits", "tabAggregates"];
const storage = (globalThis.browser ?? globalThis.chrome)?.storage?.local;

export class FirstGeneration {
  #filled = { pageVisits: [], tabAggregates: [] };

  static async open() {
    await storage.remove(KEYS);
    return new FirstGeneration();
  }

  // Each capture would rewrite the whole array; filling is not measured, so it is written once.
  async fill(records) {
    for (const key of KEYS) {
      this.#filled[key].push(...records[key].map((record) => ({ ...record, synced: false })));
    }
  }

  async filled() {
    await storage.set(this.#filled);
    this.#filled = null;
  }

  async drain() {
    for (const key of KEYS) {
      const { [key]: records } = await storage.get(key);
      const waiting = records.filter(({ synced }) => !synced);
      const sent = new Set();
      for (let from = 0; from < waiting.length; from += BATCH) {
        const batch = waiting.slice(from, from + BATCH);
        await post(JSON.stringify({ [key]: batch }), batch.length);
        for (const { id } of batch) sent.add(id);
      }
      const { [key]: all } = await storage.get(key);
      const syncedAt = Date.now();
      const marked = all.map((record) =>
        sent.has(record.id) ? { ...record, synced: true, syncedAt } : record,
      );
      await storage.set({ [key]: marked });
    }
  }

  async left() {
    const arrays = Object.values(await storage.get(KEYS));
    return arrays.flat().filter(({ synced }) => !synced).length;
  }

  async close() {
    await storage.remove(KEYS);
  }
}
