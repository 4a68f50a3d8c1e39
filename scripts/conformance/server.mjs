// The server under test, as the core sees one: what it answers, and whether that acknowledges what was sent.
import { randomUUID } from "node:crypto";

/** As the core's own time-out. */
const TIMEOUT_MS = 25_000;

export class Server {
  /** A site of this run's own, so that its records can be told from others and erased. */
  site = `${randomUUID().slice(0, 8)}.conformance.example`;
  token = null;
  refreshToken = null;

  constructor(url, email, password) {
    this.base = url.replace(/\/+$/, "");
    this.credentials = { email, password };
  }

  /** Sends one request. `body` goes as JSON, text and bytes as they are. Resolves with what came back. */
  async ask(method, route, { body, headers = {}, token = this.token } = {}) {
    const isText = typeof body === "string" || body instanceof Uint8Array;
    const started = performance.now();
    const response = await fetch(this.base + route, {
      method,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined || isText ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      json: objectOf(text),
      ms: Math.round(performance.now() - started),
    };
  }

  get(route) {
    return this.ask("GET", route);
  }

  post(route, body, options) {
    return this.ask("POST", route, { body, ...options });
  }

  /** Sends a batch. */
  sync(pageVisits, tabAggregates = [], options) {
    return this.post("/data/sync", { pageVisits, tabAggregates }, options);
  }

  /** A visit that breaks no rule. */
  visit(fields = {}) {
    const id = randomUUID();
    return {
      id,
      url: `https://${this.site}/${id}`,
      title: "Conformance",
      visited_at: new Date().toISOString(),
      domain: this.site,
      durationSeconds: 60,
      activeDuration: 30_000,
      engagementRate: 0.5,
      revision: 1,
      ...fields,
    };
  }

  /** An aggregate of this visit that breaks no rule. */
  aggregate(visit, fields = {}) {
    return {
      id: randomUUID(),
      page_visit_id: visit.id,
      total_time_seconds: 60,
      active_time_seconds: 30,
      scroll_depth_percent: 50,
      closed_at: new Date().toISOString(),
      revision: 1,
      ...fields,
    };
  }

  /** The stored visit, or null; undefined where the server shows no records. */
  async stored(id) {
    const { status, json } = await this.get("/browsing_data?page=1&per_page=100");
    const visits = json?.data?.page_visits;
    if (status !== 200 || !Array.isArray(visits)) return undefined;
    return visits.find((visit) => visit.id === id) ?? null;
  }
}

function objectOf(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** The counts of a 200, or null where it gives none. */
export function countsOf({ json }) {
  const { page_visits_synced: visits, tab_aggregates_synced: aggregates } = json?.data ?? {};
  if (!Number.isInteger(visits) || !Number.isInteger(aggregates)) return null;
  const { ignored_records_count: ignored = 0, rejected_records_count: rejected = 0 } = json.data;
  return { stored: visits + aggregates, ignored, rejected };
}

/** Why the core would not take this answer as an acknowledgement of so many records; null if it would. */
export function doubt(answer, sent) {
  const { status, json } = answer;
  if (status !== 200) return `answered ${status}`;
  if (!json) return "200 with a body that is no JSON object";
  if (json.success === false || json.ok === false || json.error) return "200 with a body that says otherwise";
  if (Array.isArray(json.errors) && json.errors.length > 0) return "200 with a list of errors";
  const counts = countsOf(answer);
  if (counts && counts.stored + counts.ignored !== sent) {
    return `200, but its counts account for ${counts.stored + counts.ignored} of ${sent} records`;
  }
  return null;
}

/** Ids that an answer blames. */
export function blamed({ json }) {
  const named =
    json?.failed_records ?? json?.validation_errors ?? json?.data?.validation_errors ?? json?.errors;
  return Array.isArray(named) ? named.map((record) => record?.id ?? record?.record_id).filter(Boolean) : [];
}
