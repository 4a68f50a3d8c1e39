// The best that is written by hand on IndexedDB: three requests in flight, three batches a read, the next read while they
// are out, and what was acknowledged meanwhile deleted in one transaction.
import { bodyOf, post } from "../post.mjs";
import { Rows } from "./rows.mjs";

const BATCH = 100;
const WINDOW = 300;
const IN_FLIGHT = 3;

export class Pipelined {
  #rows;
  #read = [0, 0];
  #window = [[], []];
  #coming;
  #turn = Promise.resolve();
  #acknowledged = [];
  #deleting = null;

  static async open(name) {
    const contender = new Pipelined();
    contender.#rows = await Rows.open(name);
    return contender;
  }

  fill(records) {
    return this.#rows.add(records);
  }

  async drain() {
    this.#coming = this.#readOn();
    const lane = async () => {
      for (let batch = await this.#next(); batch; batch = await this.#next()) {
        const [visits, aggregates] = batch.map((rows) => rows.map(({ body }) => body));
        await post(bodyOf(visits, aggregates), visits.length + aggregates.length);
        this.#acknowledged.push(batch);
        this.#deleting ??= this.#deleteAcknowledged();
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    await this.#deleting;
  }

  // One after the other: two lanes must not wait for the same window.
  #next() {
    this.#turn = this.#turn.then(() => this.#cut());
    return this.#turn;
  }

  async #cut() {
    const isEmpty = () => this.#window.every((rows) => rows.length === 0);
    if (isEmpty()) {
      this.#window = await this.#coming;
      if (isEmpty()) return null;
      this.#coming = this.#readOn();
    }
    return this.#window.map((rows) => rows.splice(0, BATCH));
  }

  async #readOn() {
    const window = await this.#rows.read(this.#read, WINDOW);
    this.#read = window.map((rows, kind) => rows.at(-1)?.key ?? this.#read[kind]);
    return window;
  }

  async #deleteAcknowledged() {
    while (this.#acknowledged.length > 0) await this.#rows.remove(this.#acknowledged.splice(0));
    this.#deleting = null;
  }

  async close() {
    this.#rows.close();
  }
}
