// The best that is written by hand on IndexedDB with one request in flight.
import { bodyOf, post } from "../post.mjs";
import { Rows } from "./rows.mjs";

const BATCH = 100;

export class Sequential {
  #rows;

  static async open(name) {
    const contender = new Sequential();
    contender.#rows = await Rows.open(name);
    return contender;
  }

  fill(records) {
    return this.#rows.add(records);
  }

  async drain() {
    let acknowledged = [0, 0];
    for (;;) {
      const batch = await this.#rows.read(acknowledged, BATCH);
      const [visits, aggregates] = batch.map((rows) => rows.map(({ body }) => body));
      if (visits.length + aggregates.length === 0) return;
      await post(bodyOf(visits, aggregates), visits.length + aggregates.length);
      await this.#rows.remove([batch]);
      acknowledged = batch.map((rows, kind) => rows.at(-1)?.key ?? acknowledged[kind]);
    }
  }

  async close() {
    this.#rows.close();
  }
}
