// Counts what is asked of IndexedDB and of the network.

const REQUESTS = ["get", "getAll", "getAllKeys", "getKey", "count", "openCursor", "openKeyCursor"];
const CHANGES = ["add", "put", "delete", "clear"];

export class Counter {
  #restore = [];
  #seen;

  constructor() {
    this.#forget();
    this.#around(IDBDatabase.prototype, "transaction", ([, mode]) => {
      this.#seen[mode === "readwrite" ? "writes" : "reads"] += 1;
    });
    for (const method of [...REQUESTS, ...CHANGES]) {
      this.#around(IDBObjectStore.prototype, method, () => (this.#seen.requests += 1));
    }
    for (const method of REQUESTS) {
      this.#around(IDBIndex.prototype, method, () => (this.#seen.requests += 1));
    }
    this.#around(IDBObjectStore.prototype, "getAll", (_, request) => {
      request.addEventListener("success", () => (this.#seen.values += request.result.length));
    });
    this.#around(globalThis, "fetch", () => (this.#seen.fetches += 1));
  }

  #around(target, name, note) {
    const original = target[name];
    target[name] = function (...args) {
      const returned = original.apply(this, args);
      note(args, returned);
      return returned;
    };
    this.#restore.push(() => (target[name] = original));
  }

  #forget() {
    this.#seen = { reads: 0, writes: 0, requests: 0, values: 0, fetches: 0 };
  }

  /** Transactions by their mode, IndexedDB requests, values that came as lists and fetches since the last call, as JSON. */
  take() {
    const seen = JSON.stringify(this.#seen);
    this.#forget();
    return seen;
  }

  restore() {
    for (const restore of this.#restore.reverse()) restore();
  }
}
