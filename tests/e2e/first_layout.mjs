// The database as the first builds laid it out, before there was any release: written with plain JavaScript, so that what
// reads it can't have written it.

const FIRST_EPOCH = 1;
const key = (epoch, count) => epoch * 2 ** 36 + count;

/**
 * What the page of an older release is to write, as plain values.
 *
 * @param {{ origin: string, account: string }} owner
 * @param {{ pageVisit: any, tabAggregate: any }[]} pairs records that wait
 * @param {any} session the login that is kept there
 */
export function firstLayout(owner, pairs, session) {
  const rows = { page_visits: [], tab_aggregates: [] };
  let count = 1;
  for (const { pageVisit, tabAggregate } of pairs) {
    const stands = key(FIRST_EPOCH, count);
    rows.page_visits.push(row(stands, 0, pageVisit, { sites: new URL(pageVisit.url).hostname }));
    const refers = { refersTo: pageVisit.id, follows: stands };
    rows.tab_aggregates.push(row(key(FIRST_EPOCH, count + 1), 1, tabAggregate, refers));
    count += 2;
  }
  const counts = {
    captured: pairs.length,
    acknowledged: 0,
    pending: pairs.length,
    quarantined: 0,
    archived: 0,
    discarded: 0,
    unrecoverable: 0,
  };
  const first = key(FIRST_EPOCH, 0);
  const epoch = {
    number: FIRST_EPOCH,
    owner,
    counts: { pageVisits: counts, tabAggregates: counts },
    lowest: { pageVisits: first, tabAggregates: first },
  };
  const books = { next_count: count, next_epoch: FIRST_EPOCH + 1, epochs: [epoch] };
  const sync_state = {
    token: 7,
    retry: null,
    problem: { code: "unreachable", since: 1_750_000_000_000 },
    lastAttemptAt: 1_750_000_000_000,
    lastSuccessAt: null,
    server: { origin: owner.origin, givesCounts: true },
    lastReport: null,
    progress: null,
    // What a later release may have added, and this one doesn't know.
    ofAnotherRelease: { anything: [1, 2, 3] },
  };
  return { rows, documents: { books, sync_state, session: { ...session, ofAnotherRelease: true } } };
}

function row(stands, kind, record, more) {
  const body = JSON.stringify(record);
  const { id } = record;
  return { key: stands, kind, id, revision: 1, ...more, bytes: body.length, capturedAt: Date.now(), body };
}

/** Runs in the page of an older release. */
export async function writeDatabase({ rows, documents }) {
  const request = indexedDB.open("heyho-sync", 1);
  const database = await new Promise((resolve, reject) => {
    request.onupgradeneeded = () => {
      for (const table of ["page_visits", "tab_aggregates", "quarantine", "archive"])
        request.result.createObjectStore(table, { keyPath: "key" }).createIndex("id", "id");
      request.result.createObjectStore("documents");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = database.transaction(database.objectStoreNames, "readwrite");
  for (const [table, all] of Object.entries(rows))
    for (const each of all) transaction.objectStore(table).put(each);
  for (const [name, document] of Object.entries(documents))
    transaction.objectStore("documents").put(JSON.stringify(document), name);
  await new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  database.close();
}
