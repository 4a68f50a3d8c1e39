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

function run(program, args, environment = {}) {
  const env = { ...process.env, ...environment };
  process.exitCode = spawnSync(program, args, { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

function inBrowser(browser, seeds, first) {
  if (!Object.hasOwn(BROWSERS, browser)) giveUp(`--browser takes ${Object.keys(BROWSERS).join(" or ")}.`);
  const [flag, driverFlag, driver] = BROWSERS[browser];
  setUpTests();
  const tests = ["-p", "heyho-sync", "--test", "simulation_indexed_db", "--", "--nocapture"];
  run(
    "wasm-pack",
    ["test", "--headless", flag, driverFlag, driver(), "--mode", "no-install", "--", ...tests],
    {
      HEYHO_SEEDS: seeds,
      HEYHO_FIRST_SEED: first,
      WASM_BINDGEN_TEST_TIMEOUT: String(180 + SECONDS_A_SEED * Number(seeds)),
      WASM_BINDGEN_TEST_DRIVER_TIMEOUT: "60",
    },
  );
}

const words = process.argv.slice(2);
const wordAfter = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const browser = wordAfter("--browser");
if (browser === undefined) run("cargo", [...NATIVE, "--", ...words]);
else inBrowser(browser, wordAfter("--seeds") ?? "1", wordAfter("--seed") ?? "1");
