// The conformance kit, run as a program, against our own backend and against the published one's stand-in.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Backend } from "../../scripts/lib/backend.mjs";
import { root } from "../../scripts/setup.mjs";
import { startPublished } from "./published.mjs";
import { KEEP, SAY, startSketch } from "./sketch.mjs";

const EMAIL = "ada@example.com";
const PASSWORD = "correct horse battery";

/** Runs the kit. Returns its exit code, its words, and what it wrote as JSON. */
async function examine(url, password = PASSWORD) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-conformance-"));
  try {
    const file = path.join(folder, "report.json");
    const script = path.join(root, "scripts", "conformance.mjs");
    const flags = ["--url", url, "--email", EMAIL, "--password", password, "--json", file];
    const kit = spawn(process.execPath, [script, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
    let words = "";
    kit.stdout.on("data", (piece) => (words += piece));
    const [code] = await once(kit, "close");
    return { code, words, report: JSON.parse(readFileSync(file, "utf8")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ids of the checks that a server doesn't pass, with what was found. */
function shortcomings({ checks }) {
  return Object.fromEntries(checks.filter(({ holds }) => !holds).map(({ id, found }) => [id, found]));
}

const abilities = ({ abilities }, wanted) => abilities.filter(wanted).map(({ name }) => name);

async function withPublished(run) {
  const published = await startPublished({ [EMAIL]: PASSWORD });
  try {
    await run(published.base);
  } finally {
    await published.stop();
  }
}

test("our own backend passes every check, and its abilities will be used", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-conformance-"));
  const backend = await Backend.start(process.env.HEYHO_SERVER, path.join(folder, "heyho.db"));
  try {
    const account = await backend.account(EMAIL, PASSWORD);
    const { code, words, report } = await examine(backend.base);
    assert.deepEqual(shortcomings(report), {});
    assert.equal(code, 0);
    assert.deepEqual(
      abilities(report, ({ found, told }) => found && told),
      ["compressed bodies", "references in any order", "preflight"],
    );
    assert.match(words, /The core can work with this server\./);
    assert.deepEqual(
      await account.rows(),
      { pageVisits: [], tabAggregates: [] },
      "the kit leaves its records behind",
    );
  } finally {
    await backend.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the core can work with the published backend, and the report names its defects", () =>
  withPublished(async (url) => {
    const { code, words, report } = await examine(url);
    assert.equal(code, 0);
    assert.deepEqual(shortcomings(report), {
      "names-bad": "answered 400 and named none",
      "newer-stays": "stored: 10 s of 90",
      "no-batch": "answered 400, 200, 200",
      refresh: "answered 404",
      capabilities: "answered 404",
      gzip: "answered 400",
      "any-order": "an aggregate before its visit: answered 500",
      "tells-created": "not told",
      idempotency: "worked out anew",
      preflight: "answered 404",
      erase: "answered 404",
    });
    assert.deepEqual(
      abilities(report, ({ found, told }) => found || told),
      [],
    );
    assert.match(words, /Abilities that it will use: none\./);
  }));

test("where nobody can log in the core can't work, and the exit code says so", () =>
  withPublished(async (url) => {
    const { code, words, report } = await examine(url, "wrong");
    assert.equal(code, 1);
    assert.equal(shortcomings(report).login, "answered 401");
    assert.match(words, /NO   login/);
    assert.match(words, /The core can't work with this server\./);
  }));

/** What a server lacks that the core can't do without. */
async function needs(options) {
  const sketch = await startSketch(options);
  try {
    const { code, report } = await examine(sketch.base);
    const missing = shortcomings({ checks: report.checks.filter(({ need }) => need === "must") });
    assert.equal(code, Object.keys(missing).length === 0 ? 0 : 1);
    return missing;
  } finally {
    await sketch.stop();
  }
}

test("a server that only stores, counts and refuses lacks nothing that is needed", async () => {
  assert.deepEqual(await needs({}), {});
});

test("a server that keeps what came first is told apart by what it stores", async () => {
  assert.deepEqual(await needs({ keep: KEEP.first }), {
    "later-revision": "acknowledged, 1 stored, 0 ignored, but stored: 60 s of 90",
  });
});

test("a server that keeps all that comes is told apart by its rows", async () => {
  const found = await needs({ keep: KEEP.every });
  assert.deepEqual(Object.keys(found), ["again", "later-revision"]);
  assert.match(found.again, /then shown 2 times$/);
});

test("a server that acknowledges and keeps nothing can't be worked with", async () => {
  assert.match((await needs({ keep: KEEP.none })).stores, /then shown 0 times$/);
});

test("counts that leave a kind out fall short here as in the core", async () => {
  const found = await needs({ say: SAY.visitsOnly });
  assert.equal(found.stores, "200, but its counts account for 2 of 3 records");
});

test("an empty 200 acknowledges, as in the core", async () => {
  assert.deepEqual(await needs({ say: SAY.nothing }), {});
});

test("a server that asks to be left alone for a while is asked again then", async () => {
  assert.deepEqual(await needs({ refusesOneIn: 11 }), {});
});
