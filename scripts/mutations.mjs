// Breaks the rules on purpose, one small patch of tests/mutations/ after the other, and shows that the tests notice.
//
// `npm run mutations` runs all, `-- --only <words>` those whose names hold the words; `-- --check` only looks whether
// each still applies. A patch begins with what it breaks, then names in `Caught-by:` lines what must fail:
// `unit <test>`, `test <file> <test>` or `simulation <seeds>`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { giveUp, root } from "./setup.mjs";

const RULES = 14;
const PATCHES = path.join(root, "tests", "mutations");
const PROFILE = ["--quiet", "--profile", "mutations"];
// A broken core may go round in circles.
const PATIENCE_MS = 600_000;

const run = (program, args, options = {}) =>
  spawnSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });

function read(name) {
  const header = readFileSync(path.join(PATCHES, name), "utf8").split("\n--- ")[0].split("\n");
  const named = header.filter((line) => line.startsWith("Caught-by: "));
  const caughtBy = named.map((line) => line.slice("Caught-by: ".length).split(" "));
  return { name, rule: Number.parseInt(name, 10), breaks: header[0], caughtBy };
}

const applies = ({ name }) =>
  run("git", ["apply", "--check", path.join(PATCHES, name)], { cwd: root }).status === 0;

/** The commands that build and run what must fail. */
function commands([what, ...words]) {
  const tests = (...which) => ["test", ...PROFILE, "-p", "heyho-sync", ...which];
  const simulation = [...PROFILE, "-p", "heyho-simulation", "--bin", "simulate"];
  switch (what) {
    case "unit":
      return [tests("--lib", "--no-run"), tests("--lib", "--", words[0])];
    case "test":
      return [tests("--test", words[0], "--no-run"), tests("--test", words[0], "--", words[1])];
    case "simulation":
      return [
        ["build", ...simulation],
        ["run", ...simulation, "--", "--seeds", words[0]],
      ];
    default:
      throw new Error(`"${what}" names nothing that could fail`);
  }
}

// The first of the named that fails; none where the mutation survives.
function catcher({ caughtBy }, cwd, env) {
  return caughtBy.find((named) => {
    const [build, test] = commands(named);
    const built = run("cargo", build, { cwd, env });
    if (built.status !== 0) throw new Error(`does not compile:\n${built.stderr}`);
    return run("cargo", test, { cwd, env, timeout: PATIENCE_MS }).status !== 0;
  });
}

function checkAll(mutations) {
  const stale = mutations.filter((mutation) => !applies(mutation));
  const rules = new Set(mutations.map(({ rule }) => rule));
  const unbroken = Array.from({ length: RULES }, (_, index) => index + 1).filter((rule) => !rules.has(rule));
  for (const { name } of stale) console.log(`${name} no longer applies`);
  for (const rule of unbroken) console.log(`nothing breaks rule ${rule}`);
  return stale.length + unbroken.length === 0;
}

function tryAll(mutations) {
  const target = process.env.CARGO_TARGET_DIR || path.join(root, "target");
  const scratch = path.join(target, "mutations-tree");
  mkdirSync(target, { recursive: true });
  if (existsSync(scratch)) run("git", ["worktree", "remove", "--force", scratch], { cwd: root });
  const added = run("git", ["worktree", "add", "--quiet", "--force", "--detach", scratch], { cwd: root });
  if (added.status !== 0) giveUp(`No scratch worktree: ${added.stderr}`);
  const env = { ...process.env, CARGO_TARGET_DIR: path.join(target, "mutations-target") };
  let survivors = 0;
  for (const mutation of mutations) {
    const patch = path.join(PATCHES, mutation.name);
    const begun = performance.now();
    let outcome;
    try {
      if (run("git", ["apply", patch], { cwd: scratch }).status !== 0) throw new Error("no longer applies");
      const caught = catcher(mutation, scratch, env);
      if (!caught) throw new Error("SURVIVES");
      outcome = `caught by ${caught.join(" ")}`;
    } catch (error) {
      survivors += 1;
      outcome = error.message;
    }
    run("git", ["checkout", "--quiet", "--force", "--", "."], { cwd: scratch });
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    console.log(`${mutation.name.replace(".patch", "").padEnd(44)} ${outcome} (${seconds} s)`);
  }
  run("git", ["worktree", "remove", "--force", scratch], { cwd: root });
  console.log(`${mutations.length - survivors} of ${mutations.length} mutations were caught`);
  return survivors === 0;
}

const words = process.argv.slice(2);
const only = words[0] === "--only" ? words.slice(1) : [];
const all = readdirSync(PATCHES).filter((name) => name.endsWith(".patch"));
const mutations = all
  .map(read)
  .sort((one, next) => one.rule - next.rule || one.name.localeCompare(next.name));
const chosen = mutations.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
const fine = words[0] === "--check" ? checkAll(mutations) : tryAll(chosen);
process.exitCode = fine ? 0 : 1;
