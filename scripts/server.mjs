// Runs the backend; flags after "--" go to it (npm run server -- --help).
import { spawn } from "node:child_process";
import { buildBackend } from "./lib/backend.mjs";

const backend = spawn(buildBackend(), process.argv.slice(2), { stdio: "inherit" });
// Whoever stops this command means the backend, which finishes what is in flight first.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => backend.kill("SIGTERM"));
backend.on("exit", (code) => (process.exitCode = code ?? 1));
