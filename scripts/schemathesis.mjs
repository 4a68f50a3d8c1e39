// Has schemathesis, a Python program, make requests of the server's own document and judge the answers.
// Flags after "--" go to it (npm run schemathesis -- --max-examples 1000).
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Backend, buildBackend } from "./lib/backend.mjs";
import { findProgram, giveUp, root, tools } from "./setup.mjs";

const VERSION = "4.32.5";

/** The program, in a Python environment of its own that is made once. */
function schemathesis() {
  const folder = path.join(tools, `schemathesis-${VERSION}`);
  const program = path.join(folder, "bin", "schemathesis");
  if (findProgram(program)) return program;
  const python = findProgram("python3") ?? giveUp("Python 3.10 or newer is needed for schemathesis.");
  console.log(`set-up: installing schemathesis ${VERSION} (once a machine, a minute)`);
  mkdirSync(path.dirname(folder), { recursive: true });
  for (const [command, ...args] of [
    [python, "-m", "venv", folder],
    [path.join(folder, "bin", "pip"), "install", "--quiet", `schemathesis==${VERSION}`],
  ]) {
    if (spawnSync(command, args, { stdio: "inherit" }).status !== 0) {
      rmSync(folder, { recursive: true, force: true });
      giveUp('schemathesis could not be installed; it needs Python 3.10 or newer with "venv" and "pip".');
    }
  }
  return program;
}

const program = schemathesis();
const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-schemathesis-"));
// Each request comes from an address of its own, as the hooks make it up.
const flags = ["--requests-per-minute", "1000000", "--trust-forwarded-for"];
const backend = await Backend.start(buildBackend(), path.join(folder, "heyho.db"), flags);
try {
  const { email, password } = await backend.account("ada@example.com", "correct horse battery");
  const configuration = path.join(root, "server", "tests", "schemathesis");
  const { status } = spawnSync(
    program,
    [
      "--config-file",
      path.join(configuration, "schemathesis.toml"),
      "run",
      `${backend.origin}/openapi.json`,
      ...process.argv.slice(2),
    ],
    {
      cwd: folder,
      stdio: "inherit",
      env: {
        ...process.env,
        SCHEMATHESIS_HOOKS: path.join(configuration, "hooks.py"),
        HEYHO_BASE: backend.origin,
        HEYHO_EMAIL: email,
        HEYHO_PASSWORD: password,
      },
    },
  );
  process.exitCode = status ?? 1;
} finally {
  await backend.stop();
  rmSync(folder, { recursive: true, force: true });
}
