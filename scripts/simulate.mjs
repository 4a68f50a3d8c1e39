// The fault simulation: `npm run simulate -- --seeds N [--seed S] [--corpus]` natively, with `--browser chrome` or
// `--browser firefox` over that browser's own database.
import { spawnSync } from "node:child_process";
import { giveUp, programs, root, setUpTests } from "./setup.mjs";

const NATIVE = ["run", "--quiet", "--profile", "simulation", "-p", "heyho-simulation", "--bin", "simulate"];
const BROWSERS = {
  chrome: ["--chrome", "--chromedriver", () => programs.chromedriver()],
  firefox: ["--firefox", "--geckodriver", () => programs.geckodriver()],
};
// A seed takes a second or two, and more on a busy machine.
const SECONDS_A_SEED = 20;
// Where a worker dies, each of its requests that ends afterwards keeps 112 bytes of the module's stack. One page ran out of
// it after nearly 500 seeds, in the tests' module, which is not optimised.
const SEEDS_IN_A_PAGE = 250;

function run(program, args, environment = {}) {
  const env = { ...process.env, ...environment };
  process.exitCode ||= spawnSync(program, args, { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

/** @param {string} browser @param {number} seeds @param {number} first */
function inBrowser(browser, seeds, first) {
  if (!Object.hasOwn(BROWSERS, browser)) giveUp(`--browser takes ${Object.keys(BROWSERS).join(" or ")}.`);
  const [flag, driverFlag, driver] = BROWSERS[browser];
  setUpTests();
  const tests = ["-p", "heyho-sync", "--test", "simulation_indexed_db", "--", "--nocapture"];
  const args = ["test", "--headless", flag, driverFlag, driver(), "--mode", "no-install", "--", ...tests];
  for (let begun = 0; begun < seeds; begun += SEEDS_IN_A_PAGE) {
    const here = Math.min(SEEDS_IN_A_PAGE, seeds - begun);
    run("wasm-pack", args, {
      HEYHO_SEEDS: String(here),
      HEYHO_FIRST_SEED: String(first + begun),
      WASM_BINDGEN_TEST_TIMEOUT: String(180 + SECONDS_A_SEED * here),
      WASM_BINDGEN_TEST_DRIVER_TIMEOUT: "60",
    });
  }
}

const words = process.argv.slice(2);
const wordAfter = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const browser = wordAfter("--browser");
if (browser === undefined) run("cargo", [...NATIVE, "--", ...words]);
else inBrowser(browser, Number(wordAfter("--seeds") ?? 1), Number(wordAfter("--seed") ?? 1));
