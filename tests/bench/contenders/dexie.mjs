// An outbox as one writes it with Dexie.
import { Dexie } from "../../vendor/dexie.mjs";
import { post } from "../post.mjs";

const BATCH = 100;

export class DexieOutbox {
  #database;

  static async open(name) {
    const contender = new DexieOutbox();
    contender.#database = new Dexie(name);
    contender.#database.version(1).stores({ pageVisits: "++key", tabAggregates: "++key" });
    await contender.#database.open();
    return contender;
  }

  async fill({ pageVisits, tabAggregates }) {
    const { pageVisits: visits, tabAggregates: aggregates } = this.#database;
    await this.#database.transaction("rw", visits, aggregates, async () => {
      await visits.bulkAdd(pageVisits);
      await aggregates.bulkAdd(tabAggregates);
    });
  }

  async drain() {
    const { pageVisits, tabAggregates } = this.#database;
    for (;;) {
      const [visits, aggregates] = await Promise.all([
        pageVisits.orderBy(":id").limit(BATCH).toArray(),
        tabAggregates.orderBy(":id").limit(BATCH).toArray(),
      ]);
      if (visits.length + aggregates.length === 0) return;
      const bare = ({ key, ...record }) => record;
      const body = JSON.stringify({ pageVisits: visits.map(bare), tabAggregates: aggregates.map(bare) });
      await post(body, visits.length + aggregates.length);
      await this.#database.transaction("rw", pageVisits, tabAggregates, async () => {
        await pageVisits.bulkDelete(visits.map(({ key }) => key));
        await tabAggregates.bulkDelete(aggregates.map(({ key }) => key));
      });
    }
  }

  async close() {
    this.#database.close();
  }
}
