// The extension's own pages without the extension: told by a made-up background what there is to show.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { root } from "../../scripts/setup.mjs";
import { PAGES } from "./states.mjs";

const extension = path.join(root, "extension");
const CONTENT_TYPES = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".png": "image/png",
};

/**
 * Opens a page in a state of `states.mjs`, in a context of its own.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {{ page: string, replies: object, act?: (page: object) => Promise<void>, language?: string }} state
 * @param {import("playwright-core").BrowserContextOptions} options
 */
export async function openTold(browser, { page: name, replies, act, language = "en" }, options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  await context.route("http://extension.test/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    const type = path.extname(pathname);
    const body = await readFile(path.join(extension, pathname));
    // What the build would bundle is loaded piece by piece here.
    const text = () => body.toString().replace(/(src="\w+\.js") defer/, '$1 type="module"');
    await route.fulfill({ body: type === ".html" ? text() : body, contentType: CONTENT_TYPES[type] });
  });
  const texts = path.join(extension, "_locales", language, "messages.json");
  const messages = JSON.parse(await readFile(texts, "utf8"));
  const page = await context.newPage();
  await page.addInitScript(pretendToBeTheBrowser, { replies, messages, language });
  await page.goto(`http://extension.test/${PAGES[name].path}`);
  await page.locator(PAGES[name].ready).waitFor();
  await act?.(page);
  return page;
}

/** Runs in the page: as much of the extension API as the pages ask for. */
function pretendToBeTheBrowser({ replies, messages, language }) {
  const text = (key, values = []) => {
    const { message, placeholders = {} } = messages[key] ?? { message: "" };
    return message.replace(/\$(\w+)\$/g, (_, name) => {
      const place = Number(placeholders[name.toLowerCase()].content.slice(1));
      return values[place - 1];
    });
  };
  const event = { addListener() {} };
  const listeners = [];
  /** What the page has asked the background for. */
  globalThis.asked = [];
  /** The background tells of a change. */
  globalThis.tellStatus = (status) => {
    for (const listener of listeners) listener({ snapshot: { newValue: status } });
  };
  const answer = async (message) => {
    globalThis.asked.push(message);
    return replies[message.type];
  };
  globalThis.chrome = {
    runtime: { id: "pictures", sendMessage: answer },
    i18n: { getUILanguage: () => language, getMessage: text },
    storage: {
      session: { get: async () => ({}), onChanged: { addListener: (each) => listeners.push(each) } },
    },
    permissions: {
      contains: async () => false,
      getAll: async () => ({}),
      onAdded: event,
      onRemoved: event,
    },
  };
}
