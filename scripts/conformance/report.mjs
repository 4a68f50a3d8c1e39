// What was found, as data and as text.

const HEADINGS = {
  must: "Needed",
  should: "Better with it",
  may: "Used where it is there",
};

/** What the core does where the ability is there. */
const ABILITIES = {
  gzip: { told: ({ compression }) => compression?.includes("gzip"), name: "compressed bodies" },
  "any-order": { told: (told) => told.references_in_any_order === true, name: "references in any order" },
  preflight: { told: ({ preflight }) => preflight?.max_ids > 0, name: "preflight" },
};

/** Runs every check, one after the other: later ones stand on the login of an early one. */
export async function examine(server, checks) {
  const results = [];
  for (const { id, need, sentence, run } of checks) {
    const { holds, found } = await run(server).catch((error) => ({
      holds: false,
      found: error.cause?.code ?? error.message,
    }));
    results.push({ id, need, sentence, holds, found });
  }
  const holds = (id) => results.some((result) => result.id === id && result.holds);
  const told = server.told ?? {};
  const abilities = Object.entries(ABILITIES).map(([id, ability]) => ({
    name: ability.name,
    found: holds(id),
    told: Boolean(ability.told(told)),
  }));
  return {
    url: server.base,
    works: results.every(({ need, holds }) => need !== "must" || holds),
    checks: results,
    abilities,
  };
}

/** The report for people. */
export function text({ url, works, checks, abilities }) {
  const lines = [`Conformance of ${url}`];
  for (const [need, heading] of Object.entries(HEADINGS)) {
    lines.push("", heading);
    for (const check of checks.filter((each) => each.need === need)) {
      const mark = check.holds ? "yes" : need === "must" ? "NO " : "no ";
      lines.push(`  ${mark}  ${check.id.padEnd(16)}${check.sentence}`, `${" ".repeat(23)}${check.found}`);
    }
  }
  const named = (wanted) =>
    abilities
      .filter(wanted)
      .map(({ name }) => name)
      .join(", ") || "none";
  lines.push(
    "",
    works ? "The core can work with this server." : "The core can't work with this server.",
    `Abilities that it will use: ${named(({ found, told }) => found && told)}.`,
  );
  const untold = named(({ found, told }) => found && !told);
  if (untold !== "none") lines.push(`There, but not told by GET /data/sync/capabilities: ${untold}.`);
  const broken = named(({ found, told }) => !found && told);
  if (broken !== "none") lines.push(`Told by GET /data/sync/capabilities, but not there: ${broken}.`);
  return lines.join("\n");
}
