// What the pages show for each state, and what the background lets in. No browser is needed for this.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { failure, isRequest } from "../../extension/messages.js";
import {
  booksOf,
  chartsOf,
  checksOf,
  comparisonOf,
  confirms,
  elsewhereOf,
  erasuresOf,
  factsOf,
} from "../../extension/options/view.js";
import { viewOf } from "../../extension/popup/view.js";
import { onesToShow, setAsideView, whereaboutsView } from "../../extension/shared/record_view.js";
import { pressureAt } from "../../extension/room.js";
import { needsTheUser } from "../../extension/trouble.js";
import { root } from "../../scripts/setup.mjs";
import { compared, SMOOTH, snapshot, SOUND } from "./states.mjs";

const per = (pageVisits, tabAggregates) => ({ pageVisits, tabAggregates });
const texts = (language) =>
  JSON.parse(readFileSync(path.join(root, "extension/_locales", language, "messages.json"), "utf8"));
const sources = (folder, ending) =>
  readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "utf8"));

const keys = (all) => all.map(({ key }) => key);
const unreachable = { code: "unreachable", message: "", since: 0 };

test("without consent nothing but the question is shown", () => {
  const view = viewOf(snapshot({ state: "paused" }, { consent: false }));
  assert.deepEqual(
    [view.scene, view.asksConsent, view.asksSignIn, view.figures],
    ["consent", true, false, null],
  );
});

test("who has said no is told that nothing is recorded, and may still say yes", () => {
  const view = viewOf(snapshot({ state: "paused" }, { consent: false, answeredAt: 1 }));
  assert.deepEqual([view.headline, view.asksConsent], [{ key: "stateRefused" }, true]);
  const unasked = viewOf(snapshot({ state: "paused" }, { consent: false, answeredAt: null }));
  assert.deepEqual(unasked.headline, { key: "stateConsent" });
});

test("what the browser keeps from the server is not blamed on the connection", () => {
  const held = { state: "waiting", problem: unreachable, pending: per(1, 1) };
  const view = viewOf(snapshot({ ...held, serverAllowed: false }));
  assert.deepEqual([view.problem?.code, view.remedy], ["not_granted", "allow"]);
  assert.deepEqual(
    [viewOf(snapshot(held)).problem?.code, viewOf(snapshot(held)).remedy],
    ["unreachable", null],
  );
});

test("nobody is told that all is safe while the server hasn't got it all", () => {
  for (const place of ["quarantined", "archived", "parked"]) {
    assert.deepEqual(viewOf(snapshot({ [place]: per(1, 2) })).headline, {
      key: "stateWithheld",
      values: [3],
    });
  }
});

test("nobody is told that nothing is lost while the storage takes nothing", () => {
  const problem = { code: "storage", message: "", since: 0 };
  const detail = (code) => viewOf(snapshot({ state: "error", problem: { ...problem, code } })).detail.key;
  assert.deepEqual([detail("storage"), detail("wrong address")], ["detailFull", "detailTrouble"]);
});

test("the button is marked only where something waits for the user", () => {
  const marked = (change) => needsTheUser(snapshot(change));
  assert.equal(marked({}), false);
  assert.equal(marked({ state: "waiting", problem: unreachable }), false);
  assert.equal(marked({ state: "error" }), true);
  assert.equal(marked({ quarantined: per(0, 1) }), true);
  assert.equal(marked({ room: { usage: 1, quota: 2, pressure: "low" } }), false);
  assert.equal(marked({ room: { usage: 1, quota: 2, pressure: "nearlyNone" } }), true);
  assert.equal(marked({ room: null }), false);
});

