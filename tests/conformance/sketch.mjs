// A small server of records that can be made bad at one point: in what it keeps of a record, in what it says, or in how
// many requests it takes.
import { createServer } from "node:http";
import { once } from "node:events";

/** What becomes of the rows that are held of an id when a record of that id comes. */
export const KEEP = {
  highestRevision: (rows, record) =>
    rows.length === 0 || record.revision > rows[0].revision ? [record] : rows,
  first: (rows, record) => (rows.length === 0 ? [record] : rows),
  every: (rows, record) => [...rows, record],
  none: () => [],
};

/** What a saved batch is answered with. */
export const SAY = {
  counts: (visits, aggregates) => ({
    success: true,
    data: { page_visits_synced: visits, tab_aggregates_synced: aggregates },
  }),
  visitsOnly: (visits) => ({ success: true, data: { page_visits_synced: visits } }),
  nothing: () => "",
};

const ROUTES = "/api/v1";

class Sketch {
  #keep;
  #say;
  #oneIn;
  #requests = 0;
  #rows = { pageVisits: new Map(), tabAggregates: new Map() };

  constructor({ keep = KEEP.highestRevision, say = SAY.counts, refusesOneIn = Infinity }) {
    this.#keep = keep;
    this.#say = say;
    this.#oneIn = refusesOneIn;
  }

  /** Status, body, and seconds to wait. */
  answer(method, route, authorization, text) {
    this.#requests += 1;
    if (this.#requests % this.#oneIn === 0) return [429, { success: false, message: "slower" }, 1];
    const path = route.split("?")[0];
    if (`${method} ${path}` === `POST ${ROUTES}/auth/login`) return [200, { data: { AccessToken: "good" } }];
    if (authorization !== "Bearer good") return [401, { success: false }];
    switch (`${method} ${path}`) {
      case `GET ${ROUTES}/users/me`:
        return [200, { data: { user: { id: 1 } } }];
      case `GET ${ROUTES}/browsing_data`: {
        const [page_visits, tab_aggregates] = Object.values(this.#rows).map((rows) =>
          [...rows.values()].flat(),
        );
        return [200, { data: { page_visits, tab_aggregates } }];
      }
      case `POST ${ROUTES}/data/sync`:
        return this.#sync(JSON.parse(text));
      default:
        return [404, { success: false }];
    }
  }

  #sync({ pageVisits = [], tabAggregates = [] }) {
    const bad = pageVisits.filter(({ url }) => !url?.startsWith("https://"));
    if (bad.length > 0) return [400, { success: false, failed_records: bad.map(({ id }) => ({ id })) }];
    for (const [kind, records] of Object.entries({ pageVisits, tabAggregates })) {
      const rows = this.#rows[kind];
      for (const record of records) {
        const row = { ...record, duration_seconds: record.durationSeconds };
        rows.set(record.id, this.#keep(rows.get(record.id) ?? [], row));
      }
    }
    return [200, this.#say(pageVisits.length, tabAggregates.length)];
  }
}

/** Starts one on a free port. Returns its `base`, and `stop`. */
export async function startSketch(options) {
  const sketch = new Sketch(options);
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    let answer;
    try {
      answer = sketch.answer(method, url, headers.authorization, Buffer.concat(chunks).toString());
    } catch {
      answer = [400, { success: false }];
    }
    const [status, body, wait] = answer;
    if (wait) response.setHeader("Retry-After", wait);
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    base: `http://127.0.0.1:${server.address().port}${ROUTES}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
