// Counts what is asked of IndexedDB and of the network in this worker. To be installed before the core is loaded.

const REQUESTS = {
  IDBObjectStore: [
    "get",
    "getAll",
    "getAllKeys",
    "getKey",
    "count",
    "openCursor",
    "openKeyCursor",
    "add",
    "put",
    "delete",
    "clear",
  ],
  IDBIndex: ["get", "getAll", "getAllKeys", "getKey", "count", "openCursor", "openKeyCursor"],
};

const nothing = () => ({ reads: 0, writes: 0, requests: {}, fetches: 0 });
let seen = nothing();

function around(target, name, note) {
  const original = target[name];
  target[name] = function (...args) {
    note(args);
    return original.apply(this, args);
  };
}

export function install() {
  around(IDBDatabase.prototype, "transaction", ([, mode]) => {
    seen[mode === "readwrite" ? "writes" : "reads"] += 1;
  });
  for (const [type, methods] of Object.entries(REQUESTS)) {
    for (const method of methods.filter((name) => name in globalThis[type].prototype)) {
      const name = type === "IDBIndex" ? `index.${method}` : method;
      around(
        globalThis[type].prototype,
        method,
        () => (seen.requests[name] = (seen.requests[name] ?? 0) + 1),
      );
    }
  }
  around(globalThis, "fetch", () => (seen.fetches += 1));
}

/** What `work` asks for: transactions by mode, IndexedDB requests by name, fetches. */
export async function counted(work) {
  seen = nothing();
  await work();
  const result = seen;
  seen = nothing();
  return result;
}
