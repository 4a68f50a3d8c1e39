// Chromium with the built extension, driven by playwright-core.
import path from "node:path";
import { chromium } from "playwright-core";
import { programs, root } from "../setup.mjs";

const ARGS = [
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts Chromium with an extension, this one if none is named, on the profile in `profile`. `asksForConsent` tells
 * whether its first page is to be waited for; `args` are the browser's own.
 *
 * @returns {Promise<ExtensionBrowser>}
 */
export async function launchChromium({
  profile,
  headless = true,
  viewport = { width: 1100, height: 720 },
  extension = path.join(root, "dist", "chrome"),
  asksForConsent = true,
  args = [],
}) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: programs.chromium(),
    headless,
    viewport,
    args: [
      ...ARGS,
      ...args,
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      `--disable-extensions-except=${extension}`,
      `--load-extension=${extension}`,
    ],
  });
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
  const browser = new ExtensionBrowser(context, new URL(worker.url()).host);
  if (asksForConsent && !(await browser.hasAnswered())) await browser.firstRunOpens();
  return browser;
}

export class ExtensionBrowser {
  constructor(context, extensionId) {
    this.context = context;
    this.extensionId = extensionId;
  }

  hasAnswered() {
    return this.worker.evaluate(
      async () => !!(await chrome.storage.local.get("settings")).settings?.answeredAt,
    );
  }

  /** Resolves with the page that asks for consent, which opens by itself where nobody has answered yet. */
  async firstRunOpens() {
    const isIt = (page) => page.url().endsWith("/firstrun/firstrun.html");
    const page =
      this.context.pages().find(isIt) ??
      (await this.context.waitForEvent("page", {
        predicate: (opened) =>
          opened.waitForURL(/firstrun/, { timeout: 5_000 }).then(
            () => true,
            () => false,
          ),
      }));
    await page.locator('body:not([data-answer="unknown"])').waitFor();
    return page;
  }

  /** Opens the popup as a page of its own and waits until it shows the state. */
  async openPopup() {
    const page = await this.context.newPage();
    await page.goto(`chrome-extension://${this.extensionId}/popup/popup.html`);
    await page.locator('body:not([data-scene="loading"])').waitFor();
    return new Popup(page);
  }

  /** The background worker of now; there is none while it is stopped. */
  get worker() {
    return this.context.serviceWorkers().at(-1);
  }

  /** Kills the background worker, whatever it is doing. Resolves when it is gone; any event starts a new one. */
  async stopWorker() {
    const session = await this.context.newCDPSession(this.context.pages()[0]);
    const gone = new Promise((resolve) => {
      session.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
        if (versions.some((version) => version.runningStatus === "stopped")) resolve();
      });
    });
    await session.send("ServiceWorker.enable");
    await session.send("ServiceWorker.stopAllWorkers");
    await gone;
    await session.detach();
  }

  async close() {
    await this.context.close();
  }
}

/** The popup, which is also a page from which the background can be asked. */
export class Popup {
  constructor(page) {
    this.page = page;
  }

  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** Says yes, and signs in at `base` as `account`, as a user would. */
  async setUp(base, { email, password }) {
    await this.part("consent-yes").click();
    await this.part("email").fill(email);
    await this.part("password").fill(password);
    await this.part("server-address").fill(base);
    await this.part("sign-in").click();
    await this.part("account-name").getByText(email).waitFor();
  }

  /** Sends the background a message. Returns its answer; one that tells of a failure is thrown. */
  async ask(message) {
    const reply = await this.page.evaluate((request) => chrome.runtime.sendMessage(request), message);
    if (reply?.error) throw new Error(`${message.type}: ${reply.error.code}: ${reply.error.message}`);
    return reply;
  }

  /** Sends the background a message, and doesn't wait for what comes of it. */
  async tell(message) {
    await this.page.evaluate((request) => void chrome.runtime.sendMessage(request).catch(() => {}), message);
  }

  /**
   * Waits for the first status that fulfils `condition`: the present one, or one that the background tells of later.
   *
   * @param {(status: any) => boolean} condition runs in the page: it sees nothing but the status
   */
  until(condition) {
    return this.page.evaluate(`new Promise((resolve, reject) => {
      const look = (status) => { if (status && (${condition})(status)) resolve(status); };
      chrome.storage.session.onChanged.addListener(({ snapshot }) => look(snapshot?.newValue));
      chrome.runtime.sendMessage({ type: "status" }).then(look, reject);
    })`);
  }

  /** When one of the extension's alarms is due, in milliseconds since the epoch; null if it isn't set. */
  alarmAt(name) {
    return this.page.evaluate(async (of) => (await chrome.alarms.get(of))?.scheduledTime ?? null, name);
  }

  /** Lets the extension's own one-shot alarm fire at `atMs`, a moment in milliseconds since the epoch. */
  async fireAlarm(atMs = Date.now()) {
    await this.page.evaluate((when) => chrome.alarms.create("sync-retry", { when }), atMs);
  }
}
