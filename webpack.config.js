import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import CopyPlugin from "copy-webpack-plugin";

const root = path.dirname(fileURLToPath(import.meta.url));

/**
 * The manifest for one browser: the common one without what only the other understands.
 *
 * @param {"chrome" | "firefox"} browser
 * @param {object} manifest manifest.json, not changed
 */
export function manifestFor(browser, manifest) {
  const { key, minimum_chrome_version, browser_specific_settings, background, ...common } = manifest;
  if (browser === "chrome") {
    return {
      ...common,
      key,
      minimum_chrome_version,
      background: { service_worker: background.service_worker },
    };
  }
  // Firefox has no extension service worker; it runs the same script in an event page.
  return { ...common, browser_specific_settings, background: { scripts: background.scripts } };
}

class ManifestPlugin {
  constructor(browser) {
    this.browser = browser;
  }

  apply(compiler) {
    const { Compilation, sources } = compiler.webpack;
    const file = path.join(root, "manifest.json");
    compiler.hooks.thisCompilation.tap("ManifestPlugin", (compilation) => {
      compilation.fileDependencies.add(file);
      compilation.hooks.processAssets.tap(
        { name: "ManifestPlugin", stage: Compilation.PROCESS_ASSETS_STAGE_ADDITIONS },
        () => {
          const manifest = manifestFor(this.browser, JSON.parse(readFileSync(file, "utf8")));
          compilation.emitAsset(
            "manifest.json",
            new sources.RawSource(`${JSON.stringify(manifest, null, 2)}\n`),
          );
        },
      );
    });
  }
}

const configFor = (browser) => ({
  name: browser,
  mode: "production",
  context: root,
  // One script that runs in Chrome's service worker and in Firefox's event page: nothing is loaded in pieces.
  target: ["webworker", "es2022"],
  entry: {
    background: "./extension/background.js",
    content: "./extension/content.js",
    "firstrun/firstrun": "./extension/firstrun/firstrun.js",
    "options/options": "./extension/options/options.js",
    "popup/popup": "./extension/popup/popup.js",
  },
  output: {
    path: path.join(root, "dist", browser),
    clean: true,
    publicPath: "",
    // The name under which extension/core.js asks for the module.
    assetModuleFilename: "[name][ext]",
  },
  devtool: false,
  performance: { hints: false },
  // Readable, so that who reviews the package can read what runs.
  optimization: { minimize: false, splitChunks: false, moduleIds: "named" },
  plugins: [
    new ManifestPlugin(browser),
    new CopyPlugin({
      patterns: [
        { from: "{firstrun,options,popup,shared}/*.{html,css}", context: "extension" },
        { from: "extension/icons/*.png", to: "icons/[name][ext]" },
        { from: "extension/_locales", to: "_locales" },
      ],
    }),
  ],
});

export default [configFor("chrome"), configFor("firefox")];
