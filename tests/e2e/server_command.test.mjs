// `npm run server`, as a person or a service manager runs and stops it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

/** Runs it, stops it once it answers, and waits for its end. Resolves with its exit code. */
async function runAndStop(program, args, signal) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-server-command-"));
  const flags = ["--listen", "127.0.0.1:0", "--database", `sqlite://${path.join(folder, "heyho.db")}`];
  const command = spawn(program, [...args, ...flags], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(command, "exit");
  // Its output ends with the last process that has it: the backend, were it left behind.
  const silent = once(command, "close");
  try {
    let origin;
    for await (const line of createInterface(command.stdout)) {
      if (!line.startsWith("listening on ")) continue;
      origin = line.replace("listening on ", "");
      break;
    }
    assert.equal((await fetch(new URL("/api/v1/health", origin))).status, 200);
    command.kill(signal);
    const [code] = await ended;
    await assert.rejects(fetch(new URL("/api/v1/health", origin)), "the backend is left behind");
    await silent;
    return code;
  } finally {
    killGroup(command.pid);
    rmSync(folder, { recursive: true, force: true });
  }
}

// All that it has begun, where the test found some of it left.
function killGroup(id) {
  try {
    process.kill(-id, "SIGKILL");
  } catch (error) {
    assert.equal(error.code, "ESRCH");
  }
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  test(`the server's command that gets a ${signal} stops its backend, and says that it ended well`, async () => {
    assert.equal(await runAndStop(process.execPath, ["scripts/server.mjs"], signal), 0);
  });
}

test("npm that is asked to end the server's command ends the backend", async () => {
  await runAndStop("npm", ["run", "server", "--"], "SIGTERM");
});
