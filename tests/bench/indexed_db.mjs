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

const COPIED_AT_ONCE = 2000;

/** Copies a database with its stores and indexes. */
export async function copy(from, to) {
  const source = await open(from);
  const stores = [...source.objectStoreNames];
  const shape = source.transaction(stores);
  const shapes = stores.map((name) => {
    const { keyPath, autoIncrement, indexNames } = shape.objectStore(name);
    const indexes = [...indexNames].map((index) => {
      const { keyPath: path, unique, multiEntry } = shape.objectStore(name).index(index);
      return [index, path, { unique, multiEntry }];
    });
    return { name, options: { keyPath, autoIncrement }, indexes };
  });
  const target = await open(to, (made) => {
    for (const { name, options, indexes } of shapes) {
      const store = made.createObjectStore(name, options);
      for (const index of indexes) store.createIndex(...index);
    }
  });
  for (const name of stores) {
    let above;
    for (;;) {
      const store = source.transaction(name).objectStore(name);
      const [rows, keys] = await Promise.all([
        done(store.getAll(above, COPIED_AT_ONCE)),
        done(store.getAllKeys(above, COPIED_AT_ONCE)),
      ]);
      if (rows.length === 0) break;
      const transaction = target.transaction(name, "readwrite");
      const copied = transaction.objectStore(name);
      rows.forEach((row, index) => copied.put(row, copied.keyPath === null ? keys[index] : undefined));
      await complete(transaction);
      above = IDBKeyRange.lowerBound(keys.at(-1), true);
    }
  }
  source.close();
  target.close();
}
