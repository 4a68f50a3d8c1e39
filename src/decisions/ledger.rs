//! The books: where every captured record is, by kind and epoch (rule 12), and whose epoch it is (rule 10).
//!
//! `captured = acknowledged + pending + quarantined + archived + discarded + unrecoverable` holds in every epoch after
//! every change, because a change moves a count from one place to another or adds to both sides.

mod receipts;
mod recount;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;
use crate::words::policy::MOST_DELIVERED_REMEMBERED;

/// Where a captured record can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the outbox, to be sent.
    Pending,
    /// On the server, by its own word.
    Acknowledged,
    /// Refused by the server, kept for the user to decide.
    Quarantined,
    /// Set aside because of its age.
    Archived,
    /// Given up by the user's will: discarded, excluded, erased.
    Discarded,
    /// Lost with a damaged store, and counted.
    Unrecoverable,
}

/// How many records of one kind are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Every record ever captured.
    pub captured: u64,
    /// [`Place::Acknowledged`].
    pub acknowledged: u64,
    /// [`Place::Pending`].
    pub pending: u64,
    /// [`Place::Quarantined`].
    pub quarantined: u64,
    /// [`Place::Archived`].
    pub archived: u64,
    /// [`Place::Discarded`].
    pub discarded: u64,
    /// [`Place::Unrecoverable`].
    pub unrecoverable: u64,
}

impl Counts {
    fn at(&mut self, place: Place) -> &mut u64 {
        match place {
            Place::Pending => &mut self.pending,
            Place::Acknowledged => &mut self.acknowledged,
            Place::Quarantined => &mut self.quarantined,
            Place::Archived => &mut self.archived,
            Place::Discarded => &mut self.discarded,
            Place::Unrecoverable => &mut self.unrecoverable,
        }
    }

    /// Whether every captured record is somewhere.
    pub const fn balance(&self) -> bool {
        self.captured
            == self.acknowledged
                + self.pending
                + self.quarantined
                + self.archived
                + self.discarded
                + self.unrecoverable
    }

    fn add(&mut self, other: &Self) {
        self.captured += other.captured;
        self.acknowledged += other.acknowledged;
        self.pending += other.pending;
        self.quarantined += other.quarantined;
        self.archived += other.archived;
        self.discarded += other.discarded;
        self.unrecoverable += other.unrecoverable;
    }

    /// Records that still are on this machine.
    const fn held(&self) -> u64 {
        self.pending + self.quarantined + self.archived
    }
}

/// A stretch of capture under one owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, the upper half of its rows' keys.
    pub number: u32,
    /// Whose it is; none while nobody was signed in.
    pub owner: Option<Owner>,
    /// Its counts.
    pub counts: PerKind<Counts>,
    /// No row of the epoch stands below this key in the outbox: where reads start (rule 13).
    pub lowest: PerKind<RowKey>,
    /// How often records were moved: a count of the rows that saw this number change has to begin anew.
    #[serde(default)]
    pub moves: u64,
    /// Where its lowest page visit stood when it was taken along from another server: what stood before is there.
    #[serde(default)]
    pub taken_at: Option<RowKey>,
}

/// The books of one database, kept in the same transactions as its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Books {
    next_count: u64,
    next_epoch: u32,
    /// Whether rows ever came back to another place than the one that others remember of them.
    #[serde(default)]
    anything_returned: bool,
    /// Oldest first; the last one takes what is captured now.
    pub(super) epochs: Vec<Epoch>,
}

/// A change that the books can't carry: the rows and the counts have come apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BooksError {
    /// More records would leave a place than are in it.
    #[error("the books hold fewer records at a place than were to leave it")]
    Overdrawn,
    /// A row of an epoch that the books don't know.
    #[error("the books know no such epoch")]
    NoSuchEpoch,
}

/// What the user sees: the books of all epochs in one line a kind, seen by the account that is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// All counts; `pending` without what is parked.
    pub counts: Counts,
    /// Pending under another owner: neither sent nor deleted.
    pub parked: u64,
}

impl Default for Books {
    fn default() -> Self {
        let mut books = Self { next_count: 1, next_epoch: 1, anything_returned: false, epochs: Vec::new() };
        books.start_epoch(None);
        books
    }
}

impl Books {
    fn start_epoch(&mut self, owner: Option<Owner>) {
        let number = self.next_epoch;
        self.next_epoch += 1;
        let first = RowKey::first_of(number);
        self.epochs.push(Epoch {
            number,
            owner,
            counts: PerKind::default(),
            lowest: PerKind { page_visits: first, tab_aggregates: first },
            moves: 0,
            taken_at: None,
        });
    }

