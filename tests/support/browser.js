// What the browser tests need of JavaScript: databases seen from another context, and faults in the browser's own parts.

const PATIENCE_MS = 5000;

function opened(name, version) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked: a connection stayed open"));
  });
}

/** Raises the database to a new version, as a newer release of the extension does. */
export async function raiseVersion(name, version) {
  (await opened(name, version)).close();
}

/** Begins to raise the database to a new version and takes it back: the connections of others are closed by then. */
export async function raiseVersionInVain(name, version) {
  await new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => request.transaction.abort();
    request.onerror = () => resolve();
    request.onsuccess = () => reject(new Error("the upgrade was not taken back"));
    request.onblocked = () => reject(new Error("blocked: a connection stayed open"));
  });
}

/** Deletes the database; fails where a connection does not give way. A closed one may take a moment to be gone. */
export async function deleteDatabase(name) {
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
    request.onblocked = () =>
      setTimeout(() => reject(new Error("blocked: a connection stayed open")), PATIENCE_MS);
  });
}

/** The version of the database and the names of its tables. */
export async function shapeOf(name) {
  const database = await opened(name, undefined);
  const shape = [String(database.version), ...database.objectStoreNames];
  database.close();
  return shape;
}

function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** How many objects a table holds. */
export async function objectsIn(name, table) {
  const database = await opened(name, undefined);
  const transaction = database.transaction(table);
  const count = transaction.objectStore(table).count();
  await done(transaction);
  database.close();
  return count.result;
}

/** Puts any value into a table, whoever made it. */
export async function tamper(name, table, value, key) {
  const database = await opened(name, undefined);
  const transaction = database.transaction(table, "readwrite");
  transaction.objectStore(table).put(value, key);
  await done(transaction);
  database.close();
}

/** Makes of the rows with these places, counted from 0, objects that have nothing but their keys. */
export async function garbleRows(name, table, places) {
  const database = await opened(name, undefined);
  const transaction = database.transaction(table, "readwrite");
  const store = transaction.objectStore(table);
  store.getAllKeys().onsuccess = ({ target }) => {
    for (const place of places) store.put({ key: target.result[place], garbage: true });
  };
  await done(transaction);
  database.close();
}

/** Makes the database anew, without one of its tables and with all that was in the others. */
export async function withoutTable(name, missing, version) {
  const database = await opened(name, undefined);
  const tables = [...database.objectStoreNames].filter((table) => table !== missing);
  const reading = database.transaction(tables);
  const content = tables.map((table) => {
    const store = reading.objectStore(table);
    const indexes = [...store.indexNames].map((index) => [index, store.index(index).keyPath]);
    return { table, keyPath: store.keyPath, indexes, keys: store.getAllKeys(), values: store.getAll() };
  });
  await done(reading);
  version ??= database.version;
  database.close();
  await deleteDatabase(name);
  const request = indexedDB.open(name, version);
  await new Promise((resolve, reject) => {
    request.onupgradeneeded = () => {
      for (const { table, keyPath, indexes, keys, values } of content) {
        const store = request.result.createObjectStore(table, { keyPath });
        for (const [index, path] of indexes) store.createIndex(index, path);
        const keyOf = (place) => (keyPath === null ? keys.result[place] : undefined);
        values.result.forEach((value, place) => store.put(value, keyOf(place)));
      }
    };
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
  request.result.close();
}

/** Makes of the database what the first release would have made of it. */
export const asFirstReleased = (name) => withoutTable(name, "receipts", 1);

/** The names of all databases that begin so. */
export async function databasesOf(name) {
  const known = await indexedDB.databases();
  return known
    .map((database) => database.name)
    .filter((other) => other.startsWith(name))
    .sort();
}

/** Resolves when a table has something in it, committed. */
export async function filled(name, table) {
  for (let count = 0; count === 0;) {
    const database = await opened(name, undefined);
    const transaction = database.transaction(table);
    const request = transaction.objectStore(table).count();
    await done(transaction);
    database.close();
    count = request.result;
  }
}

/** A host's place for the mirror. */
export function keptMirror() {
  let kept = null;
  return { load: async () => kept, save: async (text) => void (kept = text) };
}

function replaced(target, name, stand_in) {
  const original = target[name];
  target[name] = stand_in;
  return () => (target[name] = original);
}

/** From now on a commit ends in an abort, behind all requests, as it does when the disk is full. Returns what ends it. */
export function abortAtCommit() {
  return replaced(IDBTransaction.prototype, "commit", function () {
    const last = this.objectStore(this.objectStoreNames[0]).count();
    last.onsuccess = () => this.abort();
  });
}

/** From now on the `nth` row to be added is refused with an exception of this name. Returns what ends it. */
export function refuseAdd(nth, exception) {
  const original = IDBObjectStore.prototype.add;
  let added = 0;
  return replaced(IDBObjectStore.prototype, "add", function (...row) {
    added += 1;
    if (added === nth) throw new DOMException("no", exception);
    return original.apply(this, row);
  });
}

/** From now on no database of this name can be opened. Returns what ends it. */
export function refuseOpen(name, exception) {
  const original = IDBFactory.prototype.open;
  return replaced(IDBFactory.prototype, "open", function (...database) {
    if (database[0] === name) throw new DOMException("no", exception);
    return original.apply(this, database);
  });
}

/** From now on the browser does not say which databases there are. Returns what ends it. */
export function refuseDatabases() {
  return replaced(IDBFactory.prototype, "databases", async () => {
    throw new DOMException("no", "UnknownError");
  });
}
