//! Rows counted against the books, and documents made readable again.

use std::collections::BTreeSet;

use super::settle::place_of;
use super::{OVERVIEW, Outbox, OutboxError, Overview};
use crate::decisions::health::{Count, Page, Shelf};
use crate::decisions::ledger::Books;
use crate::decisions::sync_state::SyncState;
use crate::ports::store::{Answer, Change, Query, Row, Store, Table};
use crate::words::document;
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::Kind;
use crate::words::policy::COUNTED_ROWS;
use crate::words::record::Head;
use crate::words::time::UnixMillis;

/// The reason in the memory of a visit that was lost.
pub(super) const UNRECOVERABLE: &str = "unrecoverable";

impl<S: Store> Outbox<S> {
    /// Whether any record is on this machine, whatever the books say.
    pub async fn holds_anything(&self) -> Result<bool, OutboxError> {
        let range = KeyRange::everything();
        let queries = Table::OF_RECORDS.map(|table| Query::Keys { table, range, limit: 1 });
        Ok(self.store.read(&queries).await?.into_iter().any(|answer| !answer.keys().is_empty()))
    }

    /// Makes the documents readable again: books and syncer's memory are begun anew with what is `known` of them, where
    /// they can't be read or don't exist. The token is one that no holder of the lock can have. A full count of the rows
    /// begins. Returns the token.
    pub async fn mend(&self, known: Option<(Books, SyncState)>, now: UnixMillis) -> Result<u64, OutboxError> {
        let (known, kept) = known.unzip();
        self.store
            .update(&OVERVIEW, |answers| {
                let mut texts = answers.into_iter().map(Answer::document);
                let (books, state) = (texts.next().flatten(), texts.next().flatten());
                let is_lost = state.is_none();
                let read = self.documents.state(state).ok().filter(|_| !is_lost);
                let mut state = read.or(kept).unwrap_or_default();
                state.token = state.token.max(now.0.unsigned_abs()) + 1;
                let readable = books.is_some_and(|text| document::read::<Books>(&text).is_ok());
                let mut changes = Vec::new();
                if !readable {
                    state.health.count = Some(Count::of_rebuilt(known.is_some(), now));
                    changes.push(self.documents.write_books(&Books::anew(known))?);
                } else if !state.health.rebuilds() {
                    state.health.count = Some(Count::begin());
                }
                changes.push(self.documents.write_state(&state)?);
                Ok((changes, state.token))
            })
            .await
    }

    /// Counts the next rows against the books, at most [`COUNTED_ROWS`] of them, and corrects the books of every epoch
    /// that is through; rows that can't be read are deleted. `seen` says how far the count is, and afterwards what it has
    /// made of books and memory. Returns how many rows there were, or none at the end of the count.
    pub async fn count_rows(
        &self,
        token: u64,
        seen: &mut Overview,
        now: UnixMillis,
    ) -> Result<Option<usize>, OutboxError> {
        let Overview { books, state, .. } = &*seen;
        let count = state.health.count.clone().unwrap_or_else(Count::begin);
        let left = Table::OF_RECORDS.get(count.table..).unwrap_or_default();
        let Some(first) = left.first().copied() else { return Ok(None) };
        let range = KeyRange { from: count.from, ..KeyRange::everything() };
        // Tables that are nearly empty go together.
        let (tables, references) = match first {
            // Only aggregates can be orphans; what else refers to something is asked after a loss.
            Table::Outbox(kind) if books.anything_withheld() => {
                let books = count.found_losses().then_some(books);
                let references = match kind {
                    Kind::PageVisit if books.is_none() => References::default(),
                    _ => self.references(first, range, books).await?,
                };
                (&[first] as &[Table], references)
            }
            _ => (left, References::default()),
        };
        let mut queries = OVERVIEW.to_vec();
        for table in tables.iter().copied() {
            let range = if table == first { range } else { KeyRange::everything() };
            queries.push(Query::Keys { table, range, limit: COUNTED_ROWS });
            queries.push(Query::Rows { table, range, limit: COUNTED_ROWS });
        }
        let (after, read) = self
            .store
            .update(&queries, |answers| {
                let mut answers = answers.into_iter();
                let Overview { mut books, mut state, is_new } = self.documents.overview(&mut answers)?;
                if state.token != token {
                    return Err(OutboxError::Fenced);
                }
                let mut count = state.health.count.take().unwrap_or_else(Count::begin);
                let (mut changes, mut read) = (Vec::new(), 0);
                for table in tables {
                    let keys = answers.next().map(Answer::keys).unwrap_or_default();
                    let rows = answers.next().map(Answer::rows).unwrap_or_default();
                    let (page, unreadable) =
                        page_of(*table, shelf_of(*table), keys, &rows, references.orphans);
                    let reached = count.table;
                    count.take(shelf_of(*table), &page, &mut books);
                    changes.extend(unreadable);
                    read += page.keys.len();
                    // After a loss it is asked what refers to it.
                    if count.table == reached || count.found_losses() {
                        break;
                    }
                }
                let goes_on = count.table < Table::OF_RECORDS.len();
                for id in references.lost {
                    changes.push(Change::Insert(Table::Discarded, memory_of(id, &mut books, now)?));
                }
                if !goes_on {
                    count.close(&books);
                }
                state.health.count = Some(count);
                if !goes_on {
                    state.health.ended(now);
                }
                changes.push(self.documents.write_books(&books)?);
                changes.push(self.documents.write_state(&state)?);
                Ok((changes, (Overview { books, state, is_new }, goes_on.then_some(read))))
            })
            .await?;
        *seen = after;
        Ok(read)
    }