    fn epoch_mut(&mut self, number: u32) -> Result<&mut Epoch, BooksError> {
        self.epochs.iter_mut().find(|epoch| epoch.number == number).ok_or(BooksError::NoSuchEpoch)
    }

    /// The epochs, oldest first.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Whose an epoch is; of one that isn't known, whose the present one is.
    pub fn owner_of(&self, epoch: Option<u32>) -> Option<&Owner> {
        let known = epoch.and_then(|number| self.epochs.iter().find(|epoch| epoch.number == number));
        known.or(self.epochs.last()).and_then(|epoch| epoch.owner.as_ref())
    }

    /// Whether so little waits that what is acknowledged next is worth remembering.
    pub fn is_nearly_drained(&self) -> bool {
        let waits = self.owner().map(|owner| self.pending_of(owner).total());
        waits.is_none_or(|waits| waits <= MOST_DELIVERED_REMEMBERED as u64)
    }

    /// Whose records are captured now.
    pub fn owner(&self) -> Option<&Owner> {
        self.epochs.last().and_then(|epoch| epoch.owner.as_ref())
    }

    /// Makes `owner` the one whose records are captured from now on; none when nobody is signed in any more.
    ///
    /// What was captured signed out goes to the first account that an installation ever knew (rule 10); with more than
    /// one known account it stays nobody's until the user says whose it is.
    pub fn hand_to(&mut self, owner: Option<&Owner>) {
        if self.owner() == owner {
            return;
        }
        if let Some(owner) = owner {
            let only_one_known =
                self.epochs.iter().all(|epoch| epoch.owner.as_ref().is_none_or(|known| known == owner));
            if only_one_known {
                self.give_nobodys_to(owner);
            }
        }
        if self.owner() != owner {
            self.start_epoch(owner.cloned());
        }
        self.fold_settled_epochs();
    }

    // An epoch without rows is only its counts; they are kept under the same owner's next one, so that the table stays
    // as short as the number of accounts with records on this machine.
    fn fold_settled_epochs(&mut self) {
        let mut index = 0;
        while index + 1 < self.epochs.len() {
            let (head, tail) = self.epochs.split_at_mut(index + 1);
            let Some(epoch) = head.last() else { return };
            let empty = Kind::ALL.iter().all(|kind| epoch.counts.of(*kind).held() == 0);
            let heir = tail.iter_mut().find(|later| later.owner == epoch.owner);
            match heir {
                Some(heir) if empty => {
                    for kind in Kind::ALL {
                        heir.counts.of_mut(kind).add(epoch.counts.of(kind));
                    }
                    self.epochs.remove(index);
                }
                _ => index += 1,
            }
        }
    }

    /// Counts one captured record and gives the place of its row: in `epoch`, where the record belongs to one that is
    /// known (a record keeps its visit's owner for life, rule 10), else in the epoch of now.
    pub fn capture(&mut self, kind: Kind, epoch: Option<u32>) -> Result<RowKey, BooksError> {
        let known = epoch.and_then(|number| self.epochs.iter().position(|epoch| epoch.number == number));
        let index = known.or(self.epochs.len().checked_sub(1)).ok_or(BooksError::NoSuchEpoch)?;
        let epoch = self.epochs.get_mut(index).ok_or(BooksError::NoSuchEpoch)?;
        let counts = epoch.counts.of_mut(kind);
        counts.captured += 1;
        counts.pending += 1;
        let key = RowKey::new(epoch.number, self.next_count);
        self.next_count += 1;
        Ok(key)
    }

    /// The epoch that takes what belongs to `owner`, a new one if they have none; the one of now stays the last.
    pub fn epoch_of(&mut self, owner: Option<&Owner>) -> u32 {
        if let Some(epoch) = self.epochs.iter().rev().find(|epoch| epoch.owner.as_ref() == owner) {
            return epoch.number;
        }
        self.start_epoch(owner.cloned());
        let last = self.epochs.len() - 1;
        self.epochs.swap(last.saturating_sub(1), last);
        self.next_epoch - 1
    }

    /// A place for the mere id of a record that may not be kept; it counts nowhere.
    pub fn place_of_memory(&mut self) -> Result<RowKey, BooksError> {
        let epoch = self.epochs.last().ok_or(BooksError::NoSuchEpoch)?.number;
        Ok(self.place_again(epoch))
    }