test("room is warned of before it is short, and again when there is nearly none", () => {
  const told = (megabytes) => pressureAt(megabytes * 1e6);
  assert.deepEqual([50_000, 100, 99.9, 10, 9.9, 0, -1].map(told), [
    null,
    null,
    "low",
    "low",
    "nearlyNone",
    "nearlyNone",
    "nearlyNone",
  ]);
  const room = { usage: 30e6, quota: 72e6, pressure: "low" };
  assert.deepEqual(viewOf(snapshot({ room })).room, [
    { key: "room_low", bytes: 42e6 },
    { key: "roomHelp", values: [] },
  ]);
  const waits = viewOf(snapshot({ room, pending: per(3, 4), archived: per(1, 0), quarantined: per(0, 2) }));
  assert.deepEqual(waits.room?.[1], { key: "roomHelpWaiting", values: [10] });
  assert.equal(viewOf(snapshot()).room, null);
  assert.equal(viewOf(snapshot({ room }, { consent: false })).room, null, "who said no keeps nothing");
});

test("the books are shown with their sum, and a sum that is not what was recorded is told", () => {
  const change = { acknowledged: per(5, 4), parked: per(1, 0), discarded: per(0, 1), captured: per(6, 5) };
  const { lines, sum, captured, balances } = booksOf(snapshot(change));
  assert.equal(lines.length, 7);
  assert.deepEqual([sum.total, captured.total, balances], [11, 11, true]);
  assert.equal(booksOf(snapshot({ ...change, captured: per(5, 6) })).balances, false);
});

test("a comparison says that all is there, or what differs by day, and what can be sent", () => {
  const rightly = comparisonOf(compared(), snapshot());
  assert.deepEqual([rightly.right, rightly.result.key, rightly.here], [true, "comparedRight", 0]);
  assert.deepEqual(keys(rightly.notes), ["inAllThere"]);
  const days = [
    { day: 7, missing: per(1, 2), older: per(0, 3) },
    { day: 9, missing: per(4, 0), older: per(0, 0) },
  ];
  const waits = { pending: per(1, 0), quarantined: per(0, 2), archived: per(3, 0) };
  const found = { days, compared: per(8_640, 12_000), erased: per(1, 1), there: null };
  const wrongly = comparisonOf(compared(found), snapshot(waits));
  assert.deepEqual(wrongly.result, { key: "comparedDiffers", values: [10, 20_640] });
  assert.deepEqual(wrongly.days, [
    { day: 9, counts: per(4, 0), total: 4 },
    { day: 7, counts: per(1, 5), total: 6 },
  ]);
  assert.deepEqual(keys(wrongly.notes), ["lostThere", "notKnownAnyMore", "erasedThere", "stillHere"]);
  assert.deepEqual([wrongly.right, wrongly.here], [false, 6]);
  assert.equal(comparisonOf(compared({ compared: per(0, 0) }), snapshot()).result.key, "comparedNothing");
});

test("of many days that differ the latest are shown, and the others told", () => {
  const days = [...Array(40).keys()].map((day) => ({ day, missing: per(1, 0), older: per(0, 0) }));
  const { days: shown, notes, result } = comparisonOf(compared({ days }), snapshot());
  assert.deepEqual([shown.length, shown[0].day, result.values?.[0]], [30, 39, 40]);
  assert.deepEqual(notes[0], { key: "moreDays", values: [10] });
});

test("every reason for which nothing is compared has its words", () => {
  const sources = ["src/decisions/schedule.rs", "src/engine/reconcile.rs"].map((file) =>
    readFileSync(path.join(root, file), "utf8"),
  );
  const stops = [...sources[0].matchAll(/Self::(\w+) => "([a-z ]+)",/g)];
  const gate = sources[0].slice(sources[0].indexOf("pub fn gate"), sources[0].indexOf("Gate::Go\n"));
  const ofGate = stops.filter(([, name]) => gate.includes(`Stop::${name}`)).map(([, , words]) => words);
  const ofEngine = [...sources[1].matchAll(/Because\("([a-z ]+)"\)/g)].map(([, words]) => words);
  const reasons = [...ofGate, ...ofEngine, "sign in again"];
  assert.ok(ofGate.length > 4 && ofEngine.length > 1);
  for (const reason of reasons) {
    const { right, result } = comparisonOf(compared({ reason }), snapshot());
    assert.ok(!right && texts("en")[result.key], reason);
  }
});

