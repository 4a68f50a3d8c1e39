// The server under test, as the core sees one: what it answers, and whether that acknowledges what was sent.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** As the core's own time-out. */
const TIMEOUT_MS = 25_000;

/** Longest wait that a server may ask for here, and how often for one request. */
const MAX_WAIT_MS = 2 * 60_000;
const MAX_WAITS = 5;

/** The wait after an answer that asks for one and doesn't say how long. */
const UNTOLD_WAIT_MS = 1_000;

/** Rows of a page of records, and how many pages are looked through. */
const PAGE_ROWS = 100;
const MAX_PAGES = 20;

export class Server {
  /** A site of this run's own, so that its records can be told from others and erased. */
  site = `${randomUUID().slice(0, 8)}.conformance.example`;
  token = null;
  refreshToken = null;
  #hasCounted = false;

  constructor(url, email, password) {
    this.base = url.replace(/\/+$/, "");
    this.credentials = { email, password };
  }

  /**
   * Sends one request. `body` goes as JSON, text and bytes as they are. Resolves with what came back. Unless in a hurry,
   * it waits as long as the server asks for and sends it again, as the core does.
   */
  async ask(method, route, { isHurried = false, ...request } = {}) {
    for (let waits = 0; ; waits += 1) {
      const answer = await this.#askOnce(method, route, request);
      const wait = waitOf(answer);
      if (isHurried || wait === null || wait > MAX_WAIT_MS || waits === MAX_WAITS) return answer;
      await sleep(wait);
    }
  }

  async #askOnce(method, route, { body, headers = {}, token = this.token }) {
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
      isEmpty: text.trim() === "",
      ms: Math.round(performance.now() - started),
    };
  }

  get(route) {
    return this.ask("GET", route);
  }

  post(route, body, options) {
    return this.ask("POST", route, { body, ...options });
  }

  /** Sends a batch; `pack` makes its body of the JSON text. Resolves with what came back, and what is expected of it. */
  async sync(pageVisits, tabAggregates = [], { pack = (text) => text, ...options } = {}) {
    const body = pack(JSON.stringify({ pageVisits, tabAggregates }));
    const answer = await this.post("/data/sync", body, options);
    const countsExpected = this.#hasCounted;
    this.#hasCounted ||= answer.status === 200 && countsOf(answer) !== null;
    const ids = (records) => records.map(({ id }) => id);
    return { ...answer, countsExpected, sent: { visits: ids(pageVisits), aggregates: ids(tabAggregates) } };
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

  /** The stored visits of this id; undefined where the server doesn't show them. */
  visits(id) {
    return this.#rows("page_visits", id);
  }

  /** The stored aggregates of this id; undefined where the server doesn't show them. */
  aggregates(id) {
    return this.#rows("tab_aggregates", id);
  }

  async #rows(kind, id) {
    for (let page = 1, before = null; page <= MAX_PAGES; page += 1) {
      const { status, json } = await this.get(`/browsing_data?page=${page}&per_page=${PAGE_ROWS}`);
      const rows = json?.data?.[kind];
      if (status !== 200 || !Array.isArray(rows)) return undefined;
      const found = rows.filter((row) => row.id === id);
      // A page that isn't full is the last one, and one that comes again is all that there is.
      if (found.length > 0 || rows.length !== PAGE_ROWS || rows[0].id === before) return found;
      before = rows[0].id;
    }
    return undefined;
  }
}

/** How long the server asks to be left alone, in ms; null if it doesn't. */
function waitOf({ status, headers, json }) {
  if (status !== 429 && status !== 503) return null;
  const told = headers.get("retry-after") ?? json?.retry_after ?? json?.data?.retry_after;
  if ((told ?? null) === null) return status === 429 ? UNTOLD_WAIT_MS : null;
  const ms = Number(told) * 1_000;
  const until = Number.isNaN(ms) ? Date.parse(told) - Date.now() : ms;
  return Number.isNaN(until) ? UNTOLD_WAIT_MS : Math.max(until, 0);
}

