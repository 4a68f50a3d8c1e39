// The figures as Markdown.

const NAMES = {
  core: "the core",
  sequential: "JS, sequential",
  pipelined: "JS, pipelined",
  dexie: "Dexie",
  idb: "idb, cursors",
  firstGeneration: "first generation",
  requests1: "requests alone, 1 in flight",
  requests3: "requests alone, 3 in flight",
};

function digits(number) {
  if (Number.isInteger(number) || number >= 100) return Math.round(number).toLocaleString("en");
  return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

const bar = ({ sign }, value) => (value === undefined ? "" : `${sign} ${value}`);

function verdict({ wanted, median }) {
  if (wanted.must === undefined) return "";
  if (!wanted.holds(median, wanted.must)) return "**not met**";
  return wanted.aim === undefined || wanted.holds(median, wanted.aim) ? "met" : "must met";
}

/** One line a figure: medians, in brackets the lowest and the highest. */
export function table(lines) {
  const head = ["measure", "must", "aim", "measured", ""];
  const body = lines.map((line) => {
    const { measure, unit, wanted, median, lowest, highest } = line;
    const range = lowest === highest ? "" : ` (${digits(lowest)}–${digits(highest)})`;
    const of = unit.startsWith("x") ? unit.slice(1) : ` ${unit}`;
    const measured = `${digits(median)}${unit.startsWith("x") ? "x" : ""}${of}${range}`;
    return [measure, bar(wanted, wanted.must), bar(wanted, wanted.aim), measured, verdict(line)];
  });
  return markdown(head, body);
}

/** What each contender took, in ms. */
export function contestTable(contests) {
  const used = Object.keys(NAMES).filter((name) => contests.some(({ contenders }) => contenders[name]));
  const head = ["ms, median (lowest–highest)", ...used.map((name) => NAMES[name])];
  const cell = (figures) =>
    figures ? `${digits(figures.median)} (${digits(figures.lowest)}–${digits(figures.highest)})` : "";
  return markdown(
    head,
    contests.map(({ name, contenders }) => [name, ...used.map((contender) => cell(contenders[contender]))]),
  );
}

function markdown(head, body) {
  const widths = head.map((title, column) =>
    Math.max(title.length, 3, ...body.map((row) => row[column].length)),
  );
  const row = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  return [row(head), row(widths.map((width) => "-".repeat(width))), ...body.map(row)].join("\n");
}
