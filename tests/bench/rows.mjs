// The rows of the table: which jobs each takes, and what is read from them beside what must and what should be.
import { readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { root } from "../../scripts/setup.mjs";
import { spread } from "./statistics.mjs";

const KB = 1000;
const MIB = 1024 * 1024;
const MANY = 200_000;
/** Every five minutes, and twice a minute. */
const SYNCS_A_DAY = 288;
const BEATS_A_DAY = 2880;
const LATENCY = { delayMs: 50 };

const EVERYBODY = [
  "core",
  "sequential",
  "pipelined",
  "dexie",
  "idb",
  "firstGeneration",
  "requests1",
  "requests3",
];

// The slowest take minutes where there is much, and differ by more than the noise.
const SLOW = ["dexie", "idb", "firstGeneration"];
const MUCH = 20_000;

async function drain(bench, contender, count, manner = {}) {
  const job = { kind: "drain", contender, count, once: count > MUCH && SLOW.includes(contender), ...manner };
  if (contender === "core") return { ...job, filled: await bench.filled(count) };
  return contender === "firstGeneration" ? { ...job, inFrame: true, mostABatch: 1000 } : job;
}

async function drains(bench, contenders, count, manner) {
  const jobs = {};
  for (const contender of contenders) jobs[contender] = await drain(bench, contender, count, manner);
  return jobs;
}

/** What is wanted of a figure. */
const atLeast = (must, aim) => ({ must, aim, holds: (value, bar) => value >= bar, sign: "≥" });
const atMost = (must, aim) => ({ must, aim, holds: (value, bar) => value <= bar, sign: "≤" });
const onlyMeasured = { holds: () => true, sign: "" };

const line = (measure, unit, wanted, values) => ({ measure, unit, wanted, ...spread(values) });

/** How many times as fast `ours` is as `theirs`, round by round. */
const faster = (rounds, theirs, ours = "core") =>
  rounds[theirs].map(({ ms }, round) => ms / rounds[ours][round].ms);
/** How many times the time of `theirs` `ours` takes. */
const slower = (rounds, theirs, ours = "core") => faster(rounds, theirs, ours).map((ratio) => 1 / ratio);

const contest = (name, rounds) => ({
  name,
  contenders: Object.fromEntries(
    Object.entries(rounds).map(([contender, results]) => [contender, spread(results.map(({ ms }) => ms))]),
  ),
});

async function drainOf(bench, size, bars) {
  const count = bench.size(size);
  const rounds = await bench.alternate(await drains(bench, EVERYBODY, count), bench.rounds(count));
  const of = `drain of ${count.toLocaleString("en")}`;
  return {
    lines: [
      line(`${of}, against JS`, "x", bars.sequential, faster(rounds, "sequential")),
      line(`${of}, against pipelined JS`, "x", onlyMeasured, faster(rounds, "pipelined")),
      line(
        `${of}, against requests alone, 3 in flight`,
        "x its time",
        bars.requests3,
        slower(rounds, "requests3"),
      ),
      line(`${of}, against Dexie`, "x", bars.dexie, faster(rounds, "dexie")),
      line(`${of}, against idb with cursors`, "x", onlyMeasured, faster(rounds, "idb")),
      line(`${of}, against the first generation`, "x", bars.first, faster(rounds, "firstGeneration")),
      line(
        `JS there, against requests alone, 1 in flight`,
        "x its time",
        atMost(3.5),
        slower(rounds, "requests1", "sequential"),
      ),
    ],
    contests: [contest(of, rounds)],
  };
}

const free = { sequential: onlyMeasured, requests3: onlyMeasured, dexie: onlyMeasured, first: onlyMeasured };

/** @type {Record<string, (bench: import("./bench.mjs").Bench) => Promise<{ lines: object[], contests?: object[] }>>} */
export const rows = {
  "drain-1000": (bench) => drainOf(bench, 1000, free),
  "drain-8651": (bench) =>
    drainOf(bench, 8651, {
      sequential: atLeast(1.2, 2.7),
      requests3: atMost(3, 1.3),
      dexie: atLeast(3, 7),
      first: atLeast(4, 10),
    }),
  "drain-50000": (bench) => drainOf(bench, 50_000, { ...free, sequential: atLeast(1.25, 2.7) }),

  async "drain-200000"(bench) {
    const [fewer, more] = [bench.size(50_000), bench.size(MANY)];
    const jobs = {
      core: await drain(bench, "core", more),
      fewer: await drain(bench, "core", fewer),
      sequential: await drain(bench, "sequential", more),
    };
    const rounds = await bench.alternate(jobs, bench.rounds(more));
    const perRecord = rounds.core.map(({ ms }, round) => ms / more / (rounds.fewer[round].ms / fewer));
    const [many, few] = [more, fewer].map((count) => count.toLocaleString("en"));
    return {
      lines: [
        line(`time per record at ${many} against ${few}`, "x", atMost(1.2, 1.05), perRecord),
        line(`drain of ${many}, against JS`, "x", onlyMeasured, faster(rounds, "sequential")),
      ],
      contests: [contest(`drain of ${many}`, { core: rounds.core, sequential: rounds.sequential })],
    };
  },

  async latency(bench) {
    const count = bench.size(8651);
    const contenders = ["core", "sequential", "pipelined", "firstGeneration", "requests3"];
    const rounds = await bench.alternate(
      await drains(bench, contenders, count, LATENCY),
      bench.rounds(count),
    );
    const of = `drain of ${count.toLocaleString("en")} with 50 ms answers`;
    return {
      lines: [
        line(`${of}, against JS`, "x", atLeast(2.8), faster(rounds, "sequential")),
        line(`${of}, against the first generation`, "x", atLeast(1.7), faster(rounds, "firstGeneration")),
        line(
          `${of}, against requests alone, 3 in flight`,
          "x its time",
          onlyMeasured,
          slower(rounds, "requests3"),
        ),
      ],
      contests: [contest(of, rounds)],
    };
  },

  async ordered(bench) {
    const count = bench.size(8651);
    const manner = { ...LATENCY, ordered: true };
    const jobs = await drains(bench, ["core", "sequential", "requests1"], count, manner);
    const rounds = await bench.alternate(jobs, bench.rounds(count));
    const of = `drain of ${count.toLocaleString("en")} with 50 ms answers, references in order`;
    return {
      lines: [
        line(`${of}, against JS`, "x", onlyMeasured, faster(rounds, "sequential")),
        line(
          `${of}, against requests alone, 1 in flight`,
          "x its time",
          onlyMeasured,
          slower(rounds, "requests1"),
        ),
      ],
      contests: [contest(of, rounds)],
    };
  },

  async capture(bench) {
    const { runs } = await bench.alternate({ runs: { kind: "capture" } }, bench.rounds());
    const ratio = (ours, theirs) => runs.map((run) => run[ours] / run[theirs]);
    return {
      lines: [
        line(
          "capture of one record, against JS that writes the same rows",
          "x its time",
          atMost(1.4, 1.2),
          ratio("core", "js"),
        ),
        line(
          "capture of one record, against JS that writes the record's row alone",
          "x its time",
          onlyMeasured,
          ratio("core", "jsRowAlone"),
        ),
        line(
          "ten captures at once, against JS that writes the same rows",
          "x its time",
          onlyMeasured,
          ratio("coreTenCalls", "jsTenCalls"),
        ),
        line(
          "ten records in one capture, against JS that writes the same rows",
          "x its time",
          onlyMeasured,
          ratio("coreTenAtOnce", "jsTenAtOnce"),
        ),
        line(
          "capture of one record",
          "µs",
          onlyMeasured,
          runs.map(({ core }) => core),
        ),
      ],
    };
  },

  async event(bench) {
    const { runs } = await bench.alternate({ runs: { kind: "event" } }, bench.rounds());
    const { tabEvent } = await bench.job({ kind: "counts" });
    return {
      lines: [
        line("the tab event path", "transactions", atMost(2, 1), [tabEvent.reads + tabEvent.writes]),
        line(
          "the tab event path, longest stall",
          "ms",
          atMost(5),
          runs.map(({ stallMs }) => stallMs),
        ),
        line(
          "the longest stall with nothing to do",
          "ms",
          onlyMeasured,
          runs.map(({ idleStallMs }) => idleStallMs),
        ),
        line(
          "the tab event path as a whole",
          "µs",
          onlyMeasured,
          runs.map(({ us }) => us),
        ),
      ],
    };
  },

  async backlog(bench) {
    const count = bench.size(MANY);
    const databases = { full: `bench full ${Math.random()}`, empty: `bench empty ${Math.random()}` };
    await bench.job({ kind: "backlog", database: databases.full, filled: await bench.filled(count) });
    const seen = { full: [], empty: [] };
    for (let round = 0; round < bench.rounds(); round += 1) {
      for (const which of round % 2 ? ["full", "empty"] : ["empty", "full"]) {
        seen[which].push(await bench.job({ kind: "backlog", database: databases[which], round }));
      }
    }
    for (const database of Object.values(databases))
      await bench.job({ kind: "backlog", database, remove: true });
    const ratio = (what) => seen.full.map((run, round) => run[what] / seen.empty[round][what]);
    const many = count.toLocaleString("en");
    return {
      lines: [
        line(
          `capture with ${many} stored, against with none`,
          "x its time",
          atMost(1.2, 1),
          ratio("captureUs"),
        ),
        line(
          `status with ${many} pending, against with none`,
          "x its time",
          atMost(1.2, 1),
          ratio("statusUs"),
        ),
        line(
          `status with ${many} pending`,
          "µs",
          onlyMeasured,
          seen.full.map(({ statusUs }) => statusUs),
        ),
      ],
    };
  },

  async wake(bench) {
    const { emptyWake, drain: whole } = await bench.job({ kind: "counts" });
    const perBatch = (number) => [number / whole.batches];
    const requests = Object.values(whole.requests).reduce((sum, count) => sum + count, 0);
    return {
      lines: [
        line("a wake with nothing to do", "read transactions", atMost(1), [emptyWake.reads]),
        line("a wake with nothing to do", "write transactions", atMost(0), [emptyWake.writes]),
        line("a wake with nothing to do", "requests", atMost(0), [emptyWake.fetches]),
        line("a drain, per batch", "transactions", onlyMeasured, perBatch(whole.reads + whole.writes)),
        line("a drain, per batch", "IndexedDB requests", onlyMeasured, perBatch(requests)),
      ],
    };
  },

  async size() {
    const file = (...names) => readFileSync(path.join(root, ...names));
    const wasm = file("pkg", "heyho_sync_bg.wasm");
    const glue = file("pkg", "heyho_sync.js");
    const script = file("dist", "chrome", "background.js");
    const packed = (bytes) => gzipSync(bytes, { level: 9 }).length / KB;
    return {
      lines: [
        line("wasm, gzip", "KB", atMost(90, 60), [packed(wasm)]),
        line("wasm, raw", "KB", onlyMeasured, [wasm.length / KB]),
        line("the module's JavaScript, gzip", "KB", onlyMeasured, [packed(glue)]),
        line("the module's JavaScript, raw", "KB", onlyMeasured, [glue.length / KB]),
        line("the extension's background script with it, gzip", "KB", onlyMeasured, [packed(script)]),
        line("the extension's background script with it, raw", "KB", onlyMeasured, [script.length / KB]),
      ],
    };
  },

  async cold(bench) {
    const { runs } = await bench.alternate({ runs: { kind: "cold", inFrame: true } }, bench.rounds());
    const middle = (run, way, mark) => spread(run[way].map((marks) => marks[mark])).median;
    const ratio = (theirs, mark) => runs.map((run) => middle(run, "core", mark) / middle(run, theirs, mark));
    return {
      lines: [
        line(
          "cold start to the first handled event, against an empty module",
          "x its time",
          atMost(1.5, 1.25),
          ratio("empty", "handled"),
        ),
        line(
          "the same, against an empty module with the same storage by hand",
          "x its time",
          onlyMeasured,
          ratio("empty_with_storage", "handled"),
        ),
        line(
          "cold start until the module is loaded, against an empty module",
          "x its time",
          onlyMeasured,
          ratio("empty", "loaded"),
        ),
        line(
          "cold start to the first handled event",
          "ms",
          onlyMeasured,
          runs.map((run) => middle(run, "core", "handled")),
        ),
      ],
    };
  },

  async memory(bench) {
    const runs = {};
    for (const count of [50_000, MANY].map((size) => bench.size(size))) {
      const database = `bench memory ${Math.random()}`;
      await bench.job({ kind: "backlog", database, filled: await bench.filled(count) });
      runs[count] = await bench.job({ kind: "memory", database, inFrame: true });
    }
    const [[few, fewer], [many, more]] = Object.entries(runs);
    const name = (count) => Number(count).toLocaleString("en");
    const heap = `JavaScript heap, peak of a drain of ${name(many)}`;
    const lines = [
      line(`${heap} against ${name(few)}`, "x", atMost(1.3, 1), [more.heapPeak / fewer.heapPeak]),
      line(heap, "MB", onlyMeasured, [more.heapPeak / MIB]),
      line(`wasm memory after a drain of ${name(many)}`, "MB", atMost(2, 1.2), [more.wasm / MIB]),
    ];
    // Firefox tells no page how large its heap is.
    return { lines: bench.firefox ? lines.slice(-1) : lines };
  },

  async rest(bench) {
    if (bench.firefox || process.platform !== "linux") return { lines: [] };
    // It needs a package that the set-up installs.
    const { rest } = await import("./rest.mjs");
    const { ours, idle } = await rest();
    const perDay = ({ cold, running }) => cold * SYNCS_A_DAY + running * BEATS_A_DAY;
    return {
      lines: [
        line("a day at rest", "wakes", onlyMeasured, [SYNCS_A_DAY + BEATS_A_DAY]),
        line("a day at rest, processor time", "s", onlyMeasured, [perDay(ours)]),
        line("the same of an extension that is woken as often and does nothing", "s", onlyMeasured, [
          perDay(idle),
        ]),
      ],
    };
  },

  async wire(bench) {
    const count = bench.size(1000);
    const plain = await bench.job(await drain(bench, "core", count));
    const gzip = await bench.job(await drain(bench, "core", count, { gzip: true }));
    const js = await bench.job(await drain(bench, "sequential", count));
    const bytes = ({ bytes: sum }) => [sum / count];
    const of = "bytes on the wire for a visit and its aggregate";
    return {
      lines: [
        line(of, "bytes", onlyMeasured, bytes(plain)),
        line(`${of}, from JS`, "bytes", onlyMeasured, bytes(js)),
        line(`${of}, to a server that unpacks gzip`, "bytes", onlyMeasured, bytes(gzip)),
      ],
    };
  },
};
