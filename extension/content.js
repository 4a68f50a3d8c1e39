// @ts-check
// Runs in pages which the user let the extension read. It measures how far down the page was seen, and nothing else.

/** The API, under whichever name this browser gives it. */
const { runtime } = /** @type {typeof chrome} */ (Reflect.get(globalThis, "browser") ?? chrome);

/** Percentage points that are worth a message before the page is left. */
const STEP = 10;
/** Milliseconds between two messages while the page is read. */
const PAUSE_MS = 2_000;

let url = location.href;
let deepest = 0;
let told = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;

function measure() {
  // A page may show another address without being loaded anew.
  if (location.href !== url) {
    tell();
    url = location.href;
    deepest = told = 0;
  }
  const { scrollTop, scrollHeight, clientHeight } = document.scrollingElement ?? document.documentElement;
  if (scrollHeight > 0)
    deepest = Math.max(deepest, Math.min(100, (100 * (scrollTop + clientHeight)) / scrollHeight));
  if (!pause && deepest - told >= STEP) {
    tell();
    pause = setTimeout(() => {
      pause = undefined;
      measure();
    }, PAUSE_MS);
  }
}

function tell() {
  if (deepest <= told) return;
  told = deepest;
  // The extension may have been updated or removed since: this script is left behind then, and nobody listens.
  if (runtime?.id) runtime.sendMessage({ type: "scrolled", url, depthPercent: deepest }).catch(() => {});
}

function leave() {
  measure();
  tell();
}

addEventListener("scroll", measure, { passive: true });
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", leave);
measure();
