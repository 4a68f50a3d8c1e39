// What every end-to-end file stands on: a folder, a backend, an account and a browser of its own.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Backend, buildBackend } from "../../scripts/lib/backend.mjs";
import { launchChromium } from "../../scripts/lib/chromium.mjs";
import { startSite } from "../../scripts/lib/site.mjs";

// scripts/test.mjs has built it already and says where it is.
const program = process.env.HEYHO_SERVER || buildBackend();

export const CREDENTIALS = { email: "ada@example.org", password: "a paper boat goes far" };

/** Hands out what is needed and takes all of it back at the end, the last first. */
export class World {
  #ends = [];

  static async begin() {
    const world = new World();
    world.folder = await mkdtemp(path.join(os.tmpdir(), "heyho-e2e-"));
    world.#ends.push(() => rm(world.folder, { recursive: true, force: true, maxRetries: 5 }));
    return world;
  }

  async backend() {
    const backend = await Backend.start(program, path.join(this.folder, "heyho.db"));
    this.#ends.push(() => backend.stop());
    const account = await backend.account(CREDENTIALS.email, CREDENTIALS.password);
    return { backend, account };
  }

  async site() {
    const site = await startSite();
    this.#ends.push(site.stop);
    return site.address;
  }

  /** Installations of different `profile` know nothing of each other. */
  async browser(profile = "profile") {
    const browser = await launchChromium({ profile: path.join(this.folder, profile) });
    this.#ends.push(() => browser.close());
    return browser;
  }

  /** Registers something that is to be ended with the rest. */
  endsWith(end) {
    this.#ends.push(end);
  }

  async end() {
    for (const end of this.#ends.reverse()) await end();
  }
}

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

/** Visits and their aggregates, `count` of each, numbered from `first`, as the lines of an import. */
export function records(first, count) {
  const lines = [];
  const ids = { pageVisits: [], tabAggregates: [] };
  for (let n = first; n < first + count; n++) {
    const visit = `0199f3a2-0000-7000-8000-${hex(n, 12)}`;
    const aggregate = `0199f3a2-0001-7000-8000-${hex(n, 12)}`;
    ids.pageVisits.push(visit);
    ids.tabAggregates.push(aggregate);
    const at = new Date(Date.UTC(2025, 0, 1) + n * 1000).toISOString();
    lines.push({ kind: "page_visit", record: pageVisit(visit, n, at) });
    lines.push({ kind: "tab_aggregate", record: tabAggregate(aggregate, visit) });
  }
  return { ndjson: lines.map((line) => JSON.stringify(line)).join("\n"), ids };
}

function pageVisit(id, n, at) {
  return {
    id,
    url: `https://example.org/reading/${n}?part=${n % 7}`,
    title: n % 12 ? `Page ${n} of a long winter` : `Strona ${n} – długa zima ☃`,
    visited_at: at,
    opened_at: at,
    domain: "example.org",
    tabId: 1 + (n % 40),
    durationSeconds: 1 + (n % 600),
    activeDuration: 1000 * (1 + (n % 600)),
    engagementRate: 1,
    idlePeriods: [],
  };
}

function tabAggregate(id, visit) {
  return {
    id,
    page_visit_id: visit,
    total_time_seconds: 60,
    active_time_seconds: 45,
    scroll_depth_percent: 70,
  };
}