    /// A new place in `epoch` for a row that returns to the outbox; counts are moved apart.
    pub fn place_again(&mut self, epoch: u32) -> RowKey {
        let key = RowKey::new(epoch, self.next_count);
        self.next_count += 1;
        self.anything_returned = true;
        if let Ok(epoch) = self.epoch_mut(epoch) {
            epoch.moves += 1;
        }
        key
    }

    /// Everything that is on this machine was given up at once.
    pub fn discard_everything(&mut self) {
        for epoch in &mut self.epochs {
            let next = RowKey::new(epoch.number, self.next_count);
            epoch.lowest = PerKind { page_visits: next, tab_aggregates: next };
            epoch.moves += 1;
            for kind in Kind::ALL {
                let counts = epoch.counts.of_mut(kind);
                counts.discarded += counts.held();
                (counts.pending, counts.quarantined, counts.archived) = (0, 0, 0);
            }
            epoch.moves += 1;
        }
    }

    /// Moves `records` of `epoch` from one place to another.
    ///
    /// # Errors
    /// [`BooksError`] where the books don't hold that many there; they are unchanged then.
    pub fn transfer(
        &mut self,
        epoch: u32,
        kind: Kind,
        from: Place,
        to: Place,
        records: u64,
    ) -> Result<(), BooksError> {
        let epoch = self.epoch_mut(epoch)?;
        let counts = epoch.counts.of_mut(kind);
        let left = counts.at(from).checked_sub(records).ok_or(BooksError::Overdrawn)?;
        *counts.at(from) = left;
        *counts.at(to) += records;
        epoch.moves += 1;
        Ok(())
    }

    /// Notes that no row of this kind stands below `key` in its epoch any more; an epoch that is gone has none anyway.
    pub fn settled_below(&mut self, kind: Kind, key: RowKey) {
        if let Ok(epoch) = self.epoch_mut(key.epoch()) {
            let lowest = epoch.lowest.of_mut(kind);
            *lowest = (*lowest).max(key);
        }
    }

    /// The oldest epoch of `owner` with something to send, of those behind `after`, and where its rows are to be read.
    pub fn next_to_send(&self, owner: &Owner, after: Option<u32>) -> Option<(u32, PerKind<KeyRange>)> {
        let epoch = self.epochs.iter().find(|epoch| {
            epoch.owner.as_ref() == Some(owner)
                && after.is_none_or(|after| epoch.number > after)
                && Kind::ALL.iter().any(|kind| epoch.counts.of(*kind).pending > 0)
        })?;
        let ranges = PerKind {
            page_visits: KeyRange::rest_of_epoch(epoch.lowest.page_visits),
            tab_aggregates: KeyRange::rest_of_epoch(epoch.lowest.tab_aggregates),
        };
        Some((epoch.number, ranges))
    }

    /// Where the newest record of `owner` that is to be sent stands.
    pub fn newest(&self, kind: Kind, owner: &Owner) -> Option<KeyRange> {
        let waits = |epoch: &&Epoch| epoch.owner.as_ref() == Some(owner) && epoch.counts.of(kind).pending > 0;
        Some(KeyRange::rest_of_epoch(*self.epochs.iter().rev().find(waits)?.lowest.of(kind)))
    }

    /// How many records of `owner` wait to be sent.
    pub fn pending_of(&self, owner: &Owner) -> PerKind<u64> {
        self.pending_under(Some(owner))
    }

    pub(super) fn pending_under(&self, owner: Option<&Owner>) -> PerKind<u64> {
        let mut pending = PerKind::default();
        for epoch in self.epochs.iter().filter(|epoch| epoch.owner.as_ref() == owner) {
            for kind in Kind::ALL {
                *pending.of_mut(kind) += epoch.counts.of(kind).pending;
            }
        }
        pending
    }

    /// Whether a page visit of any owner was ever withheld from the server, so that a reference to it must be looked up.
    pub fn anything_withheld(&self) -> bool {
        self.anything_returned
            || self.epochs.iter().any(|epoch| {
                let visits = epoch.counts.page_visits;
                visits.quarantined + visits.archived + visits.discarded + visits.unrecoverable > 0
            })
    }

    /// The books as the user sees them. Signed out, nothing is parked: what waits, waits for a sign-in.
    pub fn totals(&self) -> PerKind<Totals> {
        let mut totals = PerKind::<Totals>::default();
        for epoch in &self.epochs {
            let parked = self.parks(epoch);
            for kind in Kind::ALL {
                let of_kind = totals.of_mut(kind);
                let counts = epoch.counts.of(kind);
                of_kind.counts.add(counts);
                if parked {
                    of_kind.counts.pending -= counts.pending;
                    of_kind.parked += counts.pending;
                }
            }
        }
        totals
    }

