// @ts-check
import { browser } from "../browser.js";
import { t, translated } from "./text.js";

/** @typedef {{ code: string, message: string, name?: string }} Problem */

/** The part of the page with this `data-testid`. @param {string} testId @returns {HTMLElement} */
export const part = (testId) =>
  /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${testId}"]`));
/** @param {string} testId */
export const button = (testId) => /** @type {HTMLButtonElement} */ (part(testId));
/** @param {string} testId */
export const field = (testId) => /** @type {HTMLInputElement} */ (part(testId));

/** Leaves a text that hasn't changed alone, so that screen readers stay quiet. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes an element with a text.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} [text] @param {string} [className]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/**
 * Asks the background.
 *
 * @param {import("../messages.js").Request} request
 * @returns {Promise<{ reply: any, problem: Problem | null }>}
 */
export async function ask(request) {
  try {
    const reply = await browser.runtime.sendMessage(request);
    return reply?.error ? { reply: null, problem: reply.error } : { reply, problem: null };
  } catch (error) {
    return { reply: null, problem: { code: "unexpected", message: String(error) } };
  }
}

/** The text about a problem; a database fails in more ways than need words of their own. @param {"problem" | "help"} about @param {Problem} problem */
const words = (about, { code, name }) =>
  translated(`${about}_${code}`) ?? (name === "StorageError" ? t({ key: `${about}_storage` }) : null);
/** @param {Problem} problem */
export const whatIsWrong = (problem) =>
  words("problem", problem) || problem.message || t({ key: "problem_unexpected" });
/** @param {Problem} problem */
export const whatHelps = (problem) => words("help", problem) ?? t({ key: "help_unexpected" });

/** Lets the user keep `pieces` as a file. @param {BlobPart[]} pieces @param {string} name */
export function save(pieces, name) {
  const url = URL.createObjectURL(new Blob(pieces, { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Acts on the second click, and asks on the first; whoever looks elsewhere has not meant it.
 *
 * @param {HTMLButtonElement} control @param {() => void} act
 * @param {() => string} [question]
 */
export function askTwice(control, act, question = () => t({ key: "really" })) {
  const text = control.textContent ?? "";
  /** @type {string | null} */
  let label = null;
  let asked = false;
  /** @param {boolean} asks */
  const turn = (asks) => {
    if (asks === asked) return;
    asked = asks;
    const words = asks ? question() : text;
    control.textContent = words;
    // Where a screen reader is told something else than the text, it is to hear the question too.
    if (asks) label = control.getAttribute("aria-label");
    if (label) control.setAttribute("aria-label", asks ? `${words} ${label}` : label);
  };
  control.addEventListener("click", () => {
    if (asked) act();
    turn(!asked);
  });
  control.addEventListener("blur", () => turn(false));
}