test("each check of the health page can fail", () => {
  const wrong = (change) =>
    checksOf(snapshot(change))
      .filter((check) => !check.right)
      .map(({ text }) => text.key);
  assert.deepEqual(wrong({}), []);
  const unsound = (change) => wrong({ health: { ...SOUND, ...change } });
  assert.deepEqual(unsound({ booksBalance: false }), ["checkBooksWrong"]);
  assert.deepEqual(unsound({ balanced: false, missing: 1 }), ["checkBooksWrong", "checkRowsWrong"]);
  assert.deepEqual(unsound({ unreadable: 1 }), ["checkRowsWrong"]);
  assert.deepEqual(unsound({ orphans: 1 }), ["checkOrphansWrong"]);
  assert.deepEqual(unsound({ retryOverdue: true }), ["checkScheduleWrong"]);
  assert.deepEqual(unsound({ stuckLock: true }), ["checkScheduleWrong"]);
  assert.deepEqual(wrong({ serverAllowed: false }), ["checkServerWrong"]);
  assert.deepEqual(wrong({ problem: { code: "storage" } }), ["checkStorageWrong"]);
  assert.deepEqual(wrong({ room: { usage: 1, quota: 2, pressure: "low" } }), ["checkRoomWrong"]);
  const alert = (name) => wrong({ metrics: { ...SMOOTH, alerts: [name] } });
  assert.deepEqual(
    [alert("success_rate"), alert("quarantined")],
    [["checkUploadsWrong"], ["checkRefusedWrong"]],
  );
});

test("the charts show each record and each upload once, and nothing of nothing", () => {
  const parts = (change) => chartsOf(snapshot(change)).map(({ shares }) => shares.map(({ value }) => value));
  const rough = { ...SMOOTH, uploads: 60, successRate: 0.75, networkErrors: 10 };
  const elsewhere = { pending: per(1, 2), parked: per(3, 0), quarantined: per(0, 5), archived: per(7, 0) };
  assert.deepEqual(parts({ ...elsewhere, discarded: per(2, 2), unrecoverable: per(0, 1), metrics: rough }), [
    [21_555, 6, 12, 5],
    [45, 10, 5],
  ]);
  assert.deepEqual(parts({ metrics: { ...SMOOTH, uploads: 0, successRate: null } }), [[21_555, 0, 0, 0]]);
  assert.deepEqual(parts({ acknowledged: per(0, 0), metrics: { ...SMOOTH, uploads: 0 } }), []);
});

test("what an upload takes is told only once there was one", () => {
  const names = (metrics) => factsOf(snapshot({ metrics })).map(({ name }) => name.key);
  assert.ok(names(SMOOTH).includes("factMeanTime") && names(SMOOTH).includes("factSlowTime"));
  assert.ok(!names({ ...SMOOTH, meanBatchMs: null, p95BatchMs: null }).includes("factMeanTime"));
});

test("what waits for another server may be taken along only by somebody who is signed in", () => {
  const waits = { elsewhere: [{ server: "https://old.example", mayBeTaken: true, ...per(2, 3) }] };
  const [{ text, mayBeTaken }] = elsewhereOf(snapshot(waits));
  assert.deepEqual([text.values, mayBeTaken], [[5, "https://old.example"], true]);
  assert.equal(elsewhereOf(snapshot({ ...waits, signedIn: false }))[0].mayBeTaken, false);
});

