// @ts-check
import { browser } from "./browser.js";

/**
 * What the user has chosen; `storage.local` key `settings`.
 *
 * @typedef {object} Settings
 * @property {string} serverUrl base address of the server; "/data/sync" is appended to it
 * @property {boolean} consent whether the user said yes to recording; nothing is recorded before
 * @property {number | null} answeredAt when they last said yes or no, in milliseconds since the epoch
 * @property {boolean} paused
 * @property {string[]} excludedSites
 * @property {number} intervalMinutes how often a sync is tried
 * @property {number} archiveAfterDays age at which an undelivered record is set aside
 */

const KEY = "settings";

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({
  serverUrl: "http://127.0.0.1:3001/api/v1",
  consent: false,
  answeredAt: null,
  paused: false,
  excludedSites: [],
  intervalMinutes: 5,
  archiveAfterDays: 90,
});

/** A setting that can't be taken; `code` names what is wrong with it. */
export class SettingsError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "SettingsError";
    this.code = code;
  }
}

/** @returns {Promise<Settings>} */
export async function readSettings() {
  const stored = (await browser.storage.local.get(KEY))[KEY];
  return { ...DEFAULTS, .../** @type {Partial<Settings>} */ (stored ?? {}) };
}

/** @type {Promise<unknown>} */
let lastWrite = Promise.resolve();

/** What a page may change. @typedef {Partial<Omit<Settings, "answeredAt">>} Change */

/** Whether it is a "no" or a pause, which hold whatever else fails. @param {Change} change */
export const narrows = ({ consent = false, paused = true, ...others }) =>
  !consent && paused && Object.keys(others).length === 0;

/**
 * Takes over the fields of `change` and keeps the others.
 *
 * @param {Change} change
 * @param {(settings: Settings, before: Settings) => Promise<void>} apply puts them into effect before they are kept
 * @returns {Promise<Settings>} all settings as they are now
 * @throws {SettingsError} if a field is unknown or has no usable value; then, and where `apply` fails, nothing is
 *   changed; only what {@link narrows} is kept before `apply` and stays
 */
export function writeSettings(change, apply) {
  return betweenWrites(async () => {
    const before = await readSettings();
    const settings = { ...before, ...checked(change) };
    if (change.consent !== undefined) settings.answeredAt = Date.now();
    const keep = () => browser.storage.local.set({ [KEY]: settings });
    for (const step of narrows(change) ? [keep, apply] : [apply, keep]) await step(settings, before);
    return settings;
  });
}

/**
 * Does what the settings must not change under, after the writes that were asked for before it.
 *
 * @template T
 * @param {() => Promise<T>} work must not write settings
 */
export function betweenWrites(work) {
  const done = lastWrite.then(work);
  lastWrite = done.catch(() => {});
  return done;
}

/** @type {{ [Field in keyof Required<Change>]: (value: unknown) => Settings[Field] | undefined }} */
const FIELDS = {
  serverUrl: (value) => (typeof value === "string" ? serverAddress(value) : undefined),
  consent: (value) => (typeof value === "boolean" ? value : undefined),
  paused: (value) => (typeof value === "boolean" ? value : undefined),
  excludedSites: (value) =>
    Array.isArray(value) && value.every((site) => typeof site === "string") ? value : undefined,
  intervalMinutes: (value) => (typeof value === "number" && value >= 1 && value <= 1440 ? value : undefined),
  archiveAfterDays: (value) => (typeof value === "number" && value >= 1 ? value : undefined),
};

/** @param {Change} change @returns {Change} */
function checked(change) {
  return Object.fromEntries(
    Object.entries(change).map(([field, value]) => {
      const known = Object.hasOwn(FIELDS, field);
      const accepted = known ? FIELDS[/** @type {keyof Change} */ (field)](value) : undefined;
      if (accepted === undefined) {
        throw new SettingsError("invalid_setting", `The setting "${field}" can't take this value.`);
      }
      return [field, accepted];
    }),
  );
}

/**
 * A server's base address in the one form in which it is stored: no trailing slash, no query, no user name.
 *
 * @param {string} text as typed
 * @returns {string}
 * @throws {SettingsError} if it is no address, or would send the user's data in the clear
 */
export function serverAddress(text) {
  let url;
  try {
    url = new URL(text.trim());
  } catch {
    throw new SettingsError("invalid_server", "The server's address is not a web address.");
  }
  const loopback = ["127.0.0.1", "localhost"].includes(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback)) {
    throw new SettingsError("insecure_address", "The server's address must begin with https://.");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}
