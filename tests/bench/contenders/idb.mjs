// An outbox as one writes it with `idb`: a cursor reads the batch, and a cursor deletes it.
import { openDB } from "../../vendor/idb.mjs";
import { post } from "../post.mjs";

const BATCH = 100;
const STORES = ["pageVisits", "tabAggregates"];

export class IdbOutbox {
  #database;

  static async open(name) {
    const contender = new IdbOutbox();
    contender.#database = await openDB(name, 1, {
      upgrade(database) {
        for (const store of STORES) database.createObjectStore(store, { autoIncrement: true });
      },
    });
    return contender;
  }

  async fill(records) {
    const transaction = this.#database.transaction(STORES, "readwrite");
    for (const name of STORES) for (const record of records[name]) transaction.objectStore(name).add(record);
    await transaction.done;
  }

  async drain() {
    for (;;) {
      const batch = { pageVisits: [], tabAggregates: [] };
      for (const name of STORES) {
        let cursor = await this.#database.transaction(name).store.openCursor();
        while (cursor && batch[name].length < BATCH) {
          batch[name].push(cursor.value);
          cursor = await cursor.continue();
        }
      }
      const records = batch.pageVisits.length + batch.tabAggregates.length;
      if (records === 0) return;
      await post(JSON.stringify(batch), records);
      for (const name of STORES) {
        const transaction = this.#database.transaction(name, "readwrite");
        let cursor = await transaction.store.openCursor();
        for (let left = batch[name].length; cursor && left > 0; left -= 1) {
          await cursor.delete();
          cursor = await cursor.continue();
        }
        await transaction.done;
      }
    }
  }

  async close() {
    this.#database.close();
  }
}
