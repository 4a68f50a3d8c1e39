//! Tables of rows and named documents, changed by transactions.
//!
//! A transaction has one shape: a fixed set of reads, then a pure decision over what was found, then its changes, all of
//! them or none. It fits IndexedDB, whose transactions end at the first foreign await, and it keeps every rule about
//! rows in plain functions that run the same over each store.

pub mod memory;

use std::pin::Pin;
use std::rc::Rc;

use thiserror::Error;

use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::Kind;
use crate::words::record::Head;
use crate::words::time::UnixMillis;

/// A table of rows, ordered by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The outbox of a kind.
    Outbox(Kind),
    /// Records that the server refuses.
    Quarantine,
    /// Records set aside because of their age.
    Archive,
    /// What was given up by the user's will: ids without bodies, so that a late aggregate follows its visit.
    Discarded,
    /// What was acknowledged, a row of receipts (`decisions::receipts`) for each settlement: no records.
    Receipts,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [
        Self::Outbox(Kind::PageVisit),
        Self::Outbox(Kind::TabAggregate),
        Self::Quarantine,
        Self::Archive,
        Self::Discarded,
        Self::Receipts,
    ];
    /// The tables whose rows are records.
    pub const OF_RECORDS: [Self; 5] = [
        Self::Outbox(Kind::PageVisit),
        Self::Outbox(Kind::TabAggregate),
        Self::Quarantine,
        Self::Archive,
        Self::Discarded,
    ];
    /// The tables of what left the outbox without an acknowledgement.
    pub const ASIDE: [Self; 3] = [Self::Quarantine, Self::Archive, Self::Discarded];
}

/// A named document: one text, JSON but for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// The ledger and the epoch table.
    Books,
    /// What the syncer must remember between two attempts.
    SyncState,
    /// What the tracker remembers between two events.
    Tracker,
    /// The login, where the core was asked to remember it.
    Session,
    /// Which records were acknowledged last: lines, not JSON.
    Delivered,
}

/// A record's text, as a store keeps it: natively an `Rc<str>`, in the browser a JavaScript string that never needs to
/// be copied into wasm memory.
pub trait Body: Clone + From<String> {
    /// A copy of the text.
    fn text(&self) -> String;
}

impl Body for Rc<str> {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// One record at one place. Rows are immutable: a newer revision is a new row.
#[derive(Clone)]
pub struct Row<B> {
    /// Its place.
    pub key: RowKey,
    /// What is known of the record without its body.
    pub head: Head,
    /// The place of the row which the record refers to, if that stood in the outbox at capture.
    pub follows: Option<RowKey>,
    /// When it was captured.
    pub captured_at: UnixMillis,
    /// The record's JSON text.
    pub body: B,
    /// Why it was set aside, as a JSON text; none in the outbox.
    pub note: Option<String>,
}

// A row carries what its user did.
impl<B> std::fmt::Debug for Row<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("key", &self.key).finish_non_exhaustive()
    }
}

/// One read of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A document; answered by [`Answer::Document`].
    Document(Document),
    /// The first `limit` rows of a range that can be read; answered by [`Answer::Rows`]. Fewer mean that there are no
    /// more.
    Rows {
        /// The table.
        table: Table,
        /// The range.
        range: KeyRange,
        /// Most rows.
        limit: usize,
    },
    /// The last row of a range; answered by [`Answer::Rows`].
    Last {
        /// The table.
        table: Table,
        /// The range.
        range: KeyRange,
    },
    /// Every revision of a record that the table, one of [`Table::OF_RECORDS`], holds; answered by [`Answer::Rows`].
    Revisions {
        /// The table.
        table: Table,
        /// The record's id.
        id: String,
    },
    /// Every row of one of [`Table::ASIDE`] that refers to a record; answered by [`Answer::Rows`].
    Referring {
        /// The table.
        table: Table,
        /// The id of the record that is referred to.
        id: String,
    },
    /// The keys of every revision of a record that the table, one of [`Table::OF_RECORDS`], holds; answered by
    /// [`Answer::Keys`].
    KeysOf {
        /// The table.
        table: Table,
        /// The record's id.
        id: String,
    },
    /// The keys of a range; answered by [`Answer::Keys`].
    Keys {
        /// The table.
        table: Table,
        /// The range.
        range: KeyRange,
        /// Most keys.
        limit: usize,
    },
}

