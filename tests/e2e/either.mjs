// Both browsers by one set of words, for tests that ask the same of either.
import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import path from "node:path";
import { By } from "selenium-webdriver";
import { launchChromium, Popup } from "../../scripts/lib/chromium.mjs";
import { launchFirefox, PATIENCE_MS } from "../../scripts/lib/firefox.mjs";
import { root } from "../../scripts/setup.mjs";
import { CREDENTIALS } from "./support.mjs";

/**
 * What can be asked of a browser with the extension. Whatever is asked goes through the popup, which is open as a page.
 *
 * @typedef {object} Options
 * @property {string} [extension] its folder; as it was built if absent
 * @property {number} [port] of a proxy for everything that leaves the browser
 * @property {boolean} [asksForConsent] whether its first page is to be waited for
 * @property {boolean} [keepsProfile] Firefox: whether it can be started again as it was left
 * @property {Record<string, unknown>} [preferences] Firefox's own
 */

/** Runs in a page of the extension: the first status that fulfils `condition`, the present one or one that is told later. */
const statusThat = (condition) => `new Promise((resolve, reject) => {
  const { runtime, storage } = globalThis.browser ?? globalThis.chrome;
  const look = (status) => { if (status && !status.error && (${condition})(status)) resolve(status); };
  storage.session.onChanged.addListener(({ snapshot }) => look(snapshot?.newValue));
  runtime.sendMessage({ type: "status" }).then(look, reject);
})`;

const POPUP = ["popup/popup.html", 'body:not([data-scene="loading"])'];
const OPTIONS = ["options/options.html", 'body[data-ready="true"]'];
const marked = (testId) => `[data-testid="${testId}"]`;

class Either {
  constructor(world, options) {
    this.world = world;
    this.options = options;
  }

  static async begin(world, options = {}) {
    const either = new this(world, { ...options });
    await either.start();
    return either;
  }

  /** Sends the background a message. Returns its answer; one that tells of a failure is thrown. */
  async ask(message) {
    const reply = await this.send(message);
    if (reply?.error)
      throw Object.assign(new Error(`${message.type}: ${reply.error.code}`), { code: reply.error.code });
    return reply;
  }

  /** Waits for a status; `condition` runs in the page and sees nothing but the status. */
  until(condition) {
    return this.evaluate(statusThat(condition));
  }

  /** Says yes to recording and signs in at `base`. */
  async signIn(base, credentials = CREDENTIALS) {
    await this.ask({ type: "setSettings", settings: { consent: true, serverUrl: base } });
    await this.ask({ type: "signIn", ...credentials });
  }

  /** Lets the extension's own one-shot alarm fire now. */
  fireAlarm() {
    return this.evaluate(
      `(async () => (globalThis.browser ?? chrome).alarms.create("sync-retry", { when: Date.now() }))()`,
    );
  }

  openPopup = () => this.open(...POPUP);
  openOptions = () => this.open(...OPTIONS);

  /** Answers the question of the first page. */
  async answer(word) {
    await this.open("firstrun/firstrun.html", 'body:not([data-answer="unknown"])');
    await this.click(marked(`consent-${word}`));
    await this.waitFor(`body[data-answer="${word}"]`);
    await this.openPopup();
  }

  /** Waits until a part of the page shows a text. */
  async shows(testId, text) {
    await this.waitFor(marked(testId), text);
  }

  /** Sends what waits, and returns the status when nothing is left. */
  async drain() {
    await this.ask({ type: "syncNow" });
    const status = await this.until(({ pending }) => pending.pageVisits + pending.tabAggregates === 0);
    assert.equal(status.problem, null);
    return status;
  }
}

class EitherChromium extends Either {
  async start({ asksForConsent = this.options.asksForConsent ?? false, ...changed } = {}) {
    Object.assign(this.options, changed);
    const { port, extension } = this.options;
    const proxied = [`--proxy-server=127.0.0.1:${port}`, "--proxy-bypass-list=<-loopback>"];
    this.browser = await launchChromium({
      profile: path.join(this.world.folder, "profile"),
      args: port ? proxied : [],
      asksForConsent,
      ...(extension ? { extension } : {}),
    });
    const { browser } = this;
    this.world.endsWith(() => browser.close());
    this.page = await browser.context.newPage();
    await this.openPopup();
  }

  async open(page, selector) {
    await this.page.goto(`chrome-extension://${this.browser.extensionId}/${page}`);
    await this.waitFor(selector);
  }

  send = (message) => this.page.evaluate((request) => chrome.runtime.sendMessage(request), message);
  tell = (message) => new Popup(this.page).tell(message);
  evaluate = (expression) => this.page.evaluate(expression);
  click = (selector) => this.page.locator(selector).first().click();
  type = (selector, text) => this.page.locator(selector).fill(text);
  waitFor = (selector, text) =>
    this.page
      .locator(selector, text ? { hasText: text } : {})
      .first()
      .waitFor();
  die = () => this.browser.stopWorker();

