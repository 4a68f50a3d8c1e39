// Runs rows: contenders in turns, in one browser, against one server.

const ROUNDS = 5;
const MANY_RECORDS = 10_000;
const ROUNDS_OF_MANY = 3;
const QUICK = 10;

export class Bench {
  #server;
  #wanted;
  #quick;

  /** @param {{ rounds?: number, quick?: boolean }} options */
  constructor(server, { rounds, quick = false }) {
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

  job(job) {
    return this.#server.run(job);
  }

  /** Runs each job once a round, every round in another order. Resolves with the results of each, by name. */
  async alternate(jobs, rounds) {
    const names = Object.keys(jobs);
    const results = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
      const turned = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
      for (const name of round % 2 ? turned.reverse() : turned) {
        results[name].push(await this.job(jobs[name]));
      }
    }
    return results;
  }
}
