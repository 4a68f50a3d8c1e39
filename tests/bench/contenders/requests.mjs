// Requests alone, their bodies ready: what no drain can beat.
import { bodyOf, post } from "../post.mjs";

const BATCH = 100;

export class Requests {
  #bodies = [];
  #inFlight;

  constructor(inFlight) {
    this.#inFlight = inFlight;
  }

  async fill({ pageVisits, tabAggregates }) {
    for (let from = 0; from < pageVisits.length; from += BATCH) {
      const [visits, aggregates] = [pageVisits, tabAggregates].map((list) => list.slice(from, from + BATCH));
      const texts = [visits, aggregates].map((list) => list.map((record) => JSON.stringify(record)));
      this.#bodies.push({ body: bodyOf(...texts), records: visits.length + aggregates.length });
    }
  }

  async drain() {
    const lane = async () => {
      for (let next = this.#bodies.shift(); next; next = this.#bodies.shift())
        await post(next.body, next.records);
    };
    await Promise.all(Array.from({ length: this.#inFlight }, lane));
  }

  async left() {
    return this.#bodies.length;
  }

  async close() {}
}