function objectOf(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

const LISTS = ["failed_records", "validation_errors", "errors"];

/** What an answer says stands in its body or in its `data` (as in src/decisions/protocol.rs). */
function levelsOf({ json }) {
  const data = json?.data;
  return [json, data].filter((level) => level !== null && typeof level === "object" && !Array.isArray(level));
}

const isFilled = (value) =>
  value !== null && typeof value === "object" ? Object.keys(value).length > 0 : !!value;

const denies = (level) =>
  Boolean(level.error) ||
  isFilled(level.errors) ||
  ["success", "ok"].some((flag) => flag in level && !level[flag]);

/** The records that an answer names, and whether it complains of something without naming it. */
function complaints(answer) {
  const named = [];
  let unnamed = false;
  for (const list of levelsOf(answer).flatMap((level) => LISTS.map((name) => level[name]))) {
    if (!Array.isArray(list)) {
      unnamed ||= isFilled(list);
      continue;
    }
    for (const record of list) {
      const id = [record, record?.id, record?.record_id].find((id) =>
        ["string", "number"].includes(typeof id),
      );
      if (id === undefined) unnamed = true;
      else named.push({ id: String(id), type: record?.record_type });
    }
  }
  return { named, unnamed };
}

/** The counts of a 200, or null where it gives none of them. As for the core, what it leaves out is 0. */
export function countsOf(answer) {
  const names = [
    "page_visits_synced",
    "tab_aggregates_synced",
    "ignored_records_count",
    "rejected_records_count",
  ];
  const told = levelsOf(answer).find((level) => names.some((name) => (level[name] ?? null) !== null));
  if (!told) return null;
  const whole = (count) => (Number.isSafeInteger(count) && count >= 0 ? count : Infinity);
  const [visits, aggregates, ignored, rejected] = names.map((name) => whole(told[name] ?? 0));
  return { visits, aggregates, stored: visits + aggregates, ignored, rejected };
}

/**
 * Why the core would not take the answer to a batch as an acknowledgement of all its records; null if it would. The
 * rules are those of src/decisions/verdict.rs.
 */
export function doubt(answer) {
  const { status, json, isEmpty, sent, countsExpected } = answer;
  if (status !== 200) return `answered ${status}`;
  const uncounted = countsExpected ? "200 without the counts that it gave before" : null;
  if (isEmpty) return uncounted;
  if (!json) return "200 with a body that is no JSON object";
  if (levelsOf(answer).some(denies)) return "200 with a body that says otherwise";
  const { named, unnamed } = complaints(answer);
  const rejected = (type, ids) =>
    ids.filter((id) => named.some((each) => each.id === id && [undefined, type].includes(each.type))).length;
  const badVisits = rejected("page_visit", sent.visits);
  const badAggregates = rejected("tab_aggregate", sent.aggregates);
  const bad = badVisits + badAggregates;
  const counts = countsOf(answer);
  if (counts) {
    const total = sent.visits.length + sent.aggregates.length;
    const accounted = counts.stored + counts.ignored + counts.rejected;
    if (accounted !== total) return `200, but its counts account for ${accounted} of ${total} records`;
    if (counts.visits > sent.visits.length - badVisits)
      return "200, but it counts more visits than it can have";
    if (counts.aggregates > sent.aggregates.length - badAggregates)
      return "200, but it counts more aggregates than it can have";
    if (counts.rejected !== bad)
      return `200, but it rejects ${counts.rejected} records and names ${bad} of them`;
  } else if (uncounted) {
    return uncounted;
  } else if (unnamed || (named.length > 0 && bad === 0)) {
    return "200 with a complaint that names no record of the batch";
  }
  return bad > 0 ? `200, but it rejects ${bad} of the records` : null;
}

/** Ids that an answer blames. */
export const blamed = (answer) => complaints(answer).named.map(({ id }) => id);
