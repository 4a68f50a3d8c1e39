// @ts-check

const found = Reflect.get(globalThis, "browser") ?? Reflect.get(globalThis, "chrome");
if (!found?.runtime?.id) throw new Error("This script runs only inside the extension.");

/** The extension API, under whichever name this browser gives it. */
export const browser = /** @type {typeof chrome} */ (found);
