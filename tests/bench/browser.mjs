// The browsers of the benchmarks, without a debugging protocol: those copy every request's body, which doubles what a
// drain costs. An extension made for the purpose opens the page that asks for jobs.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { zipFolder } from "../../scripts/lib/zip.mjs";
import { programs, root } from "../../scripts/setup.mjs";

// The smallest module that has a memory and a function: what starting any wasm module costs.
const EMPTY_WASM = [
  "0061736d01000000", // header
  "010501600001" + "7f", // type: () -> i32
  "03020100", // one function of it
  "0503010001", // one page of memory
  "071202066d656d6f72790200" + "0572656164790000", // exports: memory, ready
  "0a0601040041010b", // its code: 1
].join("");

const VENDOR = { "dexie.mjs": "dexie/dist/dexie.mjs", "idb.mjs": "idb/build/index.js" };

/** Puts the extension together in `folder`. */
function assemble(folder, origin) {
  const bench = path.join(root, "tests", "bench");
  cpSync(path.join(bench, "extension"), folder, { recursive: true });
  cpSync(bench, path.join(folder, "bench"), { recursive: true });
  cpSync(path.join(root, "pkg"), path.join(folder, "pkg"), { recursive: true });
  mkdirSync(path.join(folder, "vendor"));
  for (const [name, file] of Object.entries(VENDOR)) {
    cpSync(path.join(root, "node_modules", file), path.join(folder, "vendor", name));
  }
  writeFileSync(path.join(folder, "bench", "empty.wasm"), Buffer.from(EMPTY_WASM, "hex"));
  writeFileSync(path.join(folder, "bench", "origin.mjs"), `export const origin = "${origin}";\n`);
}

function startChromium(extension, profile) {
  const flags = [
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    `--user-data-dir=${profile}`,
    `--disable-extensions-except=${extension}`,
    `--load-extension=${extension}`,
  ];
  return spawn(programs.chromium(), flags, { stdio: "ignore" });
}

// An extension that nobody signed is taken from the profile by the builds that allow it (Extended Support, Developer).
function startFirefox(extension, profile) {
  const { browser_specific_settings } = JSON.parse(
    readFileSync(path.join(extension, "manifest.json"), "utf8"),
  );
  mkdirSync(path.join(profile, "extensions"));
  zipFolder(extension, path.join(profile, "extensions", `${browser_specific_settings.gecko.id}.xpi`));
  const preferences = {
    "xpinstall.signatures.required": false,
    "extensions.autoDisableScopes": 0,
    "extensions.startupScanScopes": 15,
    "app.update.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "toolkit.telemetry.reportingpolicy.firstRun": false,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${value});\n`);
  writeFileSync(path.join(profile, "user.js"), lines.join(""));
  return spawn(programs.firefox(), ["-headless", "-no-remote", "-profile", profile], { stdio: "ignore" });
}

export class Browser {
  #folder = mkdtempSync(path.join(os.tmpdir(), "heyho-bench-"));
  #process;

  /** Starts a browser on a fresh profile; its page asks the server at `origin` for jobs. */
  static async start(origin, firefox = false) {
    const browser = new Browser();
    const extension = path.join(browser.#folder, "extension");
    const profile = path.join(browser.#folder, "profile");
    assemble(extension, origin);
    mkdirSync(profile);
    browser.#process = firefox ? startFirefox(extension, profile) : startChromium(extension, profile);
    // Nobody else would end it.
    process.once("exit", () => browser.#process.kill());
    return browser;
  }

  async close() {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill();
    await gone;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
