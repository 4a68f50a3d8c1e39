// The few lines around IndexedDB that every extension writes.

/** The result of a request. */
export function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when the transaction is complete. */
export function complete(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
  });
}

/** Opens a database; `upgrade` makes its stores. */
export function open(name, upgrade) {
  const request = indexedDB.open(name, upgrade ? 1 : undefined);
  request.onupgradeneeded = () => upgrade?.(request.result);
  return done(request);
}

export function remove(name) {
  return done(indexedDB.deleteDatabase(name));
}

/** How many rows the database holds in all its stores but the named. */
export async function rowsIn(name, except = []) {
  const database = await open(name);
  const stores = [...database.objectStoreNames].filter((store) => !except.includes(store));
  const transaction = database.transaction(stores);
  const counts = await Promise.all(stores.map((store) => done(transaction.objectStore(store).count())));
  database.close();
  return counts.reduce((sum, count) => sum + count, 0);
}
