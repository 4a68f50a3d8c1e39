//! The health check: rows are counted against the books, a bounded page at a time (rule 12).
//!
//! A count may take many wakes, while records come and go. So it goes epoch by epoch: an epoch whose records were moved
//! meanwhile is counted anew, and rows that are younger than its count are left to the next one.

use serde::{Deserialize, Serialize};

use super::ledger::{Books, Place};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::policy::COUNT_EVERY;
use crate::words::time::{Millis, UnixMillis};

/// What is known of the database's health; persisted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// When the last full count of the rows ended.
    pub checked_at: Option<UnixMillis>,
    /// What it found.
    pub found: Findings,
    /// The count that goes on.
    pub count: Option<Count>,
    /// When the books were begun anew after damage.
    pub rebuilt: Option<Rebuilt>,
}

/// The books were lost and begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuilt {
    /// When.
    pub at: UnixMillis,
    /// Whether their totals were known from the mirror; if not, what was there before is counted nowhere.
    pub mirrored: bool,
    /// Rows that were saved.
    pub saved: u64,
}

/// Where rows and books have come apart, in rows. What can be put right has been: the books say again what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Findings {
    /// In the books and not in the database: `unrecoverable` now.
    pub missing: u64,
    /// In the database and not in the books: counted now.
    pub uncounted: u64,
    /// Not to be read: deleted, and missing.
    pub unreadable: u64,
    /// Of an epoch that the books did not know, or aggregates of a discarded visit.
    pub orphans: u64,
}

impl Findings {
    /// Whether rows and books agreed.
    pub const fn balanced(&self) -> bool {
        self.missing == 0 && self.uncounted == 0 && self.unreadable == 0
    }
}

/// A count of the rows, as far as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The table that is counted, by its place in the list of all.
    pub table: usize,
    /// Where to read on.
    pub from: RowKey,
    /// The epoch that is counted; none before the first of a table.
    epoch: Option<OfEpoch>,
    /// What was found so far.
    found: Findings,
    /// Discarded records of which the id is kept.
    tombstones: PerKind<u64>,
    /// The books were begun anew: every row is one that was saved.
    rebuilds: Option<Rebuilt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OfEpoch {
    number: u32,
    moves: u64,
    younger: u64,
    expected: PerKind<u64>,
    rows: PerKind<u64>,
}

/// A page of a table, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Every key from where the count reads on.
    pub keys: Vec<RowKey>,
    /// Those of them whose rows can be read and are counted in the books, with the kinds.
    pub rows: Vec<(RowKey, Kind)>,
    /// Rows that can't be read.
    pub unreadable: u64,
    /// Aggregates of discarded visits among them.
    pub orphans: u64,
    /// No row stands behind the last one.
    pub is_last: bool,
}

/// A table, as the books see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    /// Where its records count.
    pub place: Place,
    /// The kind that it holds; none where it holds both.
    pub kind: Option<Kind>,
}

impl Shelf {
    fn holds(self, kind: Kind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }
}

impl Health {
    /// Whether a count is due, or goes on.
    pub fn is_due(&self, now: UnixMillis) -> bool {
        self.count.is_some()
            || self.checked_at.is_none_or(|at| {
                let age = now.since(at);
                age >= COUNT_EVERY || age < Millis(0)
            })
    }

    /// Whether books that were begun anew are not yet whole.
    pub fn rebuilds(&self) -> bool {
        self.count.as_ref().is_some_and(|count| count.rebuilds.is_some())
    }

    /// Takes the end of a count.
    pub fn ended(&mut self, now: UnixMillis) {
        let Some(count) = self.count.take() else { return };
        self.checked_at = Some(now);
        match count.rebuilds {
            Some(rebuilt) => {
                self.rebuilt = Some(Rebuilt { at: now, saved: count.found.uncounted, ..rebuilt });
                self.found = Findings::default();
            }
            None => self.found = count.found,
        }
    }
}

impl Count {
    /// A count from the beginning.
    pub fn begin() -> Self {
        Self {
            table: 0,
            from: KeyRange::everything().from,
            epoch: None,
            found: Findings::default(),
            tombstones: PerKind::default(),
            rebuilds: None,
        }
    }

    /// The count that makes books whole that were begun anew.
    pub fn of_rebuilt(mirrored: bool, now: UnixMillis) -> Self {
        Self { rebuilds: Some(Rebuilt { at: now, mirrored, saved: 0 }), ..Self::begin() }
    }

