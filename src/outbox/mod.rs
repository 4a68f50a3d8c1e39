//! The buffer of records that are not yet acknowledged: what may happen to them, over any store.
//!
//! Every change is one transaction over the rows and the books (rules 2, 4 and 12).

mod append;
mod aside;
mod count;
mod documents;
mod erase;
mod settle;

use std::cell::Cell;

use serde::Serialize;
use thiserror::Error;

pub use append::{Admission, Capture};
pub use aside::Aside;
pub use settle::{Fate, Settlement};

use documents::{Documents, parse};

use crate::decisions::backoff::{self, AskedBy, Retry};
use crate::decisions::ledger::{Books, BooksError};
use crate::decisions::sync_state::{ServerMemory, SyncState};
use crate::decisions::tracker::TrackerState;
use crate::ports::store::{Answer, Change, Document, Query, Row, Store, StoreError, Table};
use crate::words::key::KeyRange;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::{Owner, Session};
use crate::words::policy::MANY_ROWS;
use crate::words::time::UnixMillis;

/// Why the outbox could not do what it was asked for. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutboxError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows and counts have come apart.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// A document can't be read.
    #[error("a document of the database can't be read: {0:?}")]
    Unreadable(Document),
    /// Another syncer has taken over since (rule 8).
    #[error("another syncer has taken over")]
    Fenced,
    /// A record is held with another body at the same revision: its maker must raise the revision.
    #[error("a record is held already with other content at this revision")]
    RevisionHeld {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: String,
    },
}

/// The buffer.
#[derive(Debug)]
pub struct Outbox<S> {
    store: S,
    documents: Documents,
    // Whether the books, when they were last seen, told of records that were set aside: only then are those tables
    // asked at capture.
    anything_aside: Cell<bool>,
    // Whether so little waits that what is acknowledged is remembered: of a backlog, only its end would be kept.
    nearly_drained: Cell<bool>,
}

/// What becomes of the login that the database remembers.
#[derive(Debug, Clone, Copy)]
pub enum Remembered<'a> {
    /// This one is kept.
    Keep(&'a Session),
    /// None is.
    Forget,
    /// It stays as it is.
    Untouched,
}

/// What is noted of the sync within a transaction. Boxed, so that no transaction is compiled anew for each note.
pub type Note<'a> = Box<dyn FnOnce(&mut SyncState) + 'a>;

/// A [`Note`] that looks into the books.
pub type SeenNote<'a> = Box<dyn FnOnce(&Books, &mut SyncState) + 'a>;

/// What a syncer or the popup looks at first: one read, however large the backlog.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The ledger and the epoch table.
    pub books: Books,
    /// The syncer's memory.
    pub state: SyncState,
    /// Whether nothing was ever written here.
    pub is_new: bool,
}

/// What the database remembers from one worker for the next.
#[derive(Debug, Default)]
pub struct Memories {
    /// The login, where it was to be kept.
    pub session: Option<Session>,
    /// The tracker's memory.
    pub tracker: Option<TrackerState>,
}

const OVERVIEW: [Query; 2] = [Query::Document(Document::Books), Query::Document(Document::SyncState)];

fn write<B>(document: Document, value: &impl Serialize) -> Result<Change<B>, OutboxError> {
    let text = serde_json::to_string(value).map_err(|_| OutboxError::Unreadable(document))?;
    Ok(Change::Write(document, text))
}

impl<S: Store> Outbox<S> {
    /// An outbox over `store`.
    pub fn new(store: S) -> Self {
        let documents = Documents::default();
        Self { store, documents, anything_aside: Cell::new(true), nearly_drained: Cell::new(false) }
    }

    /// The store beneath.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Reads the books and the syncer's memory.
    pub async fn overview(&self) -> Result<Overview, OutboxError> {
        let overview = self.documents.overview(&mut self.store.read(&OVERVIEW).await?.into_iter())?;
        self.anything_aside.set(overview.books.anything_withheld());
        self.nearly_drained.set(overview.books.is_nearly_drained());
        Ok(overview)
    }

