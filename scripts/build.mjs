// Builds the core (pkg/) and the extension (dist/chrome, dist/firefox and their zips).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { zipFiles, zipFolder } from "./lib/zip.mjs";
import { giveUp, root, setUpBuild } from "./setup.mjs";

const WASM = "wasm32-unknown-unknown";
const pkg = path.join(root, "pkg");

/** Builds what has changed since the last build. Set-up must have been done. */
export async function build() {
  buildCore();
  await buildExtension();
}

// As `wasm-pack build --target web` does, but for one thing: asked for a library of both kinds, as the tests need it,
// cargo optimises neither across crates. As a module alone it is an eighth smaller.
function buildCore() {
  const stamp = path.join(pkg, ".built-from");
  const inputs = hashOfInputs();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;
  console.log("build: the core (pkg/)");
  const { packages, target_directory: target } = metadata();
  const core = packages.find(({ name }) => name === "heyho-sync");
  const module = path.join(target, WASM, "release", "heyho_sync.wasm");
  rmSync(pkg, { recursive: true, force: true });
  run("cargo", ["rustc", "--release", "--lib", "--target", WASM, "--crate-type", "cdylib"]);
  run("wasm-bindgen", ["--target", "web", "--out-dir", pkg, module]);
  const optimised = path.join(pkg, "heyho_sync_bg.wasm");
  run("wasm-opt", [...core.metadata["wasm-pack"].profile.release["wasm-opt"], optimised, "-o", optimised]);
  describe(core);
  writeFileSync(stamp, inputs);
}

function metadata() {
  const args = ["metadata", "--format-version", "1", "--no-deps"];
  const told = spawnSync("cargo", args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (told.status !== 0) giveUp("cargo can't read Cargo.toml; its words are above.");
  return JSON.parse(told.stdout);
}

function run(program, args) {
  const ended = spawnSync(program, args, { cwd: root, stdio: "inherit", env: withoutMachinePaths() });
  if (ended.status !== 0) giveUp(`the core could not be built; the words of ${program} are above.`);
}

/** Makes an npm package of `pkg/`. */
function describe({ name, version, description, license, repository }) {
  const texts = ["README.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];
  for (const text of texts) copyFileSync(path.join(root, text), path.join(pkg, text));
  const manifest = {
    name,
    type: "module",
    description,
    version,
    license,
    repository: { type: "git", url: repository },
    files: [
      "heyho_sync_bg.wasm",
      "heyho_sync.js",
      "heyho_sync.d.ts",
      "LICENSE",
      "LICENSE-APACHE",
      "LICENSE-MIT",
    ],
    main: "heyho_sync.js",
    types: "heyho_sync.d.ts",
    sideEffects: ["./snippets/*"],
  };
  writeFileSync(path.join(pkg, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function hashOfInputs() {
  const sources = readdirSync(path.join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of [...sources, path.join(root, "Cargo.toml"), path.join(root, "Cargo.lock")].sort()) {
    hash.update(path.relative(root, file)).update("\0").update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex");
}

/** The environment in which panics name source files the same way on every machine. */
function withoutMachinePaths() {
  const cargoHome = process.env.CARGO_HOME || path.join(process.env.HOME || "", ".cargo");
  const flags = [`--remap-path-prefix=${cargoHome}=cargo`, `--remap-path-prefix=${root}=heyho-sync`];
  return { ...process.env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: flags.join(" ") };
}

async function buildExtension() {
  const { default: webpack } = await import("webpack");
  const { default: configs } = await import("../webpack.config.js");
  const stats = await new Promise((resolve, reject) => {
    const compiler = webpack(configs);
    compiler.run((error, result) => compiler.close(() => (error ? reject(error) : resolve(result))));
  });
  if (stats.hasErrors() || stats.hasWarnings()) {
    console.error(stats.toString({ preset: "errors-warnings" }));
    giveUp("the extension could not be built; webpack's words are above.");
  }
  for (const { output } of configs) zipFolder(output.path, `${output.path}.zip`);
  zipSources();
  console.log("build: the extension (dist/chrome, dist/firefox)");
}

/** What reviewers of add-ons ask for: every file from which the packages are built. Nothing to do without git. */
function zipSources() {
  const listed = spawnSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" });
  if (listed.status !== 0) return;
  const names = listed.stdout.split("\0").filter((name) => name && existsSync(path.join(root, name)));
  zipFiles(root, names, path.join(root, "dist", "heyho-sync-source.zip"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setUpBuild();
  await build();
}
