// @ts-check
import { browser } from "../browser.js";
import { serverAddress } from "../settings.js";
import { follow } from "../snapshot.js";
import { ago, ahead, number, translatePage, translated, t } from "./text.js";
import { brokenView, viewOf } from "./view.js";

/** @typedef {import("./view.js").View} View */

/** How often the moments ("2 minutes ago") are told anew while the popup is open, in milliseconds. */
const RETELL_MS = 5_000;

/** @param {string} testId @returns {HTMLElement} */
const part = (testId) => /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${testId}"]`));
const form = /** @type {HTMLFormElement} */ (part("sign-in-form"));
const input = /** @type {Record<"email" | "password" | "server", HTMLInputElement>} */ (
  /** @type {unknown} */ (form.elements)
);
const syncNow = /** @type {HTMLButtonElement} */ (part("sync-now"));
const progress = /** @type {HTMLProgressElement} */ (part("progress"));

/** @type {View | undefined} */
let shown;

/** @param {View} view */
function show(view) {
  shown = view;
  document.body.dataset.scene = view.scene;
  document.body.style.setProperty("--voyage", String(view.voyage));
  tell("state", t(view.headline));
  tell("state-detail", t(view.detail));

  progress.hidden = !view.progress;
  if (view.progress) {
    progress.max = view.progress.total;
    progress.value = view.progress.done;
  }

  part("problem").hidden = !view.problem;
  if (view.problem) {
    const { code, message } = view.problem;
    tell("problem-what", translated(`problem_${code}`) ?? message);
    tell("problem-help", translated(`help_${code}`) ?? t({ key: "help_unexpected" }));
  }

  part("consent").hidden = !view.asksConsent;
  if (form.hidden && view.asksSignIn && !input.server.value) input.server.value = view.serverUrl;
  form.hidden = !view.asksSignIn;
  document.body.classList.toggle("asks-sign-in", view.asksSignIn);
  part("times").hidden = view.asksSignIn;
  syncNow.hidden = view.asksSignIn;

  part("figures").hidden = !view.figures;
  if (view.figures) {
    const { pending, acknowledged, quarantined } = view.figures;
    tellCount("pending", pending);
    tellCount("acknowledged", acknowledged);
    part("quarantined").hidden = quarantined.total === 0;
    tell("quarantined-count", number(quarantined.total));
  }
  tellMoments(view);

  syncNow.disabled = !view.canSync;
  syncNow.textContent = t({ key: view.scene === "syncing" ? "syncing" : "syncNow" });
  part("pause").hidden = !view.figures;
  tell("pause", t({ key: view.paused ? "resume" : "pause" }));

  part("account").hidden = view.email === null;
  tell("account-name", view.email ? t({ key: "signedInAs", values: [view.email] }) : "");
  tell("account-server", view.serverUrl);
}

/** @param {View} view */
function tellMoments({ lastSuccessAt, nextAttemptAt }) {
  tell("last-success", lastSuccessAt === null ? t({ key: "never" }) : ago(lastSuccessAt));
  if (typeof nextAttemptAt === "number") tell("next-attempt", ahead(nextAttemptAt));
  else tell("next-attempt", nextAttemptAt ? t(nextAttemptAt) : "–");
}

/** @param {"pending" | "acknowledged"} which @param {import("./view.js").Count} count */
function tellCount(which, { total, pageVisits, tabAggregates }) {
  tell(`${which}-count`, number(total));
  tell(`${which}-kinds`, t({ key: "perKind", values: [pageVisits, tabAggregates] }));
}

/** Leaves a text that hasn't changed alone, so that screen readers stay quiet. @param {string} testId @param {string} text */
function tell(testId, text) {
  const element = part(testId);
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {import("../messages.js").Request} request
 * @returns {Promise<{ code: string, message: string } | null>} what went wrong, if anything
 */
async function ask(request) {
  try {
    const reply = await browser.runtime.sendMessage(request);
    if (reply?.error) return reply.error;
    if (reply?.settings) show(viewOf(reply));
    return null;
  } catch (error) {
    return { code: "unexpected", message: String(error) };
  }
}

/** @param {import("../messages.js").Request} request */
async function command(request) {
  const problem = await ask(request);
  if (problem) show(brokenView(problem));
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (part("sign-in"));
  button.disabled = true;
  tell("sign-in", t({ key: "signingIn" }));
  const problem = await trySignIn();
  button.disabled = false;
  tell("sign-in", t({ key: "signIn" }));
  part("sign-in-error").hidden = !problem;
  if (problem) {
    tell("sign-in-error", translated(`problem_${problem.code}`) ?? problem.message);
    return;
  }
  form.reset();
}

async function trySignIn() {
  let serverUrl;
  try {
    serverUrl = serverAddress(input.server.value);
  } catch (error) {
    return /** @type {import("../settings.js").SettingsError} */ (error);
  }
  // Nothing may be awaited before this: a browser grants it only while it handles the user's click.
  const origins = [`${new URL(serverUrl).protocol}//${new URL(serverUrl).hostname}/*`];
  const granted = await browser.permissions.request({ origins }).catch(() => false);
  if (!granted) return { code: "not_granted", message: "" };
  const email = input.email.value;
  const refused =
    serverUrl === shown?.serverUrl ? null : await ask({ type: "setSettings", settings: { serverUrl } });
  return refused ?? ask({ type: "signIn", email, password: input.password.value });
}

translatePage(document);
part("consent-yes").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { consent: true } });
});
part("consent-no").addEventListener("click", () => window.close());
part("pause").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { paused: !shown?.paused } });
});
part("sign-out").addEventListener("click", () => void command({ type: "signOut" }));
syncNow.addEventListener("click", () => void command({ type: "syncNow" }));
form.addEventListener("submit", (event) => void signIn(event));

void follow((snapshot) => show(viewOf(snapshot)));
void command({ type: "status" });
setInterval(() => shown && tellMoments(shown), RETELL_MS);
