// What the server takes in, beside its database's own bulk load: on SQLite, and on a throw-away PostgreSQL.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { root } from "../setup.mjs";
import { startPostgres } from "./postgres.mjs";

const PROGRAM = ["run", "--quiet", "--profile", "native", "-p", "heyho-server", "--example", "ingest", "--"];

function measure(database) {
  const args = [...PROGRAM, "--json", "--database", database];
  return JSON.parse(execFileSync("cargo", args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] }));
}

/** Measures both databases, one after the other. Resolves with a report each. */
export async function ingest() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "heyho-ingest-"));
  const postgres = await startPostgres({ durable: true });
  try {
    return [measure(`sqlite://${path.join(folder, "ingest.db")}`), measure(postgres.url)];
  } finally {
    postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The reports as Markdown. */
export function ingestTable(reports) {
  const number = (value, digits = 0) =>
    value?.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) ?? "?";
  const lines = reports.flatMap(({ database, measured }) =>
    measured.flatMap(
      ({ rows_before: rows, bulk, one_sender: one, many_senders: many, share_of_bulk: share }) => {
        const line = (what, { records_per_second: speed, p50_ms, p99_ms, cpu_us_per_record: cpu }) => [
          database,
          number(rows),
          what,
          number(speed),
          number(p50_ms, 1),
          number(p99_ms, 1),
          number(cpu, 1),
        ];
        return [
          line("bulk load", bulk),
          line("one sender", one),
          line(`many senders (${number(share * 100)} % of the bulk load)`, many),
        ];
      },
    ),
  );
  const head = ["database", "rows before", "", "records/s", "p50 ms", "p99 ms", "CPU µs a record"];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
