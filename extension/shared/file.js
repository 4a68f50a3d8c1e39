// @ts-check
import { ask, save } from "./page.js";

/**
 * Records to and from a file, a piece at a time: a browser bounds what one message may hold, and a backlog is long.
 *
 * @typedef {import("../shared/page.js").Problem} Problem
 * @typedef {{ captured: number, heldAlready: number, notTaken: number, problem: Problem | null }} Imported
 */

/** Characters of a file that travel together, and the rest of their last line. */
const PIECE_CHARS = 1 << 20;
/** How often it is told how far it is, in milliseconds: whoever listens to it is to hear something else too. */
const TELL_MS = 1_000;

/**
 * Lets the user keep every record that is not on the server, or one of them with the stays that follow it. Each line
 * names whose it is, so that wherever it is brought back it becomes nobody else's.
 *
 * @param {(records: number) => void} tell how many it are so far
 * @param {string} [only] the one's id
 * @returns {Promise<Problem | null>}
 */
export async function exportAll(tell, only) {
  const count = counter(tell);
  /** @type {Blob[]} */
  const pieces = [];
  /** @type {string | null} */
  let after = null;
  do {
    const { reply, problem } = await ask({ type: "export", after });
    if (problem) return problem;
    const text = only === undefined ? reply.text : linesAbout(only, reply.text);
    count(linesIn(text));
    // The browser may keep these on its disk; a string stays in memory.
    pieces.push(new Blob([text]));
    after = reply.next;
  } while (after !== null);
  save(pieces, `heyho-records-${new Date().toISOString().slice(0, 10)}.ndjson`);
  return null;
}

/** The lines of a record, and of the stays that follow it. @param {string} id @param {string} text */
function linesAbout(id, text) {
  const isAbout = (/** @type {string} */ line) => {
    const { record } = JSON.parse(line);
    return record.id === id || record.page_visit_id === id;
  };
  return text
    .split("\n")
    .filter((line) => line && isAbout(line))
    .map((line) => `${line}\n`)
    .join("");
}

/**
 * Takes the records of a file. What was taken before a problem stays, and is not taken again with the same file.
 *
 * @param {Blob} file @param {(records: number) => void} tell how many it are so far
 * @returns {Promise<Imported>}
 */
export async function importAll(file, tell) {
  const count = counter(tell);
  /** @type {Imported} */
  const sum = { captured: 0, heldAlready: 0, notTaken: 0, problem: null };
  try {
    for await (const records of piecesOf(file, PIECE_CHARS)) {
      const { reply, problem } = await ask({ type: "import", records });
      if (problem) return { ...sum, problem };
      sum.captured += reply.captured;
      sum.heldAlready += reply.heldAlready;
      sum.notTaken += reply.notRecorded + reply.refused.length;
      count(linesIn(records));
    }
  } catch {
    // It was changed, moved or taken away meanwhile.
    return { ...sum, problem: { code: "unreadable_file", message: "" } };
  }
  return sum;
}

/**
 * The text of a file in pieces of whole lines, each of at least `chars` characters but the last.
 *
 * @param {Blob} file @param {number} chars
 */
export async function* piecesOf(file, chars) {
  const reader = file.stream().pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    text += read.value;
    // The browser gives as much as it likes at once.
    for (let end; (end = text.indexOf("\n", chars - 1) + 1) > 0; text = text.slice(end))
      yield text.slice(0, end);
  }
  if (text) yield text;
}

/** @param {string} text */
const linesIn = (text) => text.split("\n").length - 1;

/** @param {(records: number) => void} tell */
function counter(tell) {
  let [sum, toldAt] = [0, 0];
  /** @param {number} more */
  const add = (more) => {
    sum += more;
    if (Date.now() - toldAt < TELL_MS) return;
    toldAt = Date.now();
    tell(sum);
  };
  return add;
}