/// What a [`Query`] found.
#[derive(Debug, Clone)]
pub enum Answer<B> {
    /// The document's text, if it exists.
    Document(Option<String>),
    /// Rows in key order.
    Rows(Vec<Row<B>>),
    /// Keys in order.
    Keys(Vec<RowKey>),
}

impl<B> Answer<B> {
    /// The document; none also where another kind of answer stands.
    pub fn document(self) -> Option<String> {
        match self {
            Self::Document(text) => text,
            Self::Rows(_) | Self::Keys(_) => None,
        }
    }

    /// The rows; none also where another kind of answer stands.
    pub fn rows(self) -> Vec<Row<B>> {
        match self {
            Self::Rows(rows) => rows,
            Self::Document(_) | Self::Keys(_) => Vec::new(),
        }
    }

    /// The keys; none also where another kind of answer stands.
    pub fn keys(self) -> Vec<RowKey> {
        match self {
            Self::Keys(keys) => keys,
            Self::Document(_) | Self::Rows(_) => Vec::new(),
        }
    }
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub enum Change<B> {
    /// Writes a document.
    Write(Document, String),
    /// Removes a document.
    Erase(Document),
    /// Adds a row; its key is new in the table, and in an outbox it comes behind all others of its epoch.
    Insert(Table, Row<B>),
    /// Deletes every row of a range.
    Delete(Table, KeyRange),
}

/// Why a transaction did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No space is left; nothing was written.
    #[error("no storage space is left")]
    QuotaExceeded,
    /// The connection was closed by somebody else; the next transaction opens a new one.
    #[error("the connection to the database was closed")]
    Closed,
    /// The database can't be opened or read: it is damaged. Carries the error's name alone.
    #[error("the database is damaged: {0}")]
    Broken(String),
    /// The database was written by a newer release; it is left as it is.
    #[error("the database is of a newer release")]
    Newer,
    /// The transaction was aborted or failed; nothing was written. Carries the error's name alone.
    #[error("a storage transaction failed: {0}")]
    Failed(String),
}

/// What a transaction decides from what its reads found: its changes, or none to end it without a change.
pub type Decide<'a, B> = &'a mut dyn FnMut(Vec<Answer<B>>) -> Option<Vec<Change<B>>>;

/// A future of a store. Boxed, so that what waits for a store isn't compiled anew into each of its callers: with futures
/// of unnamed types the module was half as large again.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + 'a>>;

/// Tables and documents with all-or-nothing transactions.
///
/// An implementation guarantees: `transact` applies all changes or none, and has applied them when it returns `Ok`; two
/// of any contexts don't interleave where they touch the same tables; answers come in the order of the queries.
/// After an `Err`, or if the future is dropped, the changes may be there or not, but never in part.
pub trait Store {
    /// How it keeps a record's text.
    type Body: Body;

    /// Reads within one transaction.
    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<Self::Body>>>;

    /// Reads, asks `decide` once, and changes, within one transaction.
    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, Self::Body>) -> Pending<'a, ()>;

    /// Told when nothing is to be written for now: the time to put some room aside for a full disk.
    fn rests(&self) {}

    /// Sets a database aside that can't be used ([`StoreError::Broken`]), and puts a new one in its place with all that
    /// can be read. A rebuilding that was interrupted goes on with the next call, or with the next transaction.
    fn rebuild(&self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Deletes what [`Store::rebuild`] has left behind because not all of it could be read.
    fn delete_left_behind(&self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Stores rows of an outbox that came one by one together, where the store gains by that: the first of a range of one
    /// epoch, if it holds many. What can be read stays the same.
    fn tidy(&self, _table: Table, _range: KeyRange) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// [`Store::transact`] with a result. An error of `decide` changes nothing and is handed on.
    fn update<T, E: From<StoreError>>(
        &self,
        queries: &[Query],
        decide: impl FnOnce(Vec<Answer<Self::Body>>) -> Result<(Vec<Change<Self::Body>>, T), E>,
    ) -> impl Future<Output = Result<T, E>> {
        async move {
            let mut decide = Some(decide);
            let mut decided = None;
            let mut once = |found| match decide.take()?(found) {
                Ok((changes, result)) => {
                    decided = Some(Ok(result));
                    Some(changes)
                }
                Err(error) => {
                    decided = Some(Err(error));
                    None
                }
            };
            self.transact(queries, &mut once).await?;
            decided.unwrap_or_else(|| Err(StoreError::Failed("undecided".into()).into()))
        }
    }
}
