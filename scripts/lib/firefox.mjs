// Firefox with the built extension, driven by selenium-webdriver.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Builder, By, until } from "selenium-webdriver";
import firefox from "selenium-webdriver/firefox.js";
import { programs, root } from "../setup.mjs";

/** Milliseconds after which what is waited for will not come; a busy machine takes its time. */
export const PATIENCE_MS = 60_000;

// Firefox makes one up for each installation; fixed, so that the extension's pages can be named.
const UUID = "6d1f0c52-7d5e-4d2c-9a3b-3f6a3f5f9e01";

/**
 * Starts Firefox without a window and installs an extension, this one if none is named; `preferences` are Firefox's own.
 * With a `profile` folder, which is kept, it stays installed in that; else as long as the browser runs.
 * `asksForConsent` tells whether its first page is to be waited for.
 */
export async function launchFirefox(
  preferences = {},
  { extension = path.join(root, "dist", "firefox"), profile = null, asksForConsent = true } = {},
) {
  const manifest = JSON.parse(readFileSync(path.join(root, "manifest.json"), "utf8"));
  const id = manifest.browser_specific_settings.gecko.id;
  const options = new firefox.Options()
    .setBinary(programs.firefox())
    .addArguments("-headless")
    .setPreference("app.update.enabled", false)
    .setPreference("extensions.webextensions.uuids", JSON.stringify({ [id]: UUID }));
  const isInstalled = profile !== null && existsSync(profile);
  if (profile !== null) {
    mkdirSync(profile, { recursive: true });
    options.addArguments("-profile", profile).setPreference("xpinstall.signatures.required", false);
  }
  for (const [name, value] of Object.entries(preferences)) options.setPreference(name, value);
  // Without system access this Firefox doesn't let a driver open an extension's pages.
  const service = new firefox.ServiceBuilder(programs.geckodriver()).addArguments("--allow-system-access");
  const driver = await new Builder()
    .forBrowser("firefox")
    .setFirefoxOptions(options)
    .setFirefoxService(service)
    .build();
  if (!isInstalled) await driver.installAddon(extension, profile === null);
  const browser = new ExtensionFirefox(driver, id);
  if (asksForConsent) await browser.dismissFirstRun();
  return browser;
}

export class ExtensionFirefox {
  #isKilled = false;

  constructor(driver, id) {
    this.driver = driver;
    this.id = id;
  }

  /** Closes the page that asks for consent once it has opened: it would stay in front of the driver's own tab. */
  async dismissFirstRun() {
    const own = await this.driver.getWindowHandle();
    const opened = () => this.driver.getAllWindowHandles();
    await this.driver.wait(async () => (await opened()).length > 1, PATIENCE_MS);
    for (const handle of await opened()) {
      if (handle === own) continue;
      await this.driver.switchTo().window(handle);
      await this.driver.close();
    }
    await this.driver.switchTo().window(own);
  }

  /** Opens the popup as a page of its own and waits until it shows the state. */
  async openPopup() {
    await this.openPage("popup/popup.html", 'body:not([data-scene="loading"])');
  }

  /** Opens one of the extension's pages and waits until it shows something. */
  async openPage(page, selector) {
    await this.driver.get(`moz-extension://${UUID}/${page}`);
    await this.waitFor(selector);
  }

  waitFor(selector) {
    return this.driver.wait(until.elementLocated(By.css(selector)), PATIENCE_MS);
  }

  part(testId) {
    return this.driver.findElement(By.css(`[data-testid="${testId}"]`));
  }

  /** Sends the background a message from the popup. Returns its answer. */
  ask(message) {
    return this.driver.executeAsyncScript(
      "const [message, done] = arguments; browser.runtime.sendMessage(message).then(done);",
      message,
    );
  }

  /** What a promise of the extension's API comes to, on the page that is open. */
  async evaluate(expression) {
    const [value, error] = await this.driver.executeAsyncScript(
      `const done = arguments[0]; (${expression}).then((value) => done([value]), (error) => done([null, String(error)]));`,
    );
    if (error) throw new Error(error);
    return value;
  }

  /** Resolves when the popup shows `text` in one of its parts. */
  async untilShown(testId, text) {
    await this.driver.wait(until.elementTextContains(this.part(testId), text), PATIENCE_MS);
  }

  /** Opens a private window with a page, and closes it when `arrived` resolves. */
  async visitPrivately(url, arrived) {
    await this.driver.setContext("chrome");
    await this.driver.executeAsyncScript(
      `const [url, done] = arguments;
       const opened = OpenBrowserWindow({ private: true });
       const READY = "browser-delayed-startup-finished";
       const load = (window) => {
         if (window !== opened) return;
         Services.obs.removeObserver(load, READY);
         const triggeringPrincipal = Services.scriptSecurityManager.getSystemPrincipal();
         opened.gBrowser.selectedBrowser.fixupAndLoadURIString(url, { triggeringPrincipal });
         done();
       };
       Services.obs.addObserver(load, READY);`,
      url,
    );
    await arrived;
    await this.driver.executeScript(
      `for (const window of Services.wm.getEnumerator("navigator:browser")) {
         if (PrivateBrowsingUtils.isWindowPrivate(window)) window.close();
       }`,
    );
    await this.driver.setContext("content");
  }

  /** Ends the event page, as the browser does with one that is idle. */
  async stopBackground() {
    await this.driver.setContext("chrome");
    await this.driver.executeAsyncScript(
      `const [id, done] = arguments;
       const { extension } = WebExtensionPolicy.getByID(id);
       extension.terminateBackground({ disableResetIdleForTest: true }).then(done);`,
      this.id,
    );
    await this.driver.setContext("content");
  }

  /** Kills the browser, whatever it is doing. Resolves when it is gone. */
  async kill() {
    const pid = (await this.driver.getCapabilities()).get("moz:processID");
    this.#isKilled = true;
    process.kill(pid, "SIGKILL");
    // The driver's own process ends too, and finds nobody to talk to.
    await this.driver.quit().catch(() => {});
  }

  async close() {
    if (!this.#isKilled) await this.driver.quit();
  }
}
