//! Settlement: a verdict is applied to exactly the rows that were sent.

use std::collections::{BTreeMap, BTreeSet};

use super::documents::Documents;
use super::{Note, OVERVIEW, Outbox, OutboxError, Overview};
use crate::decisions::delivered::{Delivered, mark_of};
use crate::decisions::ledger::{Books, Place};
use crate::decisions::receipts::Receipts;
use crate::decisions::sync_state::SyncState;
use crate::ports::store::{Answer, Body, Change, Document, Query, Row, Store, Table};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::record::Head;
use crate::words::time::UnixMillis;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The server has its record at this revision: the row goes, and every lower revision with it, wherever it is.
    Acknowledged,
    /// The server refuses it: the row moves to quarantine, with this note (a JSON text).
    Quarantined(String),
    /// Nobody takes it for too long: the row moves to the archive, with this note (a JSON text).
    Archived(String),
    /// The user's will gives it up: the row goes, its id stays, with this note (a JSON text).
    Discarded(String),
}

/// The rows of one batch and what becomes of each.
#[derive(Debug)]
pub struct Settlement<B> {
    /// The fencing token of the syncer.
    pub token: u64,
    /// Every row that the batch covered, by kind, in key order.
    pub rows: PerKind<Vec<(Row<B>, Fate)>>,
    /// For each epoch of the rows, the lowest place of each kind that may still hold a row.
    pub lowest: PerKind<Vec<RowKey>>,
}

impl<S: Store> Outbox<S> {
    /// Applies a verdict: deletes what was acknowledged, sets aside what was refused, books both, and notes `note` of
    /// the sync, in one transaction. Rows that are gone already are not counted; rows that came meanwhile are not
    /// touched. Returns the syncer's memory then.
    ///
    /// # Errors
    /// [`OutboxError::Fenced`] where another syncer has taken over; nothing is changed then.
    pub async fn settle(
        &self,
        settlement: Settlement<S::Body>,
        note: Note<'_>,
    ) -> Result<SyncState, OutboxError> {
        let mut queries = OVERVIEW.to_vec();
        for kind in Kind::ALL {
            let rows = settlement.rows.of(kind);
            for of_epoch in rows.chunk_by(|(one, _), (next, _)| one.key.epoch() == next.key.epoch()) {
                if let (Some((first, _)), Some((last, _))) = (of_epoch.first(), of_epoch.last()) {
                    let range = KeyRange::closed(first.key, last.key);
                    queries.push(Query::Keys { table: Table::Outbox(kind), range, limit: usize::MAX });
                }
            }
        }
        let revised: Vec<(Kind, String, u32)> = Kind::ALL
            .into_iter()
            .flat_map(|kind| settlement.rows.of(kind).iter().map(move |row| (kind, row)))
            .filter(|(_, (row, fate))| row.head.revision > 1 && *fate == Fate::Acknowledged)
            .map(|(kind, (row, _))| (kind, row.head.id.clone(), row.head.revision))
            .collect();
        for (kind, id, _) in &revised {
            for table in [Table::Outbox(*kind), Table::Quarantine, Table::Archive] {
                queries.push(Query::Revisions { table, id: id.clone() });
            }
        }
        let remembers = self.nearly_drained.get();
        if remembers {
            queries.push(Query::Document(Document::Delivered));
        }
        let applied = self.store.update(&queries, |mut answers| {
            let delivered = if remembers { answers.pop().map(Answer::document) } else { None };
            apply(&self.documents, settlement, &revised, answers, delivered.map(Delivered::of), note)
        });
        let (state, nearly_drained) = applied.await?;
        self.nearly_drained.set(nearly_drained);
        Ok(state)
    }
}

// The syncer's memory then, and whether the backlog is nearly drained.
type Applied = (SyncState, bool);

