// The account of a run: what the extension says, held against what the database holds.

const PLACES = ["acknowledged", "pending", "parked", "quarantined", "archived", "discarded", "unrecoverable"];
const KINDS = { pageVisits: "page visits", tabAggregates: "tab aggregates" };

/** `status` of the extension and `rows` of the database; `faults` is empty if they agree and nothing is left. */
export function booksOf(status, rows) {
  const faults = [];
  for (const [kind, name] of Object.entries(KINDS)) {
    const sum = PLACES.reduce((total, place) => total + status[place][kind], 0);
    if (sum !== status.captured[kind])
      faults.push(`${name}: captured ${status.captured[kind]}, accounted for ${sum}`);
    if (status.pending[kind]) faults.push(`${name}: ${status.pending[kind]} not delivered`);
    if (new Set(rows[kind].map((row) => row.id)).size !== rows[kind].length)
      faults.push(`${name}: an id twice`);
    // The books count revisions, the database keeps the highest of each record.
    const revisions = rows[kind].reduce((total, row) => total + row.revision, 0);
    if (revisions !== status.acknowledged[kind]) {
      faults.push(`${name}: acknowledged ${status.acknowledged[kind]}, in the database ${revisions}`);
    }
  }
  if (!rows.pageVisits.length) faults.push("nothing has arrived");
  return { status, rows, faults };
}

export function printRows({ pageVisits, tabAggregates }) {
  const stays = new Map(tabAggregates.map((row) => [row.page_visit_id, row]));
  const lines = [...pageVisits]
    .sort((a, b) => a.visited_at.localeCompare(b.visited_at))
    .map((row) => [
      row.visited_at.slice(11, 19),
      row.title ?? "",
      new URL(row.url).pathname,
      seconds(row.duration_seconds),
      seconds(stays.get(row.id)?.total_time_seconds),
    ]);
  console.log("\nThe database holds:\n");
  printTable(["visited at", "title", "page", "visit", "aggregate"], lines);
}

export function printBooks({ status, rows }) {
  const kinds = Object.keys(KINDS);
  const lines = ["captured", ...PLACES].map((place) => [
    place,
    ...kinds.map((kind) => String(status[place][kind])),
  ]);
  lines.push(["rows in the database", ...kinds.map((kind) => String(rows[kind].length))]);
  console.log("\nThe books:\n");
  printTable(["", ...Object.values(KINDS)], lines);
}

const seconds = (value) => (value === undefined || value === null ? "–" : `${value} s`);

function printTable(head, lines) {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column].length)),
  );
  const print = (cells) =>
    console.log(`  ${cells.map((cell, column) => cell.padEnd(widths[column])).join("   ")}`);
  print(head);
  print(widths.map((width) => "─".repeat(width)));
  lines.forEach(print);
}
