// What the browser tells the extension's background, put in its mouth: nobody fills a disk or waits for months.

/** Runs `act`, which sees the background's global object and `argument` alone, in the background. */
export async function inBackground(browser, act, argument) {
  const words = JSON.stringify(argument);
  if (browser.browser) await browser.browser.worker.evaluate(`(${act})(globalThis, ${words})`);
  else
    await browser.evaluate(
      `browser.runtime.getBackgroundPage().then((page) => { (${act})(page, ${words}); })`,
    );
}

/** Sets the clock of the background on, for as long as that lives. */
export const setClockOn = (browser, ms) =>
  inBackground(
    browser,
    ({ Date }, more) => {
      const { now } = Date;
      Date.now = () => now() + more;
    },
    ms,
  );
