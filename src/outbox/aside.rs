//! What left the outbox without an acknowledgement: seen, put back, or given up.

use super::count::UNRECOVERABLE;
use super::settle::tombstone;
use super::{Outbox, OutboxError};
use crate::decisions::ledger::{Books, Place};
use crate::ports::store::{Answer, Change, Document, Query, Row, Store, Table};
use crate::words::hash::{HashMap, HashSet};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::Kind;
use crate::words::order;
use crate::words::time::UnixMillis;

/// Most rows of a table that are shown at once.
const MOST_SHOWN: usize = 1000;

/// A place from which records come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// Refused by the server.
    Quarantine,
    /// Set aside because of their age.
    Archive,
}

impl Aside {
    const fn table(self) -> Table {
        match self {
            Self::Quarantine => Table::Quarantine,
            Self::Archive => Table::Archive,
        }
    }

    const fn place(self) -> Place {
        match self {
            Self::Quarantine => Place::Quarantined,
            Self::Archive => Place::Archived,
        }
    }
}

impl<S: Store> Outbox<S> {
    /// The rows of a place, oldest first, at most a thousand.
    pub async fn list(&self, aside: Aside) -> Result<Vec<Row<S::Body>>, OutboxError> {
        let query = Query::Rows { table: aside.table(), range: KeyRange::everything(), limit: MOST_SHOWN };
        Ok(self.store.read(&[query]).await?.into_iter().flat_map(Answer::rows).collect())
    }

    /// Puts records back behind all others of their epoch; a visit's aggregates come with it. All of them where `ids`
    /// is none. Their age begins at `now`. Returns how many rows came back.
    pub async fn put_back(
        &self,
        aside: Aside,
        ids: Option<Vec<String>>,
        now: UnixMillis,
    ) -> Result<u64, OutboxError> {
        self.note_doubt().await?;
        self.take_from(aside, ids, |books, rows, changes| {
            let mut places = HashMap::<String, RowKey>::default();
            let count = rows.len() as u64;
            for mut row in rows {
                let (epoch, kind) = (row.key.epoch(), row.head.kind);
                books.transfer(epoch, kind, aside.place(), Place::Pending, 1)?;
                row.key = books.place_again(epoch);
                row.follows = row.head.refers_to.as_ref().and_then(|id| places.get(id).copied());
                row.note = None;
                row.captured_at = now;
                if kind == Kind::PageVisit {
                    places.entry(row.head.id.clone()).or_insert(row.key);
                }
                changes.push(Change::Insert(Table::Outbox(kind), row));
            }
            Ok(count)
        })
        .await
    }

    /// Gives records up by the user's will; a visit's aggregates go with it. Returns how many rows went.
    pub async fn discard(&self, aside: Aside, ids: Vec<String>) -> Result<u64, OutboxError> {
        self.take_from(aside, Some(ids), |books, rows, changes| {
            let count = rows.len() as u64;
            for row in rows {
                books.transfer(row.key.epoch(), row.head.kind, aside.place(), Place::Discarded, 1)?;
                let note = serde_json::json!({ "reason": "discarded" }).to_string();
                changes.push(Change::Insert(Table::Discarded, tombstone(row, note)));
            }
            Ok(count)
        })
        .await
    }

    // Visits come before aggregates, each in key order.
    async fn take_from(
        &self,
        aside: Aside,
        ids: Option<Vec<String>>,
        place: impl FnOnce(&mut Books, Vec<Row<S::Body>>, &mut Vec<Change<S::Body>>) -> Result<u64, OutboxError>,
    ) -> Result<u64, OutboxError> {
        let table = aside.table();
        let mut queries = vec![Query::Document(Document::Books)];
        match &ids {
            None => queries.push(Query::Rows { table, range: KeyRange::everything(), limit: usize::MAX }),
            Some(ids) => queries.extend(ids.iter().flat_map(|id| {
                [Query::Revisions { table, id: id.clone() }, Query::Referring { table, id: id.clone() }]
            })),
        }
        self.store
            .update(&queries, |answers| {
                let mut answers = answers.into_iter();
                let mut books: Books = self.documents.books(answers.next().and_then(Answer::document))?;
                let found = answers.flat_map(Answer::rows).filter(|row| {
                    // A visit that only came from a visit that was named stays where it is.
                    let named = ids.as_ref().is_none_or(|ids| ids.contains(&row.head.id));
                    named || row.head.kind == Kind::TabAggregate
                });
                let mut rows: Vec<Row<S::Body>> = found.collect();
                order::by_number(&mut rows, |row| row.key.behind_kind(row.head.kind));
                rows.dedup_by_key(|row| (row.head.kind, row.key));
                let delete = |row: &Row<_>| Change::Delete(table, KeyRange::closed(row.key, row.key));
                let mut changes: Vec<Change<S::Body>> = rows.iter().map(delete).collect();
                let count = place(&mut books, rows, &mut changes)?;
                changes.push(self.documents.write_books(&books)?);
                Ok((changes, count))
            })
            .await
    }

    /// Every revision of a record, with the table in which it is.
    pub async fn revisions(
        &self,
        tables: &[Table],
        id: &str,
    ) -> Result<Vec<(Table, Row<S::Body>)>, OutboxError> {
        let query = |table: &Table| Query::Revisions { table: *table, id: id.to_owned() };
        let queries: Vec<Query> = tables.iter().map(query).collect();
        let answers = self.store.read(&queries).await?.into_iter().map(Answer::rows);
        let pairs = tables.iter().zip(answers);
        Ok(pairs.flat_map(|(table, rows)| rows.into_iter().map(|row| (*table, row))).collect())
    }

    /// Which of these page visits are on this machine, and where: what refers to them can't count on the server.
    pub async fn whereabouts(&self, ids: &[String]) -> Result<HashMap<String, Table>, OutboxError> {
        let ids: HashSet<&String> = ids.iter().collect();
        let outbox = Table::Outbox(Kind::PageVisit);
        let questions: Vec<(&String, Table)> = ids
            .into_iter()
            .flat_map(|id| [outbox].into_iter().chain(Table::ASIDE).map(move |table| (id, table)))
            .collect();
        let queries: Vec<Query> = questions
            .iter()
            .map(|(id, table)| Query::Revisions { table: *table, id: (*id).clone() })
            .collect();
        let answers = self.store.read(&queries).await?.into_iter().map(Answer::rows);
        let mut whereabouts = HashMap::default();
        for ((id, table), rows) in questions.into_iter().zip(answers) {
            let Some(visit) = rows.iter().find(|row| row.head.kind == Kind::PageVisit) else { continue };
            // A lost visit withholds its aggregates as a refused one does: they are kept.
            let lost = visit.note.as_deref().is_some_and(|note| note.contains(UNRECOVERABLE));
            let table = if lost && table == Table::Discarded { Table::Quarantine } else { table };
            whereabouts.entry(id.clone()).or_insert(table);
        }
        Ok(whereabouts)
    }
}
