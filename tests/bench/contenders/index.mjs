import { rowsIn } from "../indexed_db.mjs";

const modules = {
  core: async (name) => (await import("./core.mjs")).Core.open(name),
  sequential: async (name) => (await import("./sequential.mjs")).Sequential.open(name),
  pipelined: async (name) => (await import("./pipelined.mjs")).Pipelined.open(name),
  dexie: async (name) => (await import("./dexie.mjs")).DexieOutbox.open(name),
  idb: async (name) => (await import("./idb.mjs")).IdbOutbox.open(name),
  firstGeneration: async (name) => (await import("./first_generation.mjs")).FirstGeneration.open(name),
  requests1: async () => new (await import("./requests.mjs")).Requests(1),
  requests3: async () => new (await import("./requests.mjs")).Requests(3),
};

/** Opens a contender on a database of this name. It fills, drains, and says what is `left`. */
export async function contender(which, name) {
  const opened = await modules[which](name);
  opened.left ??= () => rowsIn(name);
  return opened;
}
