// Other releases of the extension than the one that was built: newer ones, older ones, ones that may keep less.
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { built } from "./either.mjs";

/**
 * Makes a release that does what this one does, with another manifest.
 *
 * @param {string} folder where to @param {string} browser whose @param {(manifest: any) => void} change
 */
export async function releaseLike(folder, browser, change) {
  await cp(built(browser), folder, { recursive: true });
  const file = path.join(folder, "manifest.json");
  const manifest = JSON.parse(await readFile(file, "utf8"));
  change(manifest);
  await writeFile(file, JSON.stringify(manifest));
  return folder;
}

/** Makes the first release of all: it has pages, from which it can be told what it kept, and does nothing by itself. */
export async function firstRelease(folder, browser) {
  await mkdir(path.join(folder, "popup"), { recursive: true });
  const manifest = JSON.parse(await readFile(path.join(built(browser), "manifest.json"), "utf8"));
  const { manifest_version, key, permissions, host_permissions, browser_specific_settings, background } =
    manifest;
  const first = {
    manifest_version,
    key,
    permissions,
    host_permissions,
    browser_specific_settings,
    background,
  };
  const named = { ...first, name: "HeyHo Sync", version: "0.0.1" };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(named));
  await writeFile(path.join(folder, "background.js"), "");
  await writeFile(path.join(folder, "popup", "popup.html"), '<!doctype html><body data-scene="first">first');
  return folder;
}
