// Runs rows: contenders in turns, in one browser, against one server.

const ROUNDS = 5;
const MANY_RECORDS = 10_000;
const ROUNDS_OF_MANY = 3;
const QUICK = 10;

export class Bench {
  #server;
  #wanted;
  #quick;
  #filled = {};

  /** @param {{ rounds?: number, quick?: boolean, firefox?: boolean }} options */
  constructor(server, { rounds, quick = false, firefox = false }) {
    this.firefox = firefox;
    this.#server = server;
    this.#wanted = rounds ?? (quick ? 1 : null);
    this.#quick = quick;
  }

  /** How large a backlog is in this run. */
  size(count) {
    return this.#quick ? Math.ceil(count / QUICK) : count;
  }

  /** How many rounds a row of so many records gets. */
  rounds(records = 0) {
    return this.#wanted ?? (records > MANY_RECORDS ? ROUNDS_OF_MANY : ROUNDS);
  }

  /** The name of a database of the core that holds so many visits with their aggregates. It is filled once a run. */
  async filled(count) {
    const database = `bench filled ${count}`;
    this.#filled[count] ??= this.job({ kind: "backlog", database, fill: count });
    await this.#filled[count];
    return database;
  }

  job(job) {
    return this.#server.run(job);
  }

  /**
   * Runs each job once a round, every round in another order; one that is marked with `once` in the first round alone.
   * Resolves with the results of each, by name.
   */
  async alternate(jobs, rounds) {
    const names = Object.keys(jobs);
    const results = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
      const turned = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
      for (const name of round % 2 ? turned.reverse() : turned) {
        if (round === 0 || !jobs[name].once) results[name].push(await this.job(jobs[name]));
      }
    }
    return results;
  }
}
