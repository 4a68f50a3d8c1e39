// Tells the author of any backend what the core needs of it, and what it found (npm run conformance -- --help).
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { checks } from "./conformance/checks.mjs";
import { examine, text } from "./conformance/report.mjs";
import { Server } from "./conformance/server.mjs";

const USAGE = `npm run conformance -- --url URL --email E --password P [--json FILE]

  URL is the base of the API, as in http://127.0.0.1:3001/api/v1; the account must exist.
  The checks leave some 400 records of made-up sites in it, unless the server can erase them.
  Ends with 0 if the core can work with the server.`;

const string = { type: "string" };
const options = { url: string, email: string, password: string, json: string, help: { type: "boolean" } };

async function main() {
  let given;
  try {
    given = parseArgs({ options }).values;
  } catch (error) {
    return usage(error.message);
  }
  if (given.help) return usage();
  const missing = ["url", "email", "password"].find((name) => !given[name]);
  if (missing) return usage(`--${missing} is missing`);
  if (!URL.canParse(given.url)) return usage("--url must be a web address");
  const report = await examine(new Server(given.url, given.email, given.password), checks);
  console.log(text(report));
  if (given.json) writeFileSync(given.json, `${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = report.works ? 0 : 1;
}

function usage(problem) {
  console.error(problem ? `${problem}\n\n${USAGE}` : USAGE);
  process.exitCode = problem ? 2 : 0;
}

await main();
