// The server of the benchmarks: reads every batch as a server must, costs the same for all, and keeps the score. It also
// hands the page in the browser its jobs and takes what they measured.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

const ROUTE = "/api/v1/data/sync";
const MOST_MS_OF_A_JOB = 1_200_000;

export class BenchServer {
  #server;
  #jobs = [];
  #idle = [];
  #running = new Map();
  #score;
  #nextJob = 0;

  static async start() {
    const bench = new BenchServer();
    bench.#begin({});
    bench.#server = createServer((request, response) => {
      bench.#answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
    });
    bench.#server.keepAliveTimeout = 600_000;
    await new Promise((resolve) => bench.#server.listen(0, "127.0.0.1", resolve));
    bench.origin = `http://127.0.0.1:${bench.#server.address().port}`;
    return bench;
  }

  /** Resolves when the page asks for its first job. */
  async browserAsks(patienceMs = 60_000) {
    const late = Date.now() + patienceMs;
    while (this.#idle.length === 0) {
      if (Date.now() > late) throw new Error("the browser did not load the extension of the benchmarks");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Lets the page in the browser do a job. Resolves with what it measured. */
  run(job) {
    return new Promise((resolve, reject) => {
      const id = ++this.#nextJob;
      const overdue = new Error(`${job.kind} ${job.contender ?? ""}: no answer from the browser`);
      const timer = setTimeout(() => reject(overdue), MOST_MS_OF_A_JOB);
      this.#running.set(id, { resolve, reject, timer });
      this.#jobs.push({ id, ...job });
      this.#hand();
    });
  }

  #hand() {
    while (this.#jobs.length > 0 && this.#idle.length > 0) {
      this.#idle.shift().end(JSON.stringify(this.#jobs.shift()));
    }
  }

  #begin({ delayMs = 0, ordered = false, gzip = false }) {
    this.#score = {
      delayMs,
      ordered,
      gzip,
      visits: new Set(),
      aggregates: new Set(),
      requests: 0,
      preflights: 0,
      bytes: 0,
      largest: [0, 0],
      orphans: 0,
      mostInFlight: 0,
      inFlight: 0,
    };
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    if (request.method === "OPTIONS") {
      this.#score.preflights += 1;
      response.setHeader("Access-Control-Allow-Headers", "*, Authorization");
      response.setHeader("Access-Control-Max-Age", "7200");
      response.writeHead(204).end();
    } else if (pathname === ROUTE) await this.#sync(request, response);
    else if (pathname === `${ROUTE}/capabilities`) this.#capabilities(response);
    else if (pathname === "/bench/begin") {
      this.#begin(JSON.parse(await bodyOf(request)));
      response.end();
    } else if (pathname === "/bench/score") {
      const { visits, aggregates, ...score } = this.#score;
      response.end(JSON.stringify({ ...score, visits: visits.size, aggregates: aggregates.size }));
    } else if (pathname === "/bench/next") {
      this.#idle.push(response);
      this.#hand();
    } else if (pathname === "/bench/done") {
      const { id, error, result } = JSON.parse(await bodyOf(request));
      const { resolve, reject, timer } = this.#running.get(id);
      clearTimeout(timer);
      this.#running.delete(id);
      response.end();
      if (error) reject(new Error(error));
      else resolve(result);
    } else response.writeHead(404).end();
  }

  #capabilities(response) {
    response.setHeader("Content-Type", "application/json");
    const compression = this.#score.gzip ? ["gzip"] : [];
    const references_in_any_order = !this.#score.ordered;
    const limits = { max_page_visits: 1000, max_tab_aggregates: 1000, max_body_bytes: 4 * 1024 * 1024 };
    const data = { compression, ...limits, references_in_any_order, revisions: true, idempotency_key: true };
    response.end(JSON.stringify({ success: true, data }));
  }

  async #sync(request, response) {
    const score = this.#score;
    score.inFlight += 1;
    score.mostInFlight = Math.max(score.mostInFlight, score.inFlight);
    const text = await bodyOf(request, request.headers["content-encoding"] === "gzip");
    const { pageVisits = [], tabAggregates = [] } = JSON.parse(text);
    const known = score.visits.size + score.aggregates.size;
    for (const { id } of pageVisits) score.visits.add(id);
    for (const { id } of tabAggregates) score.aggregates.add(id);
    if (score.ordered) {
      const missing = (id) => id != null && !score.visits.has(id);
      score.orphans += pageVisits.filter((visit) => missing(visit.source_page_visit_id)).length;
      score.orphans += tabAggregates.filter((aggregate) => missing(aggregate.page_visit_id)).length;
    }
    score.requests += 1;
    score.bytes += Number(request.headers["content-length"]);
    score.largest = [
      Math.max(score.largest[0], pageVisits.length),
      Math.max(score.largest[1], tabAggregates.length),
    ];
    const created = score.visits.size + score.aggregates.size - known;
    const answer = JSON.stringify({
      success: true,
      message: "Data synced successfully",
      data: {
        page_visits_synced: pageVisits.length,
        tab_aggregates_synced: tabAggregates.length,
        ignored_records_count: 0,
        rejected_records_count: 0,
        created,
        updated: pageVisits.length + tabAggregates.length - created,
      },
    });
    if (score.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, score.delayMs));
    score.inFlight -= 1;
    response.setHeader("Content-Type", "application/json");
    response.end(answer);
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function bodyOf(request, packed = false) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return (packed ? gunzipSync(bytes) : bytes).toString();
}
