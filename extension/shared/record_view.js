// @ts-check

/**
 * @typedef {import("../../pkg/heyho_sync.js").SetAside} SetAside
 * @typedef {import("../../pkg/heyho_sync.js").Whereabouts} Whereabouts
 * @typedef {import("./text.js").Text} Text
 *
 * How a record is shown in a list.
 *
 * @typedef {object} RecordView
 * @property {string} id
 * @property {string} name its page's title or address, or its id
 * @property {Text} kind
 * @property {Text[]} story what became of it, a sentence each
 * @property {string | null} words what the server said
 */

/** The reasons for which there are words; all others are told as "refused". */
const REASONS = [
  "refused",
  "refused_without_a_word",
  "too_large",
  "follows_its_visit",
  "excluded",
  "discarded",
  "erased",
  "too_old",
  "unrecoverable",
];

/**
 * Records that were set aside, without the stays that are there only because their visit is: they go where it goes.
 *
 * @param {SetAside[]} records
 */
export function onesToShow(records) {
  return records.filter(({ note }) => note?.reason !== "follows_its_visit");
}

/** @param {SetAside} record @returns {RecordView} */
export function setAsideView(record) {
  const { note, capturedAt } = record;
  const story = note
    ? [reasonOf(record), { key: "since", moment: note.at ?? capturedAt }]
    : [{ key: "recordedAt", moment: capturedAt }];
  return { ...named(record), story };
}

/**
 * Where a record is that was looked for.
 *
 * @param {Whereabouts} record
 * @param {Pick<import("../snapshot.js").Snapshot, "lastAttemptAt" | "nextAttemptAt">} status
 * @returns {RecordView}
 */
export function whereaboutsView(record, { lastAttemptAt, nextAttemptAt }) {
  const story = [{ key: "recordedAt", moment: record.capturedAt }];
  /** @param {Text[]} texts */
  const told = (...texts) => ({ ...named(record), story: [...story, ...texts] });
  switch (record.place) {
    case "pending": {
      const tried = lastAttemptAt !== null && lastAttemptAt >= record.capturedAt;
      const next = nextAttemptAt === null ? [] : [{ key: "triesNext", moment: nextAttemptAt }];
      return told(
        { key: "place_pending" },
        tried ? { key: "triedAt", moment: lastAttemptAt } : { key: "notTried" },
        ...next,
      );
    }
    case "quarantined":
    case "discarded":
      return told({ key: `place_${record.place}` }, reasonOf(record));
    default:
      return told({ key: `place_${record.place}` });
  }
}

/** @param {Pick<SetAside, "note">} record @returns {Text} */
function reasonOf({ note }) {
  const reason = note?.reason ?? "";
  return { key: `reason_${REASONS.includes(reason) ? reason : "refused"}` };
}

/** @param {SetAside | Whereabouts} record */
function named({ id, kind, note, record }) {
  const name = [record?.title, record?.url, record?.current_url].find(
    (text) => typeof text === "string" && text,
  );
  return { id, name: String(name ?? id), kind: { key: `kind_${kind}` }, words: note?.words ?? null };
}
