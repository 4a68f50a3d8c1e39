//! Capture: records enter the outbox.

use super::{Outbox, OutboxError};
use crate::decisions::delivered::Delivered;
use crate::decisions::ledger::Books;
use crate::ports::store::{Answer, Body, Change, Document, Query, Row, Store, Table};
use crate::words::hash::HashMap;
use crate::words::key::RowKey;
use crate::words::kind::Kind;
use crate::words::owner::Owner;
use crate::words::record::{Head, Record};
use crate::words::time::UnixMillis;

/// What enters the outbox in one transaction: all of it or nothing.
#[derive(Debug, Default)]
pub struct Capture {
    /// The records, in the order in which they were made.
    pub records: Vec<Record>,
    /// Records that may not be kept (an excluded site's): only their ids are, so that what refers to them is known.
    pub forbidden: Vec<Record>,
    /// Whose the records are where no row of theirs or of their visit tells; none: of whoever is signed in.
    pub owner: Option<Option<Owner>>,
    /// The tracker's memory after making them, as a JSON text.
    pub tracker: Option<String>,
}

/// What became of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admission {
    /// Records that are new in the outbox.
    pub captured: u64,
    /// Records that it held already, word for word, or that were acknowledged so; they count nowhere.
    pub held_already: u64,
}

impl<S: Store> Outbox<S> {
    /// Adds records behind all others, and counts them as captured under the owner of now.
    ///
    /// A record that a row holds already with the same revision and body is not added again, nor one that was
    /// acknowledged so of late. What a record refers to is
    /// put before it where both come together. A later revision, and the aggregate of a visit that is on this machine,
    /// stay with the owner of the first (rule 10).
    ///
    /// # Errors
    /// [`OutboxError::RevisionHeld`] where the record is held or was acknowledged at this revision with another body.
    pub async fn append(&self, capture: Capture, now: UnixMillis) -> Result<Admission, OutboxError> {
        let Capture { records, forbidden, owner, tracker } = capture;
        let places = match self.anything_aside.get() {
            true => vec![Table::Quarantine, Table::Archive],
            false => Vec::new(),
        };
        let records = sources_first(records);
        let mut queries = vec![Query::Document(Document::Books)];
        for record in &records {
            let table = Table::Outbox(record.head.kind);
            queries.push(Query::Revisions { table, id: record.head.id.clone() });
            if let Some(id) = &record.head.refers_to {
                queries.push(Query::KeysOf { table: Table::Outbox(Kind::PageVisit), id: id.clone() });
            }
            let related = [Some(&record.head.id), record.head.refers_to.as_ref()].into_iter().flatten();
            for (id, table) in related.flat_map(|id| places.iter().map(move |table| (id, *table))) {
                queries.push(Query::KeysOf { table, id: id.clone() });
            }
        }
        // The tracker makes each record once.
        let may_repeat = tracker.is_none();
        if may_repeat {
            queries.push(Query::Document(Document::Delivered));
        }
        self.store
            .update(&queries, |mut answers| {
                let delivered = if may_repeat { answers.pop().and_then(Answer::document) } else { None };
                let delivered = Delivered::of(delivered);
                let delivered = delivered.index();
                let mut answers = answers.into_iter();
                let mut books: Books = self.documents.books(answers.next().and_then(Answer::document))?;
                let mut admission = Admission::default();
                self.anything_aside.set(books.anything_withheld() || !forbidden.is_empty());
                let mut changes = Vec::with_capacity(records.len() + 2);
                let mut visits: HashMap<String, RowKey> = HashMap::default();
                let mut within: HashMap<(Kind, String, u32), String> = HashMap::default();
                for Record { head, body } in records {
                    let held = answers.next().map(Answer::rows).unwrap_or_default();
                    let referred = head.refers_to.as_ref().and_then(|_| answers.next()).map(Answer::keys);
                    let mut aside_of = |asked: bool| -> Option<RowKey> {
                        let tables = if asked { places.len() } else { 0 };
                        answers.by_ref().take(tables).flat_map(Answer::keys).min()
                    };
                    let (own_aside, referred_aside) = (aside_of(true), aside_of(head.refers_to.is_some()));
                    let stored =
                        held.iter().find(|row| row.head.revision == head.revision).map(|row| row.body.text());
                    let identity = (head.kind, head.id.clone(), head.revision);
                    match stored.as_ref().or_else(|| within.get(&identity)) {
                        Some(known) if *known == body => {
                            admission.held_already += 1;
                            continue;
                        }
                        Some(_) => return Err(OutboxError::RevisionHeld { kind: head.kind, id: head.id }),
                        None => {}
                    }
                    let follows = head.refers_to.as_ref().and_then(|id| {
                        let stored = referred.and_then(|keys| keys.first().copied());
                        stored.or_else(|| visits.get(id).copied())
                    });
                    let earlier = held.first().map(|row| row.key).or(own_aside);
                    let kin = match head.kind {
                        Kind::PageVisit => earlier,
                        Kind::TabAggregate => earlier.or(follows).or(referred_aside),
                    };
                    let epoch = kin.map(RowKey::epoch);
                    let epoch = epoch.or_else(|| owner.as_ref().map(|owner| books.epoch_of(owner.as_ref())));
                    match delivered.holds(books.owner_of(epoch), &head, &body) {
                        Some(true) => {
                            admission.held_already += 1;
                            continue;
                        }
                        Some(false) => {
                            return Err(OutboxError::RevisionHeld { kind: head.kind, id: head.id });
                        }
                        None => {}
                    }
                    let key = books.capture(head.kind, epoch)?;
                    if head.kind == Kind::PageVisit {
                        visits.entry(head.id.clone()).or_insert(key);
                    }
                    within.insert(identity, body.clone());
                    admission.captured += 1;
                    let table = Table::Outbox(head.kind);
                    let body = S::Body::from(body);
                    changes.push(Change::Insert(
                        table,
                        Row { key, head, follows, captured_at: now, body, note: None },
                    ));
                }
                for Record { head, .. } in forbidden {
                    let key = books.place_of_memory()?;
                    let note = Some(r#"{"reason":"excluded","counted":false}"#.to_owned());
                    let head = Head { bytes: 0, sites: Vec::new(), ..head };
                    let body = S::Body::from(String::new());
                    let row = Row { key, head, follows: None, captured_at: now, body, note };
                    changes.push(Change::Insert(Table::Discarded, row));
                }
                if !changes.is_empty() {
                    changes.push(self.documents.write_books(&books)?);
                }
                if let Some(tracker) = tracker {
                    changes.push(Change::Write(Document::Tracker, tracker));
                }
                Ok((changes, admission))
            })
            .await
    }
}

// Page visits before tab aggregates, and each visit behind its source where both are in the list; apart from that the
// order is kept.
fn sources_first(records: Vec<Record>) -> Vec<Record> {
    let (visits, aggregates): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.head.kind == Kind::PageVisit);
    let places: HashMap<String, usize> =
        visits.iter().enumerate().rev().map(|(index, visit)| (visit.head.id.clone(), index)).collect();
    let mut waiting: Vec<Option<Record>> = visits.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(waiting.len() + aggregates.len());
    for first in 0..waiting.len() {
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some(record) = next.and_then(|index| waiting.get_mut(index)?.take()) {
            next = record.head.refers_to.as_ref().and_then(|id| places.get(id).copied());
            chain.push(record);
        }
        ordered.extend(chain.into_iter().rev());
    }
    ordered.extend(aggregates);
    ordered
}