    // What the next rows of an outbox refer to, where that is not on the server; with the books also what is lost.
    async fn references(
        &self,
        table: Table,
        range: KeyRange,
        books: Option<&Books>,
    ) -> Result<References, OutboxError> {
        let rows = self.page(table, range, COUNTED_ROWS).await?;
        let ids: Vec<String> = rows.iter().filter_map(|row| row.head.refers_to.clone()).collect();
        let found = self.whereabouts(&ids).await?;
        let mut references = References::default();
        for row in &rows {
            let Some(id) = &row.head.refers_to else { continue };
            let stood_here = row.follows.is_some_and(|place| {
                let epoch = books.and_then(|books| books.epoch(place.epoch()));
                epoch.is_some_and(|epoch| place >= epoch.lowest.page_visits)
            });
            match found.get(id) {
                Some(Table::Discarded) if row.head.kind == Kind::TabAggregate => references.orphans += 1,
                None if stood_here => {
                    references.lost.insert(id.clone());
                }
                _ => {}
            }
        }
        Ok(references)
    }
}

#[derive(Default)]
struct References {
    /// Aggregates of discarded visits: they leave with the next batch, unless nobody sends it.
    orphans: u64,
    /// Page visits that were never settled and are gone.
    lost: BTreeSet<String>,
}

// The mere id of a page visit that was lost: what refers to it is not to wait for it, nor to name it (rule 6).
fn memory_of<B: From<String>>(id: String, books: &mut Books, now: UnixMillis) -> Result<Row<B>, OutboxError> {
    let head = Head { kind: Kind::PageVisit, id, revision: 1, refers_to: None, bytes: 0, sites: Vec::new() };
    let note = Some(format!(r#"{{"reason":"{UNRECOVERABLE}","counted":false}}"#));
    let key = books.place_of_memory()?;
    Ok(Row { key, head, follows: None, captured_at: now, body: String::new().into(), note })
}

const fn shelf_of(table: Table) -> Shelf {
    let kind = match table {
        Table::Outbox(kind) => Some(kind),
        _ => None,
    };
    Shelf { place: place_of(table), kind }
}

// What was read, as the count sees it; a key whose row can't be read is deleted.
fn page_of<B>(
    table: Table,
    shelf: Shelf,
    keys: Vec<RowKey>,
    rows: &[Row<B>],
    orphans: u64,
) -> (Page, Vec<Change<B>>) {
    let fits = |row: &&Row<B>| shelf.kind.is_none_or(|kind| kind == row.head.kind);
    let row_at = |key: &RowKey| {
        let place = rows.binary_search_by_key(key, |row| row.key).ok()?;
        rows.get(place).filter(fits)
    };
    let unreadable: Vec<RowKey> = keys.iter().filter(|key| row_at(key).is_none()).copied().collect();
    let counted = |row: &&Row<B>| {
        let note = row.note.as_deref().unwrap_or_default();
        table != Table::Discarded || !note.contains(r#""counted":false"#)
    };
    let counted_rows = keys.iter().filter_map(row_at).filter(counted);
    let page = Page {
        rows: counted_rows.map(|row| (row.key, row.head.kind)).collect(),
        unreadable: unreadable.len() as u64,
        orphans,
        is_last: keys.len() < COUNTED_ROWS,
        keys,
    };
    let changes =
        unreadable.into_iter().map(|key| Change::Delete(table, KeyRange::closed(key, key))).collect();
    (page, changes)
}