    /// Counts a page of `shelf`, which was read from `from` on, and corrects the books of every epoch that is through.
    pub fn take(&mut self, shelf: Shelf, page: &Page, books: &mut Books) {
        if self.restarts(shelf, books) {
            return;
        }
        self.found.unreadable += page.unreadable;
        self.found.orphans += page.orphans;
        let mut rows = page.rows.iter().peekable();
        for key in &page.keys {
            self.go_to(Some(key.epoch()), shelf, books);
            while let Some((_, kind)) = rows.next_if(|(row, _)| row <= key) {
                self.row(shelf, *key, *kind, books);
            }
            self.from = key.next();
        }
        if page.is_last {
            self.go_to(None, shelf, books);
            self.table += 1;
            self.from = KeyRange::everything().from;
        }
    }

    /// Whether rows are gone, as far as the count is.
    pub const fn found_losses(&self) -> bool {
        self.rebuilds.is_some() || self.found.missing > 0 || self.found.unreadable > 0
    }

    /// Looks at what was counted of all tables together.
    pub fn close(&mut self, books: &Books) {
        let totals = books.totals();
        for kind in Kind::ALL {
            let discarded = totals.of(kind).counts.discarded;
            self.found.uncounted += self.tombstones.of(kind).saturating_sub(discarded);
        }
    }

    // An epoch that changed under the count is counted from its first row again.
    fn restarts(&mut self, shelf: Shelf, books: &Books) -> bool {
        let Some(epoch) = &mut self.epoch else { return false };
        if shelf.place == Place::Discarded || epoch.moves == moves(epoch.number, books) {
            return false;
        }
        *epoch = OfEpoch::begin(epoch.number, shelf, books);
        self.from = RowKey::first_of(epoch.number);
        true
    }

    // Ends every epoch before `number`, with rows or without; all of them at the end of a table.
    fn go_to(&mut self, number: Option<u32>, shelf: Shelf, books: &mut Books) {
        loop {
            let behind = match self.epoch {
                Some(epoch) if Some(epoch.number) == number => return,
                Some(epoch) => {
                    self.end_epoch(epoch, shelf, books);
                    epoch.number
                }
                None => 0,
            };
            let next = match (books.epoch_behind(behind), number) {
                (Some(known), Some(number)) => Some(known.min(number)),
                (known, number) => known.or(number),
            };
            self.epoch = next.map(|number| OfEpoch::begin(number, shelf, books));
            if next.is_none() {
                return;
            }
        }
    }

    fn row(&mut self, shelf: Shelf, key: RowKey, kind: Kind, books: &mut Books) {
        if shelf.place == Place::Discarded {
            *self.tombstones.of_mut(kind) += 1;
            return;
        }
        let Some(epoch) = &mut self.epoch else { return };
        if key.count() >= epoch.younger {
            return;
        }
        *epoch.rows.of_mut(kind) += 1;
        if shelf.place == Place::Pending {
            books.stands_at(kind, key);
        }
    }

    fn end_epoch(&mut self, epoch: OfEpoch, shelf: Shelf, books: &mut Books) {
        if shelf.place == Place::Discarded {
            return;
        }
        if books.epoch(epoch.number).is_none() && epoch.rows.total() > 0 {
            self.found.orphans += epoch.rows.total();
            books.take_in(epoch.number);
        }
        for kind in Kind::ALL.into_iter().filter(|kind| shelf.holds(*kind)) {
            let (expected, rows) = (*epoch.expected.of(kind), *epoch.rows.of(kind));
            self.found.missing += expected.saturating_sub(rows);
            self.found.uncounted += rows.saturating_sub(expected);
            books.correct(epoch.number, kind, shelf.place, expected, rows);
        }
    }
}

impl OfEpoch {
    fn begin(number: u32, shelf: Shelf, books: &Books) -> Self {
        let mut expected = PerKind::default();
        for kind in Kind::ALL.into_iter().filter(|kind| shelf.holds(*kind)) {
            let counts = books.epoch(number).map(|epoch| *epoch.counts.of(kind)).unwrap_or_default();
            *expected.of_mut(kind) = match shelf.place {
                Place::Pending => counts.pending,
                Place::Quarantined => counts.quarantined,
                Place::Archived => counts.archived,
                Place::Acknowledged | Place::Discarded | Place::Unrecoverable => 0,
            };
        }
        Self {
            number,
            moves: moves(number, books),
            younger: books.next_count(),
            expected,
            rows: PerKind::default(),
        }
    }
}

fn moves(number: u32, books: &Books) -> u64 {
    books.epoch(number).map_or(0, |epoch| epoch.moves)
}