fn apply<B: Body>(
    documents: &Documents,
    settlement: Settlement<B>,
    revised: &[(Kind, String, u32)],
    answers: Vec<Answer<B>>,
    mut delivered: Option<Delivered>,
    note: Note<'_>,
) -> Result<(Vec<Change<B>>, Applied), OutboxError> {
    let mut answers = answers.into_iter();
    let Overview { mut books, mut state, .. } = documents.overview(&mut answers)?;
    if state.token != settlement.token {
        return Err(OutboxError::Fenced);
    }
    let mut changes = Vec::new();
    let mut acknowledged = BTreeMap::<(u32, Kind, Table), BTreeSet<RowKey>>::new();
    let mut receipts = Vec::<(u32, Receipts)>::new();
    let Settlement { rows, lowest, .. } = settlement;
    let PerKind { page_visits, tab_aggregates } = rows;
    for (kind, rows) in [(Kind::PageVisit, page_visits), (Kind::TabAggregate, tab_aggregates)] {
        if rows.is_empty() {
            continue;
        }
        let table = Table::Outbox(kind);
        let epochs = rows.chunk_by(|(one, _), (next, _)| one.key.epoch() == next.key.epoch()).count();
        let present: Vec<RowKey> = answers.by_ref().take(epochs).flat_map(Answer::keys).collect();
        let mut leaving = BTreeSet::new();
        for (mut row, fate) in rows {
            if present.binary_search(&row.key).is_err() {
                continue;
            }
            leaving.insert(row.key);
            match fate {
                Fate::Acknowledged => {
                    if let Some(delivered) = &mut delivered {
                        let owner = books.owner_of(Some(row.key.epoch()));
                        delivered.add(owner, &row.head, &row.body.text());
                    }
                    acknowledged.entry((row.key.epoch(), kind, table)).or_default().insert(row.key);
                    give_receipt(&mut receipts, &row);
                }
                Fate::Quarantined(reason) => {
                    books.transfer(row.key.epoch(), kind, Place::Pending, Place::Quarantined, 1)?;
                    row.note = Some(reason);
                    changes.push(Change::Insert(Table::Quarantine, row));
                }
                Fate::Archived(reason) => {
                    books.transfer(row.key.epoch(), kind, Place::Pending, Place::Archived, 1)?;
                    row.note = Some(reason);
                    changes.push(Change::Insert(Table::Archive, row));
                }
                Fate::Discarded(reason) => {
                    books.transfer(row.key.epoch(), kind, Place::Pending, Place::Discarded, 1)?;
                    changes.push(Change::Insert(Table::Discarded, tombstone(row, reason)));
                }
            }
        }
        changes.extend(runs(&present, &leaving).map(|range| Change::Delete(table, range)));
    }
    for (kind, _, revision) in revised {
        for table in [Table::Outbox(*kind), Table::Quarantine, Table::Archive] {
            let held = answers.next().map(Answer::rows).unwrap_or_default();
            for row in held.iter().filter(|row| row.head.kind == *kind && row.head.revision < *revision) {
                let keys = acknowledged.entry((row.key.epoch(), *kind, table)).or_default();
                if keys.insert(row.key) {
                    give_receipt(&mut receipts, row);
                    changes.push(Change::Delete(table, KeyRange::closed(row.key, row.key)));
                }
            }
        }
    }
    for (epoch, receipts) in receipts {
        changes.extend(kept(&mut books, epoch, receipts));
    }
    for ((epoch, kind, table), keys) in acknowledged {
        books.transfer(epoch, kind, place_of(table), Place::Acknowledged, keys.len() as u64)?;
    }
    for kind in Kind::ALL {
        for key in lowest.of(kind) {
            books.settled_below(kind, *key);
        }
    }
    note(&mut state);
    changes.push(documents.write_books(&books)?);
    changes.push(documents.write_state(&state)?);
    if let Some(delivered) = delivered {
        changes.push(Change::Write(Document::Delivered, delivered.into_text()));
    }
    Ok((changes, (state, books.is_nearly_drained())))
}

// The receipts of an epoch's rows go together: they are of one owner.
fn give_receipt<B>(receipts: &mut Vec<(u32, Receipts)>, row: &Row<B>) {
    let epoch = row.key.epoch();
    if receipts.last().is_none_or(|(last, _)| *last != epoch) {
        receipts.push((epoch, Receipts::default()));
    }
    if let Some((_, receipts)) = receipts.last_mut() {
        receipts.add(&row.head, row.captured_at);
    }
}

// The row in which receipts are kept; those that are too old go.
fn kept<B: From<String>>(books: &mut Books, epoch: u32, receipts: Receipts) -> Vec<Change<B>> {
    if receipts.is_empty() {
        return Vec::new();
    }
    let id = mark_of(books.owner_of(Some(epoch)));
    let (key, too_old) = books.place_of_receipts(receipts.len());
    let text = receipts.into_text();
    let head = Head { kind: Kind::PageVisit, id, revision: 1, refers_to: None, bytes: 0, sites: Vec::new() };
    let captured_at = UnixMillis::default();
    let row = Row { key, head, follows: None, captured_at, body: text.into(), note: None };
    let dropped = too_old.map(|range| Change::Delete(Table::Receipts, range));
    dropped.into_iter().chain([Change::Insert(Table::Receipts, row)]).collect()
}

/// Where the records of a table count.
pub(super) const fn place_of(table: Table) -> Place {
    match table {
        Table::Outbox(_) => Place::Pending,
        Table::Quarantine => Place::Quarantined,
        Table::Archive => Place::Archived,
        Table::Discarded => Place::Discarded,
        Table::Receipts => Place::Acknowledged,
    }
}

/// What stays of a row that was given up: its id and the reason, nothing of its content.
pub(super) fn tombstone<B: From<String>>(row: Row<B>, reason: String) -> Row<B> {
    let head = Head { bytes: 0, sites: Vec::new(), ..row.head };
    Row { head, body: String::new().into(), note: Some(reason), ..row }
}

// Ranges that cover every leaving key and no other present one: a run over neighbours is one delete.
fn runs(present: &[RowKey], leaving: &BTreeSet<RowKey>) -> impl Iterator<Item = KeyRange> {
    present
        .chunk_by(|one, next| one.epoch() == next.epoch() && leaving.contains(one) == leaving.contains(next))
        .filter(|run| run.first().is_some_and(|key| leaving.contains(key)))
        .filter_map(|run| Some(KeyRange::closed(*run.first()?, *run.last()?)))
        .collect::<Vec<_>>()
        .into_iter()
}
