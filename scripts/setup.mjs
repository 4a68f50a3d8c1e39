// Installs what a fresh machine lacks: checks first, says what it does, is quick when nothing is missing.
// Needs only Node; every package it brings in comes from the ordinary clients (rustup, cargo, npm, apt-get).
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
/** Where tools are kept that only this project uses. */
export const tools = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"),
  "heyho-sync",
  "tools",
);

const WASM_PACK = "0.15.1";
const GECKODRIVER = "0.37.1";

/** Ends the run with one sentence that says what to do. */
export function giveUp(sentence) {
  console.error(`\nset-up: ${sentence}`);
  process.exit(1);
}

/** The first of `names` that is a program on the PATH or an existing file, or null. */
export function findProgram(...names) {
  for (const name of names) {
    if (path.isAbsolute(name)) {
      if (existsSync(name)) return name;
      continue;
    }
    for (const folder of (process.env.PATH || "").split(path.delimiter)) {
      const candidate = path.join(folder, name);
      if (folder && existsSync(candidate)) return candidate;
    }
  }
  return null;
}

export const programs = {
  chromium: () =>
    findProgram(
      "chromium",
      "chromium-browser",
      "google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
  chromedriver: () => findProgram("chromedriver"),
  firefox: () => findProgram("firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"),
  geckodriver: () => findProgram("geckodriver"),
  postgres: () => findPostgresBin(),
};

function findPostgresBin() {
  const onPath = findProgram("initdb");
  if (onPath) return path.dirname(onPath);
  for (const major of [18, 17, 16, 15, 14]) {
    const bin = `/usr/lib/postgresql/${major}/bin`;
    if (existsSync(path.join(bin, "initdb"))) return bin;
  }
  return null;
}

function step(what, command, args, options = {}) {
  console.log(`set-up: ${what}`);
  const result = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], cwd: root, ...options });
  return result.status === 0;
}

function output(command, args) {
  try {
    return execFileSync(command, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

function requireBasics() {
  if (Number(process.versions.node.split(".")[0]) < 20)
    giveUp("Node 20 or newer is needed; please update Node.");
  const rust = output("rustc", ["--version"]).match(/(\d+)\.(\d+)/);
  if (!rust || !findProgram("cargo")) {
    giveUp("Rust is missing; please install it with rustup (https://rustup.rs).");
  }
  const minimum = readFileSync(path.join(root, "Cargo.toml"), "utf8").match(/rust-version = "(\d+)\.(\d+)/);
  if (Number(rust[1]) === Number(minimum[1]) && Number(rust[2]) < Number(minimum[2])) {
    giveUp(`Rust ${minimum[1]}.${minimum[2]} or newer is needed; please run "rustup update".`);
  }
}

function nodePackages() {
  const lock = createHash("sha256")
    .update(readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
  const stamp = path.join(root, "node_modules", ".installed-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  if (!step("installing the Node packages of package-lock.json", "npm", ["ci", "--no-audit", "--no-fund"])) {
    giveUp('the Node packages could not be installed; please check the network and run "npm ci".');
  }
  writeFileSync(stamp, lock);
}

function wasmTarget() {
  const target = "wasm32-unknown-unknown";
  const libdir = output("rustc", ["--print", "target-libdir", "--target", target]);
  if (libdir && existsSync(libdir)) return;
  if (
    !findProgram("rustup") ||
    !step(`adding Rust's ${target} target`, "rustup", ["target", "add", target])
  ) {
    giveUp(
      `Rust's ${target} target is missing and could not be added; please run "rustup target add ${target}".`,
    );
  }
}

/** Puts `name` of exactly `version` on the PATH of this process and its children. */
function cargoTool(name, binary, version, locked) {
  const folder = path.join(tools, `${name}-${version}`);
  const bin = path.join(folder, "bin");
  if (!existsSync(path.join(bin, binary))) {
    mkdirSync(folder, { recursive: true });
    const args = ["install", name, "--version", version, "--root", folder, ...(locked ? ["--locked"] : [])];
    const target = path.join(tools, "build");
    const env = { ...process.env, CARGO_TARGET_DIR: target };
    if (!step(`building ${name} ${version} (once a machine, some minutes)`, "cargo", args, { env })) {
      giveUp(
        `${name} ${version} could not be built; please run "cargo install ${name} --version ${version}".`,
      );
    }
  }
  process.env.PATH = `${bin}${path.delimiter}${process.env.PATH}`;
}

function wasmBindgenVersion() {
  const lock = readFileSync(path.join(root, "Cargo.lock"), "utf8");
  const found = lock.match(/name = "wasm-bindgen"\nversion = "([^"]+)"/);
  if (!found) giveUp("Cargo.lock names no wasm-bindgen; the checkout is damaged.");
  return found[1];
}

let aptUpdated = false;
function systemPackages(missing) {
  if (missing.length === 0) return;
  const names = missing.join(" ");
  const apt = findProgram("apt-get");
  if (!apt || process.getuid?.() !== 0) {
    giveUp(
      `missing on this machine: ${names}; please install them (on Debian or Ubuntu: "sudo apt-get install ${names}").`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  if (!aptUpdated)
    aptUpdated = step("refreshing the list of system packages", apt, ["update", "-qq"], { env });
  if (
    !step(`installing ${names}`, apt, ["install", "-y", "-qq", "--no-install-recommends", ...missing], {
      env,
    })
  ) {
    giveUp(`these system packages could not be installed: ${names}.`);
  }
}

/** What the core and the extension are built with. */
export function setUpBuild() {
  requireBasics();
  nodePackages();
  wasmTarget();
  cargoTool("wasm-pack", "wasm-pack", WASM_PACK, true);
  // Without --locked: 0.2.130's own lock file names a dependency that newer registries no longer serve.
  cargoTool("wasm-bindgen-cli", "wasm-bindgen", wasmBindgenVersion(), false);
  process.env.PATH = `${path.join(root, "node_modules", ".bin")}${path.delimiter}${process.env.PATH}`;
}

/** What the demo needs beside the build. */
export function setUpDemo() {
  setUpBuild();
  systemPackages(programs.chromium() ? [] : ["chromium"]);
}

/** What the benchmarks need beside the build. */
export function setUpBench(firefox) {
  setUpBuild();
  if (!firefox) systemPackages(programs.chromium() ? [] : ["chromium"]);
  else systemPackages(programs.firefox() ? [] : ["firefox-esr"]);
}

/** What the tests need beside the build. */
export function setUpTests() {
  setUpBuild();
  systemPackages([
    ...(programs.chromium() ? [] : ["chromium"]),
    ...(programs.chromedriver() ? [] : ["chromium-driver"]),
    ...(programs.firefox() ? [] : ["firefox-esr"]),
    ...(programs.postgres() ? [] : ["postgresql"]),
  ]);
  if (!programs.geckodriver()) cargoTool("geckodriver", "geckodriver", GECKODRIVER, true);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setUpTests();
  console.log("set-up: everything is there");
}
