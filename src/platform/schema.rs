//! The database's tables, in one place: rexie deletes, at a new version, every store that is not listed.

use rexie::{Index, ObjectStore, Rexie, RexieBuilder};

use crate::ports::store::{Document, Table};
use crate::words::kind::Kind;

/// Raised with every change of a table or an index.
const VERSION: u32 = 2;

/// The store of the documents: key is the document's name, value its JSON text.
pub const DOCUMENTS: &str = "documents";
/// The index of a table over its records' ids: a row names one, a segment all of its rows'.
pub const BY_ID: &str = "ids";
/// The index of a table of set-aside rows over the ids of what they refer to.
pub const BY_REFERENCE: &str = "refersTo";
/// The property of a stored object that is its key: a row's place, or a list for a segment.
pub const KEY: &str = "key";
/// The property of a stored object that names its record or records.
pub const ID: &str = "id";

/// Every object store.
pub const ALL: [&str; 7] =
    ["page_visits", "tab_aggregates", "quarantine", "archive", "discarded", "receipts", DOCUMENTS];

/// The object store of a table.
pub const fn store_of(table: Table) -> &'static str {
    match table {
        Table::Outbox(Kind::PageVisit) => "page_visits",
        Table::Outbox(Kind::TabAggregate) => "tab_aggregates",
        Table::Quarantine => "quarantine",
        Table::Archive => "archive",
        Table::Discarded => "discarded",
        Table::Receipts => "receipts",
    }
}

/// The key of a document.
pub const fn key_of(document: Document) -> &'static str {
    match document {
        Document::Books => "books",
        Document::SyncState => "sync_state",
        Document::Tracker => "tracker",
        Document::Session => "session",
        Document::Delivered => "delivered",
    }
}

/// The database as it should be.
pub fn builder(name: &str) -> RexieBuilder {
    let store = |table| {
        let store = ObjectStore::new(store_of(table)).key_path(KEY);
        let by_id = |store: ObjectStore| store.add_index(Index::new(BY_ID, ID).multi_entry(true));
        match table {
            Table::Receipts => store,
            Table::Outbox(_) => by_id(store),
            _ => by_id(store).add_index(Index::new(BY_REFERENCE, "refersTo")),
        }
    };
    let builder = Rexie::builder(name).version(VERSION).add_object_store(ObjectStore::new(DOCUMENTS));
    Table::ALL.into_iter().fold(builder, |builder, table| builder.add_object_store(store(table)))
}