  async visit(url, meanwhile = async () => {}) {
    const page = await this.browser.context.newPage();
    await page.goto(url);
    await meanwhile();
    await page.close();
    await this.page.bringToFront();
  }

  /** From the extension's own page: a driver's contexts are not the windows that a user opens. */
  async visitPrivately(url, arrived) {
    await this.page.evaluate(async (address) => {
      await chrome.windows.create({ url: address, incognito: true });
    }, url);
    await arrived;
  }

  /** Kills the browser, whatever it is doing. Resolves when it is gone. */
  async kill() {
    const { context } = this.browser;
    const session = await context.browser().newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const gone = new Promise((resolve) => context.once("close", resolve));
    process.kill(processInfo.find(({ type }) => type === "browser").id, "SIGKILL");
    await gone;
  }

  /** Puts another release in the place of the extension that runs, as the browser does with an update. */
  async update(folder) {
    const { extension } = this.options;
    const { context } = this.browser;
    await rm(extension, { recursive: true });
    await cp(folder, extension, { recursive: true });
    const settings = await context.newPage();
    await settings.goto("chrome://extensions");
    // Without it Chromium does not load an unpacked extension again.
    await settings.evaluate(() =>
      chrome.developerPrivate.updateProfileConfiguration({ inDeveloperMode: true }),
    );
    const restarted = context.waitForEvent("serviceworker");
    // The extension's own pages go with it.
    await this.page.evaluate(() => chrome.runtime.reload()).catch(() => {});
    await restarted;
    this.page = settings;
  }
}

class EitherFirefox extends Either {
  async start({ asksForConsent = this.options.asksForConsent ?? false, ...changed } = {}) {
    Object.assign(this.options, changed);
    const { port, extension, keepsProfile, preferences = {} } = this.options;
    const proxied = {
      "network.proxy.type": 1,
      "network.proxy.http": "127.0.0.1",
      "network.proxy.http_port": port,
      "network.proxy.allow_hijacking_localhost": true,
    };
    this.firefox = await launchFirefox(
      { ...(port ? proxied : {}), ...preferences },
      {
        asksForConsent,
        ...(extension ? { extension } : {}),
        ...(keepsProfile ? { profile: path.join(this.world.folder, "profile") } : {}),
      },
    );
    const { firefox } = this;
    this.world.endsWith(() => firefox.close());
    await this.openPopup();
  }

  open = (page, selector) => this.firefox.openPage(page, selector);
  send = (message) => this.firefox.ask(message);
  evaluate = (expression) => this.firefox.evaluate(expression);
  die = () => this.firefox.stopBackground();
  kill = () => this.firefox.kill();
  visitPrivately = (url, arrived) => this.firefox.visitPrivately(url, arrived);

  async tell(message) {
    await this.firefox.driver.executeScript(
      "browser.runtime.sendMessage(arguments[0]).catch(() => {});",
      message,
    );
  }

  async click(selector) {
    await this.#within(selector, (element) => element.click());
  }

  async type(selector, text) {
    await this.#within(selector, async (element) => {
      await element.clear();
      await element.sendKeys(text);
    });
  }

  /** Does something with the first element that is to be seen, and again while it says false or is drawn anew. */
  #within(selector, act) {
    return this.firefox.driver.wait(async () => {
      for (const element of await this.firefox.driver.findElements(By.css(selector))) {
        try {
          if (!(await element.isDisplayed())) continue;
          if ((await act(element)) !== false) return true;
        } catch (error) {
          if (error.name !== "StaleElementReferenceError") throw error;
        }
      }
      return false;
    }, PATIENCE_MS);
  }

  async waitFor(selector, text = "") {
    await this.#within(selector, async (element) => !text || (await element.getText()).includes(text));
  }

  async visit(url, meanwhile = async () => {}) {
    await this.firefox.driver.get(url);
    await meanwhile();
    await this.openPopup();
  }

  /** Puts another release in the place of the extension that runs, as the browser does with an update. */
  async update(folder) {
    const { driver } = this.firefox;
    // The extension's own pages go with it, and a driver without a page is lost.
    await driver.get("about:blank");
    await driver.installAddon(folder, true);
  }
}

/** @type {Record<string, (world: any, options?: Options) => Promise<any>>} */
export const BROWSERS = {
  Chromium: (world, options) => EitherChromium.begin(world, options),
  Firefox: (world, options) => EitherFirefox.begin(world, options),
};

/** The folder with the extension as it was built for a browser. */
export const built = (name) => path.join(root, "dist", name === "Chromium" ? "chrome" : "firefox");
export { marked };
