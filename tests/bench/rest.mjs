// A day on which nobody browses: what the extension's alarms cost the processor, beside an extension that does nothing.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { launchChromium } from "../../scripts/lib/chromium.mjs";
import { root } from "../../scripts/setup.mjs";

const TICKS_PER_SECOND = 100;
const TIMES = 20;
// Until what an alarm has begun is over. The processor's time is counted, not this.
const QUIET_MS = 200;

const IDLE_EXTENSION = path.join(root, "tests", "bench", "idle_extension");

/** Seconds of processor time for a wake of a stopped worker by `alarm`, and for one of a running worker. */
async function wakes(extension, { sync, heartbeat }, setUp) {
  const profile = mkdtempSync(path.join(os.tmpdir(), "heyho-rest-"));
  const browser = await launchChromium({ profile, extension, asksForConsent: Boolean(setUp) });
  try {
    const page = await browser.context.newPage();
    await page.goto(`chrome-extension://${browser.extensionId}/manifest.json`);
    if (setUp) await page.evaluate((message) => chrome.runtime.sendMessage(message), setUp);
    const fire = (alarm) =>
      page.evaluate(
        ([name, quietMs]) =>
          new Promise((resolve) => {
            const heard = ({ name: fired }) => {
              if (fired !== name) return;
              chrome.alarms.onAlarm.removeListener(heard);
              setTimeout(resolve, quietMs);
            };
            chrome.alarms.onAlarm.addListener(heard);
            chrome.alarms.create(name, { when: Date.now() });
          }),
        [alarm, QUIET_MS],
      );
    const costs = async (work) => {
      await work();
      const before = secondsOf(profile);
      for (let time = 0; time < TIMES; time += 1) await work();
      return (secondsOf(profile) - before) / TIMES;
    };
    const running = await costs(() => fire(heartbeat));
    const cold = await costs(async () => {
      await browser.stopWorker();
      await fire(sync);
    });
    return { running, cold };
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

// Of the browser on this profile and all that it has started, also of those that have ended.
function secondsOf(profile) {
  const processes = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [parent, times] = [fields[1], fields.slice(11, 15).map(Number)];
      const isOurs = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(profile);
      processes.set(pid, { parent, isOurs, ticks: times.reduce((sum, ticks) => sum + ticks, 0) });
    } catch {
      // It has ended meanwhile.
    }
  }
  const belongs = (pid) => {
    const process = processes.get(pid);
    return process !== undefined && (process.isOurs || belongs(process.parent));
  };
  const ticks = [...processes].filter(([pid]) => belongs(pid)).map(([, process]) => process.ticks);
  return ticks.reduce((sum, count) => sum + count, 0) / TICKS_PER_SECOND;
}

/** How much processor time a wake costs beyond one of the idle extension, in seconds. */
export async function rest() {
  const alarms = { sync: "sync-retry", heartbeat: "heartbeat" };
  const consent = { type: "setSettings", settings: { consent: true } };
  const idle = await wakes(IDLE_EXTENSION, alarms);
  const ours = await wakes(path.join(root, "dist", "chrome"), alarms, consent);
  return { ours, idle };
}