test("an erasure that no server has confirmed is told with what it waits for", () => {
  const erasure = { site: "a.example", server: "https://s.example", unable: false, waitsForSignIn: false };
  const keys = (change) =>
    erasuresOf(snapshot({ erasing: [{ ...erasure, ...change }] }))[0].map(({ key }) => key);
  assert.deepEqual(keys({}), ["erasingSite"]);
  assert.deepEqual(keys({ site: null, waitsForSignIn: true }), ["erasingEverything", "erasingSignIn"]);
  assert.deepEqual(keys({ unable: true }), ["erasingSite", "erasingUnable"]);
});

test("everything is erased only for the word that was asked for", () => {
  assert.equal(confirms(" Erase ", "erase"), true);
  for (const typed of ["", "eras", "erase everything"]) assert.equal(confirms(typed, "erase"), false);
});

const visit = (change = {}) => ({
  kind: "page_visit",
  id: "v",
  revision: 1,
  capturedAt: 1_000,
  note: null,
  record: { url: "https://a.example/" },
  ...change,
});

test("a record is named by its title, else its address, else its id", () => {
  const name = (record) => setAsideView(visit({ record })).name;
  assert.equal(name({ title: "A", url: "https://a.example/" }), "A");
  assert.equal(name({ title: "", url: "https://a.example/" }), "https://a.example/");
  assert.equal(name(null), "v");
});

test("a stay that is set aside only for its visit's sake is not listed for itself", () => {
  const follower = { kind: "tab_aggregate", id: "a", note: { reason: "follows_its_visit" } };
  assert.deepEqual(onesToShow([visit(), follower]), [visit()]);
});

test("of a record that waits it is told whether it was tried, and when it will be", () => {
  const keys = (lastAttemptAt, nextAttemptAt) =>
    whereaboutsView(visit({ place: "pending" }), { lastAttemptAt, nextAttemptAt }).story.map(
      ({ key }) => key,
    );
  assert.deepEqual(keys(null, null), ["recordedAt", "place_pending", "notTried"]);
  assert.deepEqual(keys(999, 5_000), ["recordedAt", "place_pending", "notTried", "triesNext"]);
  assert.deepEqual(keys(2_000, null), ["recordedAt", "place_pending", "triedAt"]);
});

