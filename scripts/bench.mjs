// The benchmarks, as a table: `npm run bench [-- --firefox] [--rounds N] [--only ROW] [--quick] [--json FILE]`; with
// `--server` those of the server instead.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { Bench } from "../tests/bench/bench.mjs";
import { Browser } from "../tests/bench/browser.mjs";
import { rows } from "../tests/bench/rows.mjs";
import { BenchServer } from "../tests/bench/server.mjs";
import { contestTable, table } from "../tests/bench/table.mjs";
import { build } from "./build.mjs";
import { ingest, ingestTable } from "./lib/ingest.mjs";
import { giveUp, programs, setUpBench, setUpTests } from "./setup.mjs";

function chosen() {
  const usage = `usage: npm run bench [-- [--firefox] [--rounds N] [--quick] [--server] [--json FILE] [--only ROW]...], with rows of: ${Object.keys(rows).join(", ")}.`;
  try {
    const { values } = parseArgs({
      options: {
        firefox: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        rounds: { type: "string" },
        json: { type: "string" },
        server: { type: "boolean", default: false },
        only: { type: "string", multiple: true },
      },
    });
    const only = values.only ?? Object.keys(rows);
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    if (only.some((row) => !rows[row]) || (rounds !== undefined && !(rounds >= 1))) giveUp(usage);
    return { ...values, only, rounds };
  } catch {
    return giveUp(usage);
  }
}

function machine(firefox) {
  const program = firefox ? programs.firefox() : programs.chromium();
  const browser = execFileSync(program, ["--version"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
  const [{ model }] = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const system = `${os.type()} ${os.release()}`;
  return `${browser}, ${system}, ${os.cpus().length} x ${model.trim()}, ${memory} GB, Node ${process.versions.node}`;
}

async function benchServer({ json }) {
  setUpTests();
  const reports = await ingest();
  console.log(ingestTable(reports));
  if (json) writeFileSync(json, `${JSON.stringify(reports, null, 2)}\n`);
}

async function main() {
  const options = chosen();
  if (options.server) return benchServer(options);
  setUpBench(options.firefox);
  await build();
  const report = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(options.firefox),
    lines: [],
    contests: [],
    failures: [],
  };
  const server = await BenchServer.start();
  const browser = await Browser.start(server.origin, options.firefox);
  try {
    await server.browserAsks();
    await runRows(options.only, new Bench(server, options), report);
  } finally {
    await browser.close();
    server.close();
  }
  console.log(`\n${report.date}, ${report.machine}\n`);
  if (report.lines.length > 0) console.log(table(report.lines));
  if (report.contests.length > 0) console.log(`\n${contestTable(report.contests)}`);
  for (const { row, message } of report.failures) console.log(`\n${row} failed: ${message}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = report.failures.length === 0 ? 0 : 1;
}

async function runRows(names, bench, { lines, contests, failures }) {
  for (const name of names) {
    const begun = performance.now();
    try {
      const figures = await rows[name](bench);
      lines.push(...figures.lines);
      contests.push(...(figures.contests ?? []));
    } catch (error) {
      failures.push({ row: name, message: error.message });
    }
    console.error(`bench: ${name} (${((performance.now() - begun) / 1000).toFixed(0)} s)`);
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
await main();
