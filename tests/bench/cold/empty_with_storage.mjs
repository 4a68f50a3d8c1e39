// What the core's first event needs of storage, by hand: open the database, read what was remembered, write it anew.
import { complete, done, open } from "../indexed_db.mjs";
import init from "./glue.mjs";

const { ready } = await init();
self.postMessage("loaded");
ready();
const database = await open(decodeURIComponent(location.search.slice(1)), (made) => {
  made.createObjectStore("page_visits", { keyPath: "key" }).createIndex("id", "id");
  made.createObjectStore("documents");
});
const transaction = database.transaction(["page_visits", "documents"], "readwrite");
const documents = transaction.objectStore("documents");
const [remembered] = await Promise.all([done(documents.get("tracker")), done(documents.get("books"))]);
const tracker = JSON.parse(remembered ?? "{}");
documents.put(JSON.stringify({ ...tracker, url: "https://example.org/", at: Date.now() }), "tracker");
transaction.commit();
await complete(transaction);
self.postMessage("handled");
