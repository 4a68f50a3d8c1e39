// Runs the backend; flags after "--" go to it (npm run server -- --help).
import { spawnSync } from "node:child_process";
import { buildBackend } from "./lib/backend.mjs";

const { status } = spawnSync(buildBackend(), process.argv.slice(2), { stdio: "inherit" });
process.exitCode = status ?? 1;
