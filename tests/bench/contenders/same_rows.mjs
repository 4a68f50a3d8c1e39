// Hand-written JavaScript that keeps a record as the core does: the same row with its index, and the count of all rows,
// in one transaction.
import { complete, done, open } from "../indexed_db.mjs";

const COUNT = { captured: 0, acknowledged: 0, parked: 0, quarantined: 0, archived: 0, discarded: 0 };

export class SameRows {
  #database;
  #key = 2 ** 36;

  static async open(name) {
    const rows = new SameRows();
    rows.#database = await open(name, (database) => {
      const store = database.createObjectStore("page_visits", { keyPath: "key" });
      store.createIndex("id", "id");
      database.createObjectStore("documents");
    });
    return rows;
  }

  #row(record) {
    const body = JSON.stringify(record);
    this.#key += 1;
    const { id, source_page_visit_id, domain } = record;
    const refersTo = source_page_visit_id ?? undefined;
    return {
      key: this.#key,
      kind: 0,
      id,
      revision: 1,
      refersTo,
      sites: domain,
      bytes: body.length,
      capturedAt: Date.now(),
      body,
    };
  }

  async add(records) {
    const rows = records.map((record) => this.#row(record));
    const transaction = this.#database.transaction(["page_visits", "documents"], "readwrite");
    const documents = transaction.objectStore("documents");
    const books = JSON.parse((await done(documents.get("books"))) ?? JSON.stringify({ 1: [COUNT, COUNT] }));
    books[1][0].captured += rows.length;
    for (const row of rows) transaction.objectStore("page_visits").add(row);
    documents.put(JSON.stringify(books), "books");
    transaction.commit();
    await complete(transaction);
  }

  /** Without any count: what the least that could be called keeping costs. */
  async addRowAlone(record) {
    const transaction = this.#database.transaction("page_visits", "readwrite");
    transaction.objectStore("page_visits").add(this.#row(record));
    transaction.commit();
    await complete(transaction);
  }

  close() {
    this.#database.close();
  }
}
