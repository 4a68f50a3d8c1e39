// @ts-check

/**
 * What a page of the extension may ask of the background (`runtime.sendMessage`). Commands without an answer of their
 * own are answered with the new snapshot, a failure with {@link Failure}. `export` with `after` gives one piece, null for
 * the first; without it all of them, which may be too much for one message. What is none of these is answered with
 * {@link NO_REQUEST}.
 *
 * @typedef {{ type: "status" }
 *   | { type: "syncNow" }
 *   | { type: "signIn", email: string, password: string }
 *   | { type: "signOut" }
 *   | { type: "setSettings", settings: import("./settings.js").Change }
 *   | { type: "quarantine.list" | "archive.list" }
 *   | { type: "export", after?: string | null }
 *   | { type: "quarantine.retry" | "archive.restore", ids?: string[] }
 *   | { type: "quarantine.discard", ids: string[] }
 *   | { type: "whereIs", text: string }
 *   | { type: "import", records: string }
 *   | { type: "forgetSite", site: string }
 *   | { type: "eraseAll" | "claimRecords" | "discardUnclaimed" | "reconcile" | "sendMissing" }
 *   | { type: "takeRecords", server: string }} Request
 * @typedef {{ error: { name: string, code: string, message: string } }} Failure
 */

/** @param {unknown} value */
const isText = (value) => typeof value === "string";
/** @param {unknown} value */
const isIds = (value) => Array.isArray(value) && value.every(isText);
/** @param {unknown} value */
const isIdsOrAll = (value) => value === undefined || isIds(value);
/** @param {unknown} value */
const isPlace = (value) => value === undefined || value === null || isText(value);
/** @param {unknown} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @type {{ [Type in Request["type"]]: Record<string, (value: unknown) => boolean> }} */
const FIELDS = {
  status: {},
  syncNow: {},
  signIn: { email: isText, password: isText },
  signOut: {},
  setSettings: { settings: isObject },
  "quarantine.list": {},
  "quarantine.retry": { ids: isIdsOrAll },
  "quarantine.discard": { ids: isIds },
  "archive.list": {},
  "archive.restore": { ids: isIdsOrAll },
  export: { after: isPlace },
  whereIs: { text: isText },
  import: { records: isText },
  forgetSite: { site: isText },
  eraseAll: {},
  claimRecords: {},
  discardUnclaimed: {},
  reconcile: {},
  sendMissing: {},
  takeRecords: { server: isText },
};

/** @param {unknown} value @returns {value is Request} */
export function isRequest(value) {
  if (!isObject(value)) return false;
  const message = /** @type {Record<string, unknown>} */ (value);
  const { type } = message;
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) return false;
  const fields = FIELDS[/** @type {Request["type"]} */ (type)];
  return Object.entries(fields).every(([name, isRight]) => isRight(message[name]));
}

/** The answer to a message of the extension's own pages that is no {@link Request}. @type {Failure} */
export const NO_REQUEST = {
  error: { name: "ArgumentError", code: "invalid_argument", message: "This is no request." },
};

/** @param {unknown} reason whatever was thrown @returns {Failure} in a form that survives the way to a page */
export function failure(reason) {
  const { name = "Error", code = "unexpected", message = String(reason) } = /** @type {any} */ (reason ?? {});
  return { error: { name, code, message } };
}