    /// Whether what waits in the epoch of this number waits for another account.
    pub fn is_parked(&self, number: u32) -> bool {
        self.epochs.iter().any(|epoch| epoch.number == number && self.parks(epoch))
    }

    fn parks(&self, epoch: &Epoch) -> bool {
        self.owner().is_some() && epoch.owner.as_ref() != self.owner()
    }

    /// Whether every epoch balances.
    pub fn balance(&self) -> bool {
        self.epochs.iter().all(|epoch| Kind::ALL.iter().all(|kind| epoch.counts.of(*kind).balance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(account: &str) -> Owner {
        Owner { origin: "https://api.example.com".into(), account: account.into() }
    }

    fn capture(books: &mut Books, records: usize) -> Vec<RowKey> {
        (0..records).map(|_| books.capture(Kind::PageVisit, None).unwrap()).collect()
    }

    #[test]
    fn every_change_keeps_the_balance() {
        let mut books = Books::default();
        books.hand_to(Some(&owner("a")));
        let keys = capture(&mut books, 5);
        let epoch = keys[0].epoch();
        books.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Acknowledged, 3).unwrap();
        books.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Quarantined, 1).unwrap();
        assert!(books.balance());
        let totals = books.totals().page_visits;
        assert_eq!((totals.counts.captured, totals.counts.pending, totals.parked), (5, 1, 0));
    }

    #[test]
    fn a_transfer_of_more_than_there_is_changes_nothing() {
        let mut books = Books::default();
        let epoch = capture(&mut books, 2)[0].epoch();
        let before = books.clone();
        let refused = books.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Acknowledged, 3);
        assert_eq!(refused, Err(BooksError::Overdrawn));
        assert_eq!(books, before);
    }

    #[test]
    fn the_first_account_takes_what_was_captured_signed_out() {
        let mut books = Books::default();
        capture(&mut books, 2);
        books.hand_to(Some(&owner("a")));
        assert_eq!(books.pending_of(&owner("a")).page_visits, 2);
        books.hand_to(None);
        capture(&mut books, 3);
        books.hand_to(Some(&owner("a")));
        assert_eq!(books.pending_of(&owner("a")).page_visits, 5);
    }

    #[test]
    fn a_second_account_takes_nothing_of_the_first_nor_of_nobody() {
        let mut books = Books::default();
        books.hand_to(Some(&owner("a")));
        capture(&mut books, 2);
        books.hand_to(None);
        capture(&mut books, 1);
        books.hand_to(Some(&owner("b")));
        assert_eq!(books.pending_of(&owner("b")).total(), 0);
        assert_eq!(books.next_to_send(&owner("b"), None), None);
        let totals = books.totals().page_visits;
        assert_eq!((totals.counts.pending, totals.parked), (0, 3));
        books.give_nobodys_to(&owner("b"));
        assert_eq!(books.pending_of(&owner("b")).page_visits, 1);
    }

    #[test]
    fn a_first_account_that_returns_finds_its_records_again() {
        let mut books = Books::default();
        books.hand_to(Some(&owner("a")));
        let first = capture(&mut books, 1)[0];
        books.hand_to(Some(&owner("b")));
        capture(&mut books, 1);
        books.hand_to(Some(&owner("a")));
        let second = capture(&mut books, 1)[0];
        assert_eq!(books.next_to_send(&owner("a"), None).unwrap().0, first.epoch());
        assert!(second > first);
        assert_eq!(books.pending_of(&owner("a")).page_visits, 2);
    }

    #[test]
    fn epochs_without_rows_are_folded_into_their_owners_next() {
        let mut books = Books::default();
        for _ in 0..50 {
            books.hand_to(Some(&owner("a")));
            let epoch = capture(&mut books, 1)[0].epoch();
            books.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Acknowledged, 1).unwrap();
            books.hand_to(None);
        }
        assert!(books.epochs().len() <= 3);
        assert_eq!(books.totals().page_visits.counts.captured, 50);
        assert!(books.balance());
    }

    #[test]
    fn reads_start_where_the_lowest_unsettled_row_stands() {
        let mut books = Books::default();
        books.hand_to(Some(&owner("a")));
        let keys = capture(&mut books, 3);
        books.settled_below(Kind::PageVisit, keys[1]);
        books.settled_below(Kind::PageVisit, keys[0]);
        let (_, ranges) = books.next_to_send(&owner("a"), None).unwrap();
        assert_eq!(ranges.page_visits.from, keys[1]);
        assert!(ranges.page_visits.contains(keys[2]));
    }
}
