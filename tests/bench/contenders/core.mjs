// Our core, as anybody would use it, with every rule on.
import init, { SyncCore } from "../../pkg/heyho_sync.js";
import { rowsIn } from "../indexed_db.mjs";
import { BASE, TOKEN } from "../post.mjs";

// What is kept when everything is sent: the documents, and the receipts of what was acknowledged.
const KEPT = ["documents", "receipts"];

export class Core {
  #name;

  static async open(name) {
    const contender = new Core();
    contender.#name = name;
    contender.memory = (await init()).memory;
    contender.core = await SyncCore.open({
      databaseName: name,
      serverUrl: BASE,
      consent: true,
      session: { account: "bench", accessToken: TOKEN },
      keepAlive: () => {},
      armRetry: () => {},
    });
    return contender;
  }

  async fill(records) {
    await this.core.record(records);
  }

  /** Until nothing is left: a slice has its end, and the next alarm would go on. */
  async drain() {
    for (;;) {
      const report = await this.core.sync();
      if (report.outcome === "complete") return;
      if (report.attempted === 0) throw new Error(`the core stopped: ${report.reason}`);
    }
  }

  async left() {
    const { pending, quarantined, discarded } = await this.core.status();
    const counted = [pending, quarantined, discarded].flatMap((counts) => Object.values(counts));
    return counted.reduce((sum, count) => sum + count, 0) + (await rowsIn(this.#name, KEPT));
  }

  async close() {
    await this.core.close();
  }
}
