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

function replaced(target, name, stand_in) {
  const original = target[name];
  target[name] = stand_in;
  return () => (target[name] = original);
}

/** From now on a commit ends in an abort, as it does when the disk is full. Returns what ends it. */
export function abortAtCommit() {
  return replaced(IDBTransaction.prototype, "commit", function () {
    this.abort();
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