    /// Reads what a start of the worker remembers. What can't be read any more may be forgotten: a login can be made
    /// anew, and of the tracker's memory only visits that were going on are lost.
    pub async fn memories(&self) -> Result<Memories, OutboxError> {
        let queries = [Document::Session, Document::Tracker].map(Query::Document);
        let mut answers = self.store.read(&queries).await?.into_iter().map(Answer::document);
        Ok(Memories {
            session: parse(Document::Session, answers.next().flatten()).unwrap_or_default(),
            tracker: parse(Document::Tracker, answers.next().flatten()).unwrap_or_default(),
        })
    }

    /// Makes `owner` the one whose records are captured from now on (rule 10), and writes what is to be remembered of
    /// the login. A new login answers for itself: what stood in the way of the old one is forgotten, but not a wait that
    /// the same server asked for. Returns the books and the syncer's memory then.
    pub async fn hand_to(
        &self,
        owner: Option<&Owner>,
        login: Remembered<'_>,
    ) -> Result<(Books, SyncState), OutboxError> {
        self.store
            .update(&OVERVIEW, |answers| {
                let Overview { mut books, mut state, .. } =
                    self.documents.overview(&mut answers.into_iter())?;
                if books.owner() != owner {
                    state.undelivered_since = None;
                }
                books.hand_to(owner);
                state.problem = None;
                if let Some(owner) = owner.filter(|owner| owner.origin != state.server.origin) {
                    state.retry = None;
                    state.server = ServerMemory { origin: owner.origin.clone(), ..ServerMemory::default() };
                }
                let mut changes =
                    vec![self.documents.write_books(&books)?, self.documents.write_state(&state)?];
                match login {
                    Remembered::Keep(session) => changes.push(write(Document::Session, session)?),
                    Remembered::Forget => changes.push(Change::Erase(Document::Session)),
                    Remembered::Untouched => {}
                }
                Ok((changes, (books, state)))
            })
            .await
    }

    /// Begins a wait anew on a clock that was set back behind its beginning, so that it can end (rule 7).
    pub async fn wait_anew(&self, now: UnixMillis) -> Result<SyncState, OutboxError> {
        let note = |state: &mut SyncState| {
            state.retry = state.retry.map(|retry| retry.on_clock(now));
            state.erasures.on_clock(now);
        };
        self.change_state(None, Box::new(note)).await
    }

    /// Heeds a wait that the server of `origin` asks for now, unless it has asked for a later one or another server is
    /// set by now.
    pub async fn heed(&self, origin: &str, asked: Retry) -> Result<(), OutboxError> {
        let note = |state: &mut SyncState| {
            if state.server.origin == origin {
                state.retry = Some(backoff::heeding(state.retry, asked, asked.since));
            }
        };
        self.change_state(None, Box::new(note)).await.map(|_| ())
    }

    /// Takes over the sync: raises the fencing token, so that a settlement of an earlier holder fails, and returns it.
    /// `note` is written in the same transaction.
    pub async fn take_over(&self, note: Note<'_>) -> Result<(u64, Overview), OutboxError> {
        let overview = self.change_seen(None, Box::new(|_, state| note(state))).await?;
        Ok((overview.state.token, overview))
    }

    /// Notes something of the sync that the books tell, unless another syncer has taken over.
    pub async fn note_seen(&self, token: u64, note: SeenNote<'_>) -> Result<Overview, OutboxError> {
        self.change_seen(Some(token), note).await
    }

    // Without a token it takes over.
    async fn change_seen(&self, token: Option<u64>, change: SeenNote<'_>) -> Result<Overview, OutboxError> {
        self.store
            .update(&OVERVIEW, |answers| {
                let mut overview = self.documents.overview(&mut answers.into_iter())?;
                match token {
                    Some(token) if token != overview.state.token => return Err(OutboxError::Fenced),
                    Some(_) => {}
                    None => overview.state.token += 1,
                }
                change(&overview.books, &mut overview.state);
                Ok((vec![self.documents.write_state(&overview.state)?], overview))
            })
            .await
    }

    /// Notes something of the sync, unless another syncer has taken over; returns the syncer's memory then.
    pub async fn note(&self, token: u64, note: Note<'_>) -> Result<SyncState, OutboxError> {
        self.change_state(Some(token), note).await
    }

    /// Notes that records come which the server may have already.
    pub async fn note_doubt(&self) -> Result<(), OutboxError> {
        self.change_state(None, Box::new(|state| state.doubtful = true)).await.map(|_| ())
    }

