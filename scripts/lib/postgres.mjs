// A throw-away PostgreSQL for tests: its own folder, a free loopback port, nothing left behind.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { programs } from "../setup.mjs";

// PostgreSQL refuses to run as root; Debian's package brings a user of its own, every system has nobody.
function ordinaryUser() {
  if (process.getuid?.() !== 0) return null;
  for (const name of ["postgres", "nobody"]) {
    const ids = ["-u", "-g"].map((flag) => Number(run("id", [flag, name]).stdout));
    if (ids.every((id) => id > 0)) return { name, uid: ids[0], gid: ids[1] };
  }
  throw new Error("PostgreSQL doesn't run as root, and there is no user postgres or nobody to run it as");
}

// The server inherits what its starter writes to; only a file ends with the starter.
function run(program, args, options = {}) {
  return spawnSync(program, args, { encoding: "utf8", ...options });
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Starts one. Returns its `url`, for an account that may create databases, and `stop`, which removes everything.
 * With `durable`, a commit waits for the disk, as it does where somebody needs the rows.
 */
export async function startPostgres({ durable = false } = {}) {
  const bin = programs.postgres();
  const user = ordinaryUser();
  const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-postgres-"));
  if (user) chownSync(folder, user.uid, user.gid);
  const data = path.join(folder, "data");
  const log = path.join(folder, "log");
  const port = await freePort();

  const postgres = (program, args, stdio) => {
    const command = [path.join(bin, program), ...args];
    const whole = user ? ["runuser", "-u", user.name, "--", ...command] : command;
    const result = run(whole[0], whole.slice(1), { cwd: folder, stdio });
    if (result.status !== 0) {
      const words = result.stderr || result.error?.message || run("tail", ["-n", "20", log]).stdout;
      throw new Error(`PostgreSQL's ${program} failed: ${words}`);
    }
  };
  const stop = () => {
    run(
      user ? "runuser" : path.join(bin, "pg_ctl"),
      [
        ...(user ? ["-u", user.name, "--", path.join(bin, "pg_ctl")] : []),
        "-D",
        data,
        "-m",
        "immediate",
        "stop",
      ],
      { cwd: folder },
    );
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", stop);

  postgres("initdb", ["-D", data, "-U", "heyho", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
  // Nobody needs a test's rows after a power cut.
  const fsync = durable ? "on" : "off";
  const settings = `-p ${port} -h 127.0.0.1 -k ${folder} -c fsync=${fsync} -c max_connections=300`;
  postgres("pg_ctl", ["-D", data, "-l", log, "-o", settings, "-w", "start"], "ignore");
  return {
    url: `postgres://heyho@127.0.0.1:${port}/postgres`,
    stop() {
      process.off("exit", stop);
      stop();
    },
  };
}
