//! The rows that a slice has read and not yet settled.

use std::collections::{BTreeMap, BTreeSet};

use super::upload::{Batch, candidate};
use crate::decisions::batch::{self, Cut, Limits};
use crate::decisions::preflight::Known;
use crate::decisions::suspects::Unexplained;
use crate::ports::store::{Body, Row};
use crate::words::hash::{HashMap, HashSet};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::order;
use crate::words::policy::WINDOW_RECORDS;

/// Rows of the owner's epochs, one after another, each read from its lowest unsettled place on; memory is bounded by the window, not by the backlog.
pub(super) struct Windows<B> {
    /// The epoch that is read; none before one was chosen.
    epoch: Option<u32>,
    /// Where its rows that are not read yet stand.
    unread: Option<PerKind<KeyRange>>,
    /// To be sent, in key order.
    waiting: PerKind<Vec<Row<B>>>,
    /// Suspects and their aggregates: not sent until something proves that it is they.
    held: Batch<B>,
    /// Everything that was read and is not settled, by place, with its id.
    unsettled: PerKind<BTreeMap<RowKey, String>>,
    /// How many unsettled rows each page visit has.
    visits: HashMap<String, usize>,
    /// Those of them that the server has.
    stored: HashSet<String>,
}

impl<B: Body> Windows<B> {
    pub(super) fn new() -> Self {
        Self {
            epoch: None,
            unread: None,
            waiting: PerKind::default(),
            held: Vec::new(),
            unsettled: PerKind::default(),
            visits: HashMap::default(),
            stored: HashSet::default(),
        }
    }

    /// Goes on to another epoch.
    pub(super) fn begin(&mut self, epoch: u32, ranges: PerKind<KeyRange>) {
        self.epoch = Some(epoch);
        self.unread = Some(ranges);
    }

    /// The epoch that is read.
    pub(super) const fn epoch(&self) -> Option<u32> {
        self.epoch
    }

    /// Where the rows that are not read yet stand.
    pub(super) const fn unread(&self) -> Option<PerKind<KeyRange>> {
        self.unread
    }

    /// Whether a row is in memory and not settled.
    pub(super) fn holds(&self, row: &Row<B>) -> bool {
        self.unsettled.of(row.head.kind).contains_key(&row.key)
    }

    /// Whether something waits to be sent.
    pub(super) fn anything_waits(&self) -> bool {
        Kind::ALL.into_iter().any(|kind| !self.waiting.of(kind).is_empty())
    }

    /// Where to read on, if fewer rows wait than a full batch takes.
    pub(super) fn wants(&self, limits: &Limits) -> Option<PerKind<KeyRange>> {
        let unread = self.unread?;
        let short = Kind::ALL.into_iter().any(|kind| {
            let more = unread.of(kind).from < unread.of(kind).to;
            more && self.waiting.of(kind).len() < *limits.records.of(kind)
        });
        short.then_some(unread)
    }

    /// Takes what was read; what of it the server has already is returned.
    pub(super) fn take_in(
        &mut self,
        found: PerKind<Vec<Row<B>>>,
        trouble: &Unexplained,
        known: &Known,
    ) -> Batch<B> {
        let mut there = Vec::new();
        let Some(unread) = &mut self.unread else { return there };
        let PerKind { page_visits, tab_aggregates } = found;
        for (kind, rows) in [(Kind::PageVisit, page_visits), (Kind::TabAggregate, tab_aggregates)] {
            let range = unread.of_mut(kind);
            range.from = match rows.last() {
                Some(last) if rows.len() >= WINDOW_RECORDS => last.key.next(),
                _ => range.to,
            };
            for row in rows {
                self.unsettled.of_mut(kind).insert(row.key, row.head.id.clone());
                if kind == Kind::PageVisit {
                    *self.visits.entry(row.head.id.clone()).or_default() += 1;
                }
                let held = known.of(kind).get(&row.head.id);
                if held.is_some_and(|revision| *revision >= u64::from(row.head.revision)) {
                    there.push(row);
                } else if trouble.holds(kind, &row.head.id, row.head.refers_to.as_deref()) {
                    self.held.push(row);
                } else {
                    self.waiting.of_mut(kind).push(row);
                }
            }
        }
        there
    }

    /// Cuts the next batch from the heads.
    pub(super) fn cut(&self, limits: &Limits) -> Cut {
        let heads = PerKind {
            page_visits: self.waiting.page_visits.iter().map(candidate).collect(),
            tab_aggregates: self.waiting.tab_aggregates.iter().map(candidate).collect(),
        };
        batch::cut(&heads, limits)
    }

    /// Takes the rows that `covered` says from the heads.
    pub(super) fn take(&mut self, covered: PerKind<usize>) -> Batch<B> {
        let mut batch = Vec::with_capacity(covered.page_visits + covered.tab_aggregates);
        for kind in Kind::ALL {
            let waiting = self.waiting.of_mut(kind);
            batch.extend(waiting.drain(..(*covered.of(kind)).min(waiting.len())));
        }
        batch
    }