    async fn change_state(&self, token: Option<u64>, change: Note<'_>) -> Result<SyncState, OutboxError> {
        self.store
            .update(&[Query::Document(Document::SyncState)], |answers| {
                let text = answers.into_iter().next().and_then(Answer::document);
                let mut state: SyncState = self.documents.state(text)?;
                if token.is_some_and(|token| token != state.token) {
                    return Err(OutboxError::Fenced);
                }
                change(&mut state);
                Ok((vec![self.documents.write_state(&state)?], state))
            })
            .await
    }

    /// Forgets progress, our own backoff and problems, and keeps every record.
    pub async fn reset(&self) -> Result<(), OutboxError> {
        self.take_over(Box::new(|state| {
            *state = SyncState {
                token: state.token,
                // Our own backoff goes; a server's wait is never undercut (rule 7).
                retry: state.retry.filter(|retry| retry.asked_by == AskedBy::Server),
                last_success_at: state.last_success_at,
                // A server that has counted once is not believed without counts again (rule 1).
                server: std::mem::take(&mut state.server),
                erasures: std::mem::take(&mut state.erasures),
                ..SyncState::default()
            };
        }))
        .await
        .map(|_| ())
    }

    /// The first `limit` rows of each kind within `ranges`: the oldest records that are still to be sent.
    pub async fn window(
        &self,
        ranges: PerKind<KeyRange>,
        limit: usize,
    ) -> Result<PerKind<Vec<Row<S::Body>>>, OutboxError> {
        let queries =
            Kind::ALL.map(|kind| Query::Rows { table: Table::Outbox(kind), range: *ranges.of(kind), limit });
        let mut rows = self.store.read(&queries).await?.into_iter().map(Answer::rows);
        Ok(PerKind {
            page_visits: rows.next().unwrap_or_default(),
            tab_aggregates: rows.next().unwrap_or_default(),
        })
    }

    /// [`Outbox::window`] for the holder of a token: one that was overtaken while it was frozen reads no further.
    ///
    /// # Errors
    /// [`OutboxError::Fenced`] where another syncer has taken over.
    pub async fn window_of(
        &self,
        token: u64,
        ranges: PerKind<KeyRange>,
        limit: usize,
    ) -> Result<PerKind<Vec<Row<S::Body>>>, OutboxError> {
        let [visits, aggregates] =
            Kind::ALL.map(|kind| Query::Rows { table: Table::Outbox(kind), range: *ranges.of(kind), limit });
        let queries = [Query::Document(Document::SyncState), visits, aggregates];
        let mut answers = self.store.read(&queries).await?.into_iter();
        let state: SyncState = self.documents.state(answers.next().and_then(Answer::document))?;
        if state.token != token {
            return Err(OutboxError::Fenced);
        }
        let mut rows = answers.map(Answer::rows);
        Ok(PerKind {
            page_visits: rows.next().unwrap_or_default(),
            tab_aggregates: rows.next().unwrap_or_default(),
        })
    }

    /// Stores what waits together, where the store gains by that.
    pub async fn tidy(&self, books: &Books) -> Result<(), OutboxError> {
        for epoch in books.epochs() {
            for kind in Kind::ALL.into_iter().filter(|kind| epoch.counts.of(*kind).pending >= MANY_ROWS) {
                let range = KeyRange::rest_of_epoch(*epoch.lowest.of(kind));
                self.store.tidy(Table::Outbox(kind), range).await?;
            }
        }
        Ok(())
    }

    /// The newest record of a kind in a range.
    pub async fn newest(&self, kind: Kind, range: KeyRange) -> Result<Option<Row<S::Body>>, OutboxError> {
        let query = Query::Last { table: Table::Outbox(kind), range };
        Ok(self.store.read(&[query]).await?.into_iter().flat_map(Answer::rows).next())
    }

    /// The first `limit` rows of a range of a table.
    pub async fn page(
        &self,
        table: Table,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row<S::Body>>, OutboxError> {
        let query = Query::Rows { table, range, limit };
        Ok(self.store.read(&[query]).await?.into_iter().flat_map(Answer::rows).collect())
    }
}
