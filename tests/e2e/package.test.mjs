// What `npm run build` makes: the packages for both browsers.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { zipFolder } from "../../scripts/lib/zip.mjs";
import { root } from "../../scripts/setup.mjs";
import { manifestFor } from "../../webpack.config.js";

/** A little above what it is; to be lowered with it. */
const WASM_GZIP_BYTES = 367_000;

/** What `web-ext lint` runs. */
const linter = path.join(root, "node_modules", "addons-linter", "bin", "addons-linter");
const manifest = JSON.parse(readFileSync(path.join(root, "manifest.json"), "utf8"));
const folders = { chrome: path.join(root, "dist", "chrome"), firefox: path.join(root, "dist", "firefox") };

test("each browser's manifest holds only what that browser understands", () => {
  const chrome = manifestFor("chrome", manifest);
  assert.deepEqual(chrome.background, { service_worker: "background.js" });
  assert.equal(chrome.key, manifest.key);
  assert.equal(chrome.browser_specific_settings, undefined);

  const firefox = manifestFor("firefox", manifest);
  assert.deepEqual(firefox.background, { scripts: ["background.js"] });
  assert.equal(firefox.key, undefined);
  assert.equal(firefox.minimum_chrome_version, undefined);
  assert.ok(
    firefox.browser_specific_settings.gecko.data_collection_permissions.required.includes("browsingActivity"),
  );
});

test("both browsers' manifests ask for the same permissions and keep out of private windows", () => {
  for (const browser of ["chrome", "firefox"]) {
    const built = JSON.parse(readFileSync(path.join(folders[browser], "manifest.json"), "utf8"));
    assert.deepEqual(built.permissions, [
      "alarms",
      "idle",
      "scripting",
      "storage",
      "tabs",
      "unlimitedStorage",
    ]);
    assert.deepEqual(built.optional_permissions, ["history"]);
    assert.deepEqual(built.host_permissions, ["http://127.0.0.1/*", "http://localhost/*"]);
    assert.equal(built.content_scripts, undefined);
    assert.equal(built.incognito, "not_allowed");
  }
});

test("every file that a manifest or a page names is in the package", () => {
  for (const folder of Object.values(folders)) {
    const { background, icons, action, options_ui } = JSON.parse(
      readFileSync(path.join(folder, "manifest.json"), "utf8"),
    );
    const scripts = background.scripts ?? [background.service_worker];
    for (const file of [...scripts, ...Object.values(icons), ...Object.values(action.default_icon)]) {
      assert.ok(existsSync(path.join(folder, file)), file);
    }
    // The last two are named by the scripts.
    for (const page of [action.default_popup, options_ui.page, "firstrun/firstrun.html"]) {
      const html = readFileSync(path.join(folder, page), "utf8");
      const named = [...html.matchAll(/(?:href|src)="([^"#][^"]*)"/g)].map(([, file]) => file);
      assert.ok(named.length > 2, page);
      for (const file of named) assert.ok(existsSync(path.join(folder, path.dirname(page), file)), file);
    }
    assert.ok(existsSync(path.join(folder, "content.js")));
  }
});

test("what Firefox's package holds passes the linter of its add-ons without an error or a warning", () => {
  const found = spawnSync(process.execPath, [linter, "--output", "json", folders.firefox], {
    encoding: "utf8",
  });
  const { errors, warnings, notices } = JSON.parse(found.stdout);
  assert.deepEqual({ errors, warnings, notices }, { errors: [], warnings: [], notices: [] });
});

test("nothing in a package tells where it was built", () => {
  for (const folder of Object.values(folders)) {
    for (const file of files(folder)) {
      const bytes = readFileSync(file, "latin1");
      for (const place of [root, os.homedir()]) assert.ok(place === "/" || !bytes.includes(place), file);
    }
  }
});

test("the module keeps to its budget", () => {
  const wasm = readFileSync(path.join(root, "pkg", "heyho_sync_bg.wasm"));
  const bytes = gzipSync(wasm, { level: 9 }).length;
  assert.ok(bytes <= WASM_GZIP_BYTES, `${bytes} bytes with gzip`);
});

test("a zip comes out the same byte for byte, and as the one that was built", () => {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "heyho-zip-"));
  try {
    for (const folder of Object.values(folders)) {
      const again = path.join(scratch, "again.zip");
      zipFolder(folder, again);
      assert.ok(readFileSync(again).equals(readFileSync(`${folder}.zip`)));
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
});

test("the reviewers' zip holds what the packages are built from, and nothing that was built", () => {
  const names = namesIn(readFileSync(path.join(root, "dist", "heyho-sync-source.zip")));
  for (const name of [
    "manifest.json",
    "package-lock.json",
    "Cargo.lock",
    "src/lib.rs",
    "extension/content.js",
  ]) {
    assert.ok(names.includes(name), name);
  }
  assert.deepEqual(
    names.filter((name) => /^(pkg|dist|node_modules|target)\//.test(name)),
    [],
  );
});

/** The names in a zip's directory, which stands at its end. */
function namesIn(zip) {
  const end = zip.lastIndexOf("PK\x05\x06");
  const names = [];
  for (let at = zip.readUInt32LE(end + 16); at < end;) {
    const length = zip.readUInt16LE(at + 28);
    names.push(zip.toString("utf8", at + 46, at + 46 + length));
    at += 46 + length + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return names;
}

const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