    /// Puts rows back where they were; those that were read for a probe alone are read again in their turn.
    pub(super) fn give_back(&mut self, batch: Batch<B>) {
        for row in batch {
            if self.holds(&row) {
                self.waiting.of_mut(row.head.kind).push(row);
            }
        }
        for kind in Kind::ALL {
            order::by_number(self.waiting.of_mut(kind), |row| row.key.packed());
        }
    }

    /// Sets rows aside that can't be sent before a suspect is cleared.
    pub(super) fn set_aside(&mut self, batch: Batch<B>) {
        self.held.extend(batch);
    }

    /// Sorts the waiting rows and `batch` anew: suspects are held, all others wait.
    pub(super) fn hold(&mut self, batch: Batch<B>, trouble: &Unexplained) {
        self.give_back(batch);
        let mut rows = std::mem::take(&mut self.held);
        for kind in Kind::ALL {
            rows.append(self.waiting.of_mut(kind));
        }
        let holds = |row: &Row<B>| trouble.holds(row.head.kind, &row.head.id, row.head.refers_to.as_deref());
        let (held, waiting): (Batch<B>, Batch<B>) = rows.into_iter().partition(holds);
        self.held = held;
        self.give_back(waiting);
    }

    /// Takes one row out of turn; whether it waited.
    pub(super) fn take_waiting(&mut self, row: &Row<B>) -> bool {
        let waiting = self.waiting.of_mut(row.head.kind);
        let before = waiting.len();
        waiting.retain(|each| each.key != row.key);
        waiting.len() < before
    }

    /// Forgets rows of records that the server has at a higher revision: their settlement takes them along, and a server
    /// that knows no revisions would be set back by them.
    pub(super) fn forget_lower(&mut self, kind: Kind, acknowledged: &HashMap<String, u32>) {
        let mut outdated = Vec::new();
        let mut stays = |row: &Row<B>| {
            let is_lower = row.head.kind == kind
                && acknowledged.get(&row.head.id).is_some_and(|revision| row.head.revision < *revision);
            if is_lower {
                outdated.push(row.key);
            }
            !is_lower
        };
        self.waiting.of_mut(kind).retain(&mut stays);
        self.held.retain(&mut stays);
        self.settled(kind, outdated.into_iter());
    }

    /// Takes every held row.
    pub(super) fn take_held(&mut self) -> Batch<B> {
        std::mem::take(&mut self.held)
    }

    /// Whether a page visit was read and is not on the server.
    pub(super) fn awaits(&self, visit: &str) -> bool {
        self.visits.contains_key(visit) && !self.is_stored(visit)
    }

    /// Notes that the server has page visits, which are not settled yet.
    pub(super) fn stored(&mut self, visits: impl Iterator<Item = String>) {
        self.stored.extend(visits);
    }

    /// Whether the server has a page visit that is not settled yet.
    pub(super) fn is_stored(&self, visit: &str) -> bool {
        self.stored.contains(visit)
    }

    /// Whether a place is one of another epoch, or one that is not read yet.
    pub(super) fn is_elsewhere(&self, place: RowKey) -> bool {
        Some(place.epoch()) != self.epoch
            || self.unread.is_some_and(|unread| unread.page_visits.contains(place))
    }

    /// Notes that rows are settled.
    pub(super) fn settled(&mut self, kind: Kind, keys: impl Iterator<Item = RowKey>) {
        for key in keys {
            let Some(id) = self.unsettled.of_mut(kind).remove(&key) else { continue };
            self.stored.remove(&id);
            if let (Kind::PageVisit, Some(rows)) = (kind, self.visits.get_mut(&id)) {
                *rows -= 1;
                if *rows == 0 {
                    self.visits.remove(&id);
                }
            }
        }
    }

    /// For each epoch of `leaving`: the lowest place of the kind that may still hold a row once they are gone.
    pub(super) fn lowest(&self, kind: Kind, leaving: &BTreeSet<RowKey>) -> Vec<RowKey> {
        let mut lowest = Vec::new();
        let mut rest = leaving.iter().peekable();
        while let Some(epoch) = rest.next().map(|key| key.epoch()) {
            while rest.next_if(|key| key.epoch() == epoch).is_some() {}
            let of_epoch = KeyRange::rest_of_epoch(RowKey::first_of(epoch));
            let mut staying = self.unsettled.of(kind).range(of_epoch.from..of_epoch.to).map(|(key, _)| key);
            let unread = self.unread.map(|unread| *unread.of(kind)).filter(|range| range.from < range.to);
            let unread = unread.map(|range| range.from).filter(|from| from.epoch() == epoch);
            // A row that was read for a probe alone says nothing of those before it.
            let read = |key: &&RowKey| self.unsettled.of(kind).contains_key(key);
            let behind = leaving.range(of_epoch.from..of_epoch.to).rev().find(read).map(|key| key.next());
            let staying = staying.find(|key| !leaving.contains(key)).copied();
            lowest.extend(staying.or(unread).or(behind));
        }
        lowest
    }
}
