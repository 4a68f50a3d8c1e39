// Stands in for the published backend, defects included: its validator keeps its errors from record to record, a
// refusal of all names none, an unknown reference fails the whole batch, whatever comes last overwrites, there is no
// refresh, and what is no batch is a success with nothing in it.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";

const PARTS = ["id", "url", "visited_at"];

class Published {
  #accounts = new Map();
  #visits = new Map();
  #aggregates = new Map();
  #sessions = new Map();

  constructor(accounts) {
    for (const [email, password] of Object.entries(accounts)) {
      this.#accounts.set(email, { password, id: this.#accounts.size + 1 });
    }
  }

  /** The answer to a request: status and body. */
  answer(method, route, headers, text) {
    const body = parsed(headers, text);
    if (body === BROKEN) return [400, { status: 400, error: "Bad Request" }];
    const user = this.#userOf(headers.authorization);
    const path = route.split("?")[0];
    switch (`${method} ${path}`) {
      case "POST /api/v1/auth/login":
        return this.#login(body);
      case "GET /api/v1/users/me":
        return user
          ? [200, { success: true, data: { user: { id: user.id, email: user.email } } }]
          : UNAUTHORIZED;
      case "POST /api/v1/auth/logout":
        if (!user) return UNAUTHORIZED;
        this.#sessions.delete(user.token);
        return [200, { statusCode: 200, message: "Logged out", error: false }];
      case "GET /api/v1/browsing_data":
        return user ? [200, { success: true, data: this.#pages(user) }] : UNAUTHORIZED;
      case "POST /api/v1/data/sync":
        return user ? this.#sync(user, body) : UNAUTHORIZED;
      default:
        return [404, { status: 404, error: "Not Found" }];
    }
  }

  #login({ email, password }) {
    const account = this.#accounts.get(email);
    if (account?.password !== password)
      return [401, { statusCode: 401, message: "Unauthorized", error: true }];
    const AccessToken = randomUUID();
    this.#sessions.set(AccessToken, email);
    const data = {
      AccessToken,
      ExpiresIn: 3600,
      IdToken: "-",
      RefreshToken: "worth nothing",
      TokenType: "Bearer",
    };
    return [200, { statusCode: 200, message: "Login successful", error: false, data }];
  }

  #userOf(authorization = "") {
    const token = authorization.replace("Bearer ", "");
    const email = this.#sessions.get(token);
    return email && { token, email, id: this.#accounts.get(email).id };
  }

  #pages(user) {
    const own = (records) => [...records.values()].filter((record) => record.user_id === user.id);
    return { page_visits: own(this.#visits), tab_aggregates: own(this.#aggregates) };
  }

  #sync(user, { pageVisits, tabAggregates }) {
    const visits = pageVisits ?? [];
    const aggregates = tabAggregates ?? [];
    const total = visits.length + aggregates.length;
    if (total > 1000) {
      const message = `Batch size exceeded. Maximum 1000 records allowed, got ${total}`;
      return [400, { success: false, message, errors: [] }];
    }
    const errors = [];
    const rejected = [];
    const isGood = (record, type, fault) => {
      if (fault) errors.push(fault);
      // One list for all records: after the first error every later record has errors too.
      if (errors.length === 0) return true;
      rejected.push({ record_id: record.id, record_type: type, ...errors.at(-1) });
      return false;
    };
    const goodVisits = visits.filter((visit) => isGood(visit, "page_visit", faultOfVisit(visit)));
    const goodAggregates = aggregates
      .filter((aggregate) => isGood(aggregate, "tab_aggregate", aggregate.id ? null : { field: "id" }))
      // Without a visit they are left out, and counted nowhere.
      .filter((aggregate) => aggregate.page_visit_id);
    const stored = goodVisits.length + goodAggregates.length;
    if (total > 0 && stored === 0 && rejected.length > 0) {
      return [400, { success: false, message: "Validation failed for one or more records", errors: [] }];
    }
    const known = new Set([...this.#visits.keys(), ...goodVisits.map(({ id }) => id)]);
    const refers = [
      ...goodVisits.map(({ source_page_visit_id: id }) => id),
      ...goodAggregates.map(({ page_visit_id: id }) => id),
    ];
    if (refers.some((id) => id && !known.has(id))) {
      return [500, { success: false, message: "Data sync failed", errors: [] }];
    }
    for (const visit of goodVisits) {
      const row = { id: visit.id, user_id: user.id, url: visit.url, duration_seconds: visit.durationSeconds };
      this.#visits.set(visit.id, row);
    }
    for (const aggregate of goodAggregates)
      this.#aggregates.set(aggregate.id, { ...aggregate, user_id: user.id });
    const data = {
      page_visits_synced: goodVisits.length,
      tab_aggregates_synced: goodAggregates.length,
      rejected_records_count: rejected.length,
      data_quality_score: 100,
      validation_errors: rejected,
    };
    const words = `with ${rejected.length} record(s) rejected due to validation errors`;
    return [200, { success: true, data, message: `Data synced ${rejected.length ? words : "successfully"}` }];
  }
}

const UNAUTHORIZED = [401, { success: false, message: "You need to sign in or sign up before continuing." }];
const BROKEN = Symbol("broken");

// What isn't JSON by its content type has no parameters; neither has an array.
function parsed(headers, text) {
  if (headers["content-type"] !== "application/json" || text === "") return {};
  try {
    const body = JSON.parse(text);
    return Array.isArray(body) ? {} : body;
  } catch {
    return BROKEN;
  }
}

function faultOfVisit(visit) {
  const missing = PARTS.find((name) => !visit[name]);
  if (missing) return { field: missing, message: `${missing} is required` };
  return /^https?:\/\/[!-~]+$/i.test(visit.url) ? null : { field: "url", message: "url must be a valid URL" };
}

/** Starts one with these accounts (password by e-mail address) on a free port. Returns its `base`, and `stop`. */
export async function startPublished(accounts) {
  const published = new Published(accounts);
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const [status, body] = published.answer(request.method, request.url, request.headers, text);
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    base: `http://127.0.0.1:${server.address().port}/api/v1`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
