// Every test there is. `npm test -- --only <step>` runs one step; the names are those of the headings.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { giveUp, programs, root, setUpTests } from "./setup.mjs";
import { startPostgres } from "./lib/postgres.mjs";

const FORMATTED = "**/*.{js,mjs,json,css,html,md}";
const WASM = ["--target", "wasm32-unknown-unknown"];

// A browser on a busy machine takes its time to start.
const PATIENT = { WASM_BINDGEN_TEST_TIMEOUT: "180", WASM_BINDGEN_TEST_DRIVER_TIMEOUT: "60" };

/** The steps in their order; those of one list run side by side, because they neither compile nor share anything. */
const steps = [
  [
    { name: "rustfmt", run: (log) => command(log, "cargo", ["fmt", "--all", "--check"]) },
    {
      name: "prettier",
      run: (log) => command(log, "prettier", ["--check", "--log-level", "warn", FORMATTED]),
    },
    {
      name: "patches",
      run: (log) => command(log, process.execPath, ["scripts/mutations.mjs", "--check"]),
    },
  ],
  [{ name: "clippy", run: clippy }],
  [{ name: "build", run: (log) => command(log, process.execPath, ["scripts/build.mjs"]) }],
  [{ name: "types", run: (log) => command(log, "tsc", ["-p", "jsconfig.json"]) }],
  [{ name: "native", run: native }],
  [{ name: "simulation", run: simulation }],
  [{ name: "chrome", run: (log) => inBrowser(log, "--chrome", "--chromedriver", programs.chromedriver()) }],
  [{ name: "firefox", run: (log) => inBrowser(log, "--firefox", "--geckodriver", programs.geckodriver()) }],
  [{ name: "conformance", run: (log) => nodeTests(log, "conformance") }],
  [{ name: "end-to-end", run: (log) => nodeTests(log, "e2e") }],
];

async function clippy(log) {
  const strict = ["--quiet", "--", "-D", "warnings"];
  await command(log, "cargo", ["clippy", "--workspace", "--all-targets", ...strict]);
  await command(log, "cargo", ["clippy", "-p", "heyho-sync", "--all-targets", ...WASM, ...strict]);
}

async function native(log) {
  const postgres = await startPostgres();
  try {
    const args = ["test", "--quiet", "--workspace", "--no-fail-fast"];
    await command(log, "cargo", args, { HEYHO_TEST_POSTGRES: postgres.url });
  } finally {
    postgres.stop();
  }
}

async function simulation(log) {
  const program = ["--quiet", "--profile", "simulation", "-p", "heyho-simulation", "--bin", "simulate"];
  await command(log, "cargo", ["run", ...program, "--", "--corpus", "--seeds", "10000"]);
}

async function inBrowser(log, browser, flag, driver) {
  const args = [
    "test",
    "--headless",
    browser,
    flag,
    driver,
    "--mode",
    "no-install",
    "--",
    "-p",
    "heyho-sync",
  ];
  await command(log, "wasm-pack", args, PATIENT);
}

async function nodeTests(log, name) {
  await command(log, "cargo", ["build", "--quiet", "-p", "heyho-server"]);
  const target = process.env.CARGO_TARGET_DIR || path.join(root, "target");
  const HEYHO_SERVER = path.join(target, "debug", "heyho-server");
  const folder = path.join("tests", name);
  const files = readdirSync(path.join(root, folder)).filter((file) => file.endsWith(".test.mjs"));
  const paths = files.sort().map((file) => path.join(folder, file));
  // One file after another: each has a backend, most a browser too, and the machine may have two cores.
  await command(log, process.execPath, ["--test", "--test-concurrency=1", ...paths], { HEYHO_SERVER });
}

/** Runs a command and keeps its words; fails as the command does. */
function command(log, program, args, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (words) => log.push(words));
    child.on("error", reject);
    child.on("close", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with ${signal ?? `code ${code}`}`)),
    );
  });
}

/** What the words of cargo, wasm-bindgen's runner and node say of their tests. */
function count(words) {
  const sum = (pattern) =>
    [...words.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
  return {
    passed: sum(/^\s*test result: .*?(\d+) passed;/gm) + sum(/^(?:#|ℹ) pass (\d+)$/gm),
    failed: sum(/^\s*test result: .*? (\d+) failed;/gm) + sum(/^(?:#|ℹ) fail (\d+)$/gm),
  };
}

async function runStep({ name, run }) {
  const words = [];
  const begun = performance.now();
  let failure = null;
  await run(words).catch((error) => (failure = error));
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const text = Buffer.concat(words).toString();
  const { passed, failed } = count(text);
  if (failure) console.log(`${text}\n${name}: ${failure.message}`);
  const tests = passed + failed > 0 ? `, ${passed} passed, ${failed} failed` : "";
  console.log(`== ${name}: ${failure ? "FAILED" : "ok"}${tests} (${seconds} s)`);
  return { passed, failed: failure ? Math.max(failed, 1) : failed };
}

async function main() {
  const only = chosen(process.argv.slice(2));
  setUpTests();
  const total = { passed: 0, failed: 0 };
  for (const group of steps) {
    const wanted = group.filter((step) => !only || step.name === only);
    if (wanted.length === 0) continue;
    console.log(`== ${wanted.map((step) => step.name).join(", ")} ...`);
    for (const { passed, failed } of await Promise.all(wanted.map(runStep))) {
      total.passed += passed;
      total.failed += failed;
    }
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

function chosen(args) {
  if (args.length === 0) return null;
  const names = steps.flat().map((step) => step.name);
  if (args.length === 2 && args[0] === "--only" && names.includes(args[1])) return args[1];
  giveUp(`usage: npm test [-- --only <step>], with a step of: ${names.join(", ")}.`);
}

await main();