test("every reason for which a record is set aside has its words", () => {
  const patterns = [
    /quarantine\([^;]*?"([a-z_]+)"/g,
    /\bnote\("([a-z_]+)"/g,
    /"reason": ?"([a-z_]+)"/g,
    /const UNRECOVERABLE: &str = "([a-z_]+)"/g,
    /=> \("([a-z_]+)", (?:None|Some)/g,
  ];
  const told = ["engine", "outbox", "decisions"].flatMap((floor) => sources(`src/${floor}`, ".rs"));
  const found = told.flatMap((source) =>
    patterns.flatMap((pattern) => [...source.matchAll(pattern)].map(([, reason]) => reason)),
  );
  assert.ok(new Set(found).size >= 9, [...new Set(found)].join());
  for (const reason of found) {
    const [{ key }] = setAsideView(visit({ note: { reason } })).story;
    assert.equal(key, `reason_${reason}`);
    assert.ok(texts("en")[key], key);
  }
});

test("each language has every text, with the same places in it", () => {
  const [en, ...others] = ["en", "de"].map((language) =>
    Object.fromEntries(
      Object.entries(texts(language)).map(([key, { message, placeholders = {} }]) => {
        assert.ok(message, key);
        return [key, [placeholders, [...message.matchAll(/\$\w+\$/g)].map(String).sort()]];
      }),
    ),
  );
  for (const other of others) assert.deepEqual(other, en);
});

test("every text that the pages name is there, and none is there that nobody names", () => {
  const named = new Set(["name", "description"]);
  for (const source of [...sources("extension", ".js"), ...sources("extension", ".html")]) {
    for (const [, key] of source.matchAll(/data-(?:text|label|hint)="(\w+)"/g)) named.add(key);
    for (const [, key] of source.matchAll(/"([a-z]\w*)"/g)) named.add(key);
  }
  const made = /^(problem|help|reason|kind|place|place_name|notCompared|room)_|^check\w+(Right|Wrong)$/;
  const there = Object.keys(texts("en"));
  assert.deepEqual(
    there.filter((key) => !named.has(key) && !made.test(key)),
    [],
  );
  const asked = sources("extension", ".html").flatMap((source) =>
    [...source.matchAll(/data-(?:text|label|hint)="(\w+)"/g)].map(([, key]) => key),
  );
  const told = sources("extension", ".js").flatMap((source) =>
    [...source.matchAll(/\bkey: "(\w+)"/g)].map(([, key]) => key),
  );
  assert.deepEqual(
    [...asked, ...told].filter((key) => !there.includes(key)),
    [],
  );
});

test("the shim stays under 600 lines of code, without its pages and what runs in others'", () => {
  const files = readdirSync(path.join(root, "extension")).filter(
    (name) => name.endsWith(".js") && name !== "content.js",
  );
  const code = files
    .flatMap((name) => readFileSync(path.join(root, "extension", name), "utf8").split("\n"))
    .filter((line) => line.trim() && !/^\s*(\/\/|\/\*|\*)/.test(line));
  assert.ok(code.length < 600, `${code.length} lines`);
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
  assert.deepEqual([view.asksSignIn, view.figures?.pending.total], [true, 4]);
  assert.deepEqual(view.account, { key: "signedInAs", values: ["ada@example.org"] });
  assert.deepEqual(view.nextAttemptAt, { key: "whenNeeded" });
});

test("whoever is signed in can sign out, though the name is not known, and a name alone signs nobody in", () => {
  const nameless = { email: null, unclaimed: per(1, 1) };
  assert.deepEqual(viewOf(snapshot(nameless)).account, { key: "signedIn" });
  assert.equal(viewOf(snapshot(nameless)).unclaimed, 2);
  for (const state of ["signedOut", "paused", "syncing"]) {
    const view = viewOf(snapshot({ state, signedIn: false, unclaimed: per(1, 1) }));
    assert.deepEqual([view.account, view.unclaimed], [null, 0], state);
  }
});

test("the boat moves on with the progress of a sync", () => {
  const at = (done) => viewOf(snapshot({ state: "syncing", progress: { done, total: 100 } })).voyage;
  assert.ok(0 < at(0) && at(0) < at(50) && at(50) < at(100) && at(100) < viewOf(snapshot()).voyage);
});

test("every problem that the core names has its words and says what to do", () => {
  const source = readFileSync(path.join(root, "src/decisions/sync_state.rs"), "utf8");
  const names = [...source.matchAll(/Self::\w+ => "([a-z ]+)",/g)].map(([, name]) => name);
  assert.ok(names.length > 5);
  for (const name of [...names, "quota_exceeded", "newer_version"]) {
    assert.ok(texts("en")[`problem_${name.replace(/\W/g, "_")}`], name);
    assert.ok(texts("en")[`help_${name.replace(/\W/g, "_")}`], name);
  }
});

test("every error with which a request can end has its words", () => {
  const read = (file) => readFileSync(path.join(root, file), "utf8");
  const [, signIn] = read("extension/session.js").match(/@param \{([^}]*)\} code/);
  const codes = [
    ...[...signIn.matchAll(/"(\w+)"/g)],
    ...read("extension/settings.js").matchAll(/new SettingsError\("(\w+)"/g),
    ...read("src/boundary/error.rs").matchAll(/error\("(?:ArgumentError|AccountError|SyncError)", "(\w+)"/g),
  ].map(([, code]) => code);
  assert.ok(codes.length >= 12, codes.join());
  for (const code of codes) assert.ok(texts("en")[`problem_${code}`], code);
});

test("the background takes only messages that it knows, with fields of the right kind", () => {
  const taken = [
    { type: "status" },
    { type: "signIn", email: "a", password: "b" },
    { type: "import", records: "" },
    { type: "whereIs", text: "example.org" },
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
