// A large backlog goes into a file and comes back from it, by the settings, in pieces. HEYHO_RECORDS says how large.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { CREDENTIALS, records, World } from "./support.mjs";

const RECORDS = Number(process.env.HEYHO_RECORDS ?? 9_000);
const VISITS = RECORDS / 2;
/** A piece is about a megabyte of text; as a message it is JSON, in which quotes take two characters. */
const LONGEST_MESSAGE = 3_000_000;
// A large backlog takes minutes.
const PATIENCE = { timeout: 30_000 + RECORDS * 10 };

let world, backend, account;

before(async () => {
  world = await World.begin();
  ({ backend, account } = await world.backend());
});
after(() => world.end());

test(`${RECORDS} records come in from a file though that is interrupted, go out to one and come back, each once`, async () => {
  const given = path.join(world.folder, "given.ndjson");
  await writeFile(given, records(1, VISITS).ndjson);
  const first = await installation("first");

  const imported = first.part("data-said");
  await first.part("import").setInputFiles(given);
  await imported.getByText("so far").waitFor();
  await first.browser.stopWorker();
  await imported.getByText("Choose the same file again").waitFor(PATIENCE);
  const { pending: half } = await first.popup.ask({ type: "status" });
  assert.ok(half.pageVisits > 0 && half.pageVisits + half.tabAggregates < RECORDS, "it died on the way");
  await first.part("import").setInputFiles(given);
  const [taken, held] = await numbersIn(imported, PATIENCE);
  assert.equal(taken + held, RECORDS);
  const { captured, pending } = await first.popup.ask({ type: "status" });
  assert.deepEqual([pending, captured], [all, all]);

  const saving = first.options.waitForEvent("download", PATIENCE);
  await first.part("export").click();
  const saved = path.join(world.folder, "saved.ndjson");
  await (await saving).saveAs(saved);
  assert.deepEqual((await idsIn(saved)).sort(), (await idsIn(given)).sort());

  const second = await installation("second");
  await second.part("import").setInputFiles(saved);
  const told = await numbersIn(second.part("data-said"), PATIENCE);
  assert.deepEqual(told, [RECORDS, 0, 0]);
  for (const { longest } of [first, second]) assert.ok((await longest()) < LONGEST_MESSAGE);

  await second.popup.ask({ type: "setSettings", settings: { serverUrl: backend.base } });
  await second.popup.ask({ type: "signIn", ...CREDENTIALS });
  const { acknowledged } = await second.popup.until(
    ({ pending, state }) => pending.pageVisits + pending.tabAggregates === 0 && state === "idle",
  );
  assert.deepEqual(acknowledged, all);
  const rows = await account.rows();
  assert.deepEqual([rows.pageVisits.length, rows.tabAggregates.length], [VISITS, VISITS]);
});

const all = { pageVisits: VISITS, tabAggregates: VISITS };

/** A browser of its own with consent and its settings open, where the length of every message is noted. */
async function installation(profile) {
  const browser = await world.browser(profile);
  const popup = await browser.openPopup();
  await popup.ask({ type: "setSettings", settings: { consent: true } });
  const options = await browser.context.newPage();
  await options.addInitScript(noteMessages);
  await options.goto(`chrome-extension://${browser.extensionId}/options/options.html`);
  await options.locator('body[data-ready="true"]').waitFor();
  const part = (testId) => options.getByTestId(testId);
  return { browser, popup, options, part, longest: () => options.evaluate(() => globalThis.longest) };
}

/** Runs in the page. */
function noteMessages() {
  globalThis.longest = 0;
  const { runtime } = globalThis.chrome;
  const send = runtime.sendMessage.bind(runtime);
  runtime.sendMessage = async (message) => {
    const reply = await send(message);
    const lengths = [message, reply ?? null].map((value) => JSON.stringify(value).length);
    globalThis.longest = Math.max(globalThis.longest, ...lengths);
    return reply;
  };
}

/** Waits for the account of an import: how many it took, held already, and did not take. */
async function numbersIn(place, patience) {
  await place.filter({ hasText: /^Taken:/ }).waitFor(patience);
  const text = await place.textContent();
  return [...text.matchAll(/: ([\d,]+)/g)].map(([, number]) => Number(number.replaceAll(",", "")));
}

async function idsIn(file) {
  const ids = [];
  for await (const line of createInterface(createReadStream(file))) ids.push(JSON.parse(line).record.id);
  return ids;
}
