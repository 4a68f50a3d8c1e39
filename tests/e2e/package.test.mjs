// What `npm run build` makes: the packages for both browsers.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { zipFolder } from "../../scripts/lib/zip.mjs";
import { root } from "../../scripts/setup.mjs";
import { manifestFor } from "../../webpack.config.js";

/** A little above what it is; to be lowered with it. */
const WASM_GZIP_BYTES = 400_000;

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
    assert.deepEqual(built.permissions, ["alarms", "idle", "storage", "tabs", "unlimitedStorage"]);
    assert.deepEqual(built.host_permissions, ["http://127.0.0.1/*", "http://localhost/*"]);
    assert.equal(built.incognito, "not_allowed");
  }
});

test("every file that a manifest or the popup names is in the package, and every text that they name in _locales", () => {
  for (const folder of Object.values(folders)) {
    const { background, icons, action, ...built } = JSON.parse(
      readFileSync(path.join(folder, "manifest.json"), "utf8"),
    );
    const scripts = background.scripts ?? [background.service_worker];
    for (const file of [...scripts, ...Object.values(icons), ...Object.values(action.default_icon)]) {
      assert.ok(existsSync(path.join(folder, file)), file);
    }
    const html = readFileSync(path.join(folder, action.default_popup), "utf8");
    const texts = JSON.parse(
      readFileSync(path.join(folder, "_locales", built.default_locale, "messages.json"), "utf8"),
    );
    for (const [, key] of html.matchAll(/data-(?:text|label)="(\w+)"/g)) assert.ok(texts[key], key);
  }
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

const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
