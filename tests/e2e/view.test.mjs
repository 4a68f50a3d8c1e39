// What the popup shows for each state, and what the background lets in. No browser is needed for this.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { failure, isRequest } from "../../extension/messages.js";
import { viewOf } from "../../extension/popup/view.js";
import { root } from "../../scripts/setup.mjs";

const per = (pageVisits, tabAggregates) => ({ pageVisits, tabAggregates });

function snapshot(change = {}, settings = {}) {
  return {
    state: "idle",
    pending: per(0, 0),
    acknowledged: per(0, 0),
    quarantined: per(0, 0),
    problem: null,
    progress: null,
    lastSuccessAt: null,
    nextAttemptAt: null,
    email: "ada@example.org",
    settings: { serverUrl: "https://example.org", consent: true, paused: false, ...settings },
    ...change,
  };
}

const unreachable = { code: "unreachable", message: "", since: 0 };

test("without consent nothing but the question is shown", () => {
  const view = viewOf(snapshot({ state: "paused" }, { consent: false }));
  assert.deepEqual(
    [view.scene, view.asksConsent, view.asksSignIn, view.figures],
    ["consent", true, false, null],
  );
});

test("each state has a scene of its own", () => {
  const scene = (change, settings) => viewOf(snapshot(change, settings)).scene;
  assert.equal(scene({}), "safe");
  assert.equal(scene({ pending: per(1, 0) }), "waiting");
  assert.equal(scene({ state: "syncing", problem: unreachable }), "syncing");
  assert.equal(scene({ state: "waiting", problem: unreachable }), "trouble");
  assert.equal(scene({ state: "signedOut" }), "signedOut");
  assert.equal(scene({ state: "paused" }, { paused: true }), "paused");
});

test("an expired login asks for the sign-in and still says whose records wait", () => {
  const problem = { code: "sign in again", message: "", since: 0 };
  const view = viewOf(snapshot({ state: "error", problem, pending: per(2, 2) }));
  assert.deepEqual([view.asksSignIn, view.email, view.figures?.pending.total], [true, "ada@example.org", 4]);
  assert.deepEqual(view.nextAttemptAt, { key: "whenNeeded" });
});

test("the boat moves on with the progress of a sync", () => {
  const at = (done) => viewOf(snapshot({ state: "syncing", progress: { done, total: 100 } })).voyage;
  assert.ok(0 < at(0) && at(0) < at(50) && at(50) < at(100) && at(100) < viewOf(snapshot()).voyage);
});

test("every problem that the core names has its words and says what to do", () => {
  const texts = JSON.parse(readFileSync(path.join(root, "extension/_locales/en/messages.json"), "utf8"));
  const source = readFileSync(path.join(root, "src/decisions/sync_state.rs"), "utf8");
  const names = [...source.matchAll(/Self::\w+ => "([a-z ]+)",/g)].map(([, name]) => name);
  assert.ok(names.length > 5);
  for (const name of names) {
    assert.ok(texts[`problem_${name.replace(/\W/g, "_")}`], name);
    assert.ok(texts[`help_${name.replace(/\W/g, "_")}`], name);
  }
});

test("the background takes only messages that it knows, with fields of the right kind", () => {
  const taken = [
    { type: "status" },
    { type: "signIn", email: "a", password: "b" },
    { type: "import", records: "" },
    { type: "setSettings", settings: { paused: true } },
  ];
  const left = [
    null,
    "status",
    {},
    { type: "constructor" },
    { type: "signIn", email: "a" },
    { type: "import", records: [] },
    { type: "setSettings", settings: [] },
  ];
  assert.deepEqual(
    taken.map(isRequest),
    taken.map(() => true),
  );
  assert.deepEqual(
    left.map(isRequest),
    left.map(() => false),
  );
});

test("a failure reaches a page with its name, code and message", () => {
  const error = Object.assign(new TypeError("no"), { code: "invalid_record" });
  assert.deepEqual(failure(error), { error: { name: "TypeError", code: "invalid_record", message: "no" } });
  assert.equal(failure(undefined).error.code, "unexpected");
});
