// The real backend, as demo and tests run it: one process on a free port, on a SQLite file of its own.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { giveUp, root } from "../setup.mjs";

/** Builds the backend if need be. Returns the path of the program. */
export function buildBackend() {
  const built = spawnSync("cargo", ["build", "-p", "heyho-server"], {
    cwd: root,
    stdio: "inherit",
  });
  if (built.error) giveUp("cargo can't be run; please install Rust with rustup (https://rustup.rs).");
  if (built.status !== 0) giveUp("the backend could not be built; the compiler's words are above.");
  return path.join(process.env.CARGO_TARGET_DIR || path.join(root, "target"), "debug", "heyho-server");
}

export class Backend {
  #program;
  #database;
  #flags;
  #process;
  #listen = "127.0.0.1:0";

  /** Starts one on a free port; `database` is the path of its SQLite file, `flags` are more of the server's. */
  static async start(program, database, flags = []) {
    const backend = new Backend();
    backend.#program = program;
    backend.#database = database;
    backend.#flags = flags;
    await backend.start();
    return backend;
  }

  /** Starts it (again), on the port that it had before. Resolves when it answers. */
  async start() {
    const args = ["--listen", this.#listen, "--database", `sqlite://${this.#database}`, ...this.#flags];
    const stdio = ["ignore", "pipe", process.env.HEYHO_SHOW_SERVER_LOG ? "inherit" : "ignore"];
    this.#process = spawn(this.#program, args, { stdio });
    const ended = once(this.#process, "exit").then(([code]) => {
      throw new Error(`the backend ended by itself with code ${code}`);
    });
    const line = await Promise.race([once(createInterface(this.#process.stdout), "line"), ended]);
    ended.catch(() => {});
    const { host } = new URL(String(line).replace("listening on ", ""));
    this.#listen = host;
  }

  /** Ends it. Resolves when nobody listens any more. */
  async stop(signal = "SIGTERM") {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  get origin() {
    return `http://${this.#listen}`;
  }

  /** What the extension's setting `serverUrl` is to be. */
  get base() {
    return `${this.origin}/api/v1`;
  }

  /** Makes an account. Returns a client that is logged in as it. */
  async account(email, password) {
    await this.#ask("/auth/create-account", { email, password, first_name: "Ada", last_name: "Example" });
    const { data } = await this.#ask("/auth/login", { email, password });
    return new Account(this, email, password, data.AccessToken);
  }

  async #ask(route, body) {
    const request = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    };
    return answerOf(await fetch(this.base + route, request));
  }
}

/** One user, as the backend knows them. */
export class Account {
  #backend;
  #token;

  constructor(backend, email, password, token) {
    this.#backend = backend;
    this.email = email;
    this.password = password;
    this.#token = token;
  }

  /** Every row that the database holds of this account, the newest first. */
  async rows() {
    const rows = { pageVisits: [], tabAggregates: [] };
    for (let page = 1; page !== null;) {
      const { data } = await this.#get(`/browsing_data?page=${page}&per_page=100`);
      rows.pageVisits.push(...data.page_visits);
      rows.tabAggregates.push(...data.tab_aggregates);
      page = data.pagination.next_page;
    }
    return rows;
  }

  /** A login as the core takes it. */
  async session() {
    const { data } = await this.#get("/users/me");
    return { account: String(data.user.id), accessToken: this.#token };
  }

  async #get(route) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    return answerOf(await fetch(this.#backend.base + route, { headers }));
  }
}

async function answerOf(response) {
  if (response.status !== 200)
    throw new Error(`${new URL(response.url).pathname} answered ${response.status}`);
  return response.json();
}
