// What the two hand-written outboxes share: the records' texts, keyed by a number that only grows.
import { complete, done, open } from "../indexed_db.mjs";

const STORES = ["page_visits", "tab_aggregates"];

export class Rows {
  #database;

  static async open(name) {
    const rows = new Rows();
    rows.#database = await open(name, (database) => {
      for (const store of STORES) database.createObjectStore(store, { keyPath: "key", autoIncrement: true });
    });
    return rows;
  }

  async add({ pageVisits, tabAggregates }) {
    const transaction = this.#database.transaction(STORES, "readwrite");
    const [visits, aggregates] = STORES.map((store) => transaction.objectStore(store));
    for (const visit of pageVisits) visits.add({ body: JSON.stringify(visit) });
    for (const aggregate of tabAggregates) aggregates.add({ body: JSON.stringify(aggregate) });
    await complete(transaction);
  }

  /** The first rows of each kind above the given keys: deleted rows at the head would make an unbounded read slow. */
  read(above, limit) {
    const transaction = this.#database.transaction(STORES);
    return Promise.all(
      STORES.map((store, kind) =>
        done(transaction.objectStore(store).getAll(IDBKeyRange.lowerBound(above[kind], true), limit)),
      ),
    );
  }

  /** Deletes what was acknowledged: one range a store and batch. */
  async remove(batches) {
    const transaction = this.#database.transaction(STORES, "readwrite");
    for (const batch of batches) {
      STORES.forEach((store, kind) => {
        const rows = batch[kind];
        if (rows.length > 0) {
          transaction.objectStore(store).delete(IDBKeyRange.bound(rows[0].key, rows.at(-1).key));
        }
      });
    }
    transaction.commit();
    await complete(transaction);
  }

  close() {
    this.#database.close();
  }
}
