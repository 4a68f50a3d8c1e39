//! The books, against a list of all records in which each says where it is and whose.

use std::collections::BTreeSet;

use heyho_sync::decisions::ledger::{Books, BooksError, Counts, Place};
use heyho_sync::words::key::RowKey;
use heyho_sync::words::kind::Kind;
use heyho_sync::words::owner::Owner;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

const PLACES: [Place; 6] = [
    Place::Pending,
    Place::Acknowledged,
    Place::Quarantined,
    Place::Archived,
    Place::Discarded,
    Place::Unrecoverable,
];

#[derive(Debug, Clone)]
enum Change {
    /// A new record; or, where a number is given, one that belongs to a record that still is on this machine.
    Capture(Kind, Option<usize>),
    /// The id of a record that may not be kept.
    Remember,
    SignIn(u8),
    SignOut,
    /// The user says that what was captured signed out belongs to the account that is signed in.
    Claim,
    /// A record that still is on this machine goes elsewhere, or back to the outbox.
    Move(usize, Place),
    /// A batch: so many of the oldest pending records of the same epoch and kind as this one.
    Settle(usize, usize, Place),
    /// More records are to leave than there are.
    Overdraw(usize, Place, Place),
    /// What stands below the lowest pending record is never read again.
    RaiseLowest(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let kind = || select(Kind::ALL.to_vec());
    let place = || select(PLACES.to_vec());
    prop_oneof![
        8 => (kind(), option::weighted(0.2, any::<usize>())).prop_map(|(kind, kin)| Change::Capture(kind, kin)),
        1 => Just(Change::Remember),
        2 => (0..3_u8).prop_map(Change::SignIn),
        1 => Just(Change::SignOut),
        1 => Just(Change::Claim),
        4 => (any::<usize>(), place()).prop_map(|(record, to)| Change::Move(record, to)),
        2 => (any::<usize>(), 1..5_usize, select(PLACES[1..].to_vec()))
            .prop_map(|(record, records, to)| Change::Settle(record, records, to)),
        1 => (any::<usize>(), place(), place()).prop_map(|(record, from, to)| Change::Overdraw(record, from, to)),
        2 => any::<usize>().prop_map(Change::RaiseLowest),
    ]
}

fn owner(account: u8) -> Owner {
    Owner { origin: "https://api.example.com".into(), account: format!("user-{account}") }
}

#[derive(Debug, Clone, PartialEq)]
struct Record {
    kind: Kind,
    key: RowKey,
    place: Place,
    owner: Option<u8>,
}

impl Record {
    fn is_held(&self) -> bool {
        matches!(self.place, Place::Pending | Place::Quarantined | Place::Archived)
    }

    fn shelf(&self) -> (u32, Kind, Place) {
        (self.key.epoch(), self.kind, self.place)
    }
}

#[derive(Default)]
struct Model {
    records: Vec<Record>,
    signed_in: Option<u8>,
    known: BTreeSet<u8>,
    keys: Vec<RowKey>,
    returned: bool,
}

const COUNT_MASK: u64 = (1 << 36) - 1;

impl Model {
    /// A record that still is on this machine.
    fn held(&self, pick: usize) -> Option<usize> {
        let held: Vec<usize> =
            (0..self.records.len()).filter(|index| self.records[*index].is_held()).collect();
        (!held.is_empty()).then(|| held[pick % held.len()])
    }

    fn new_key(&mut self, key: RowKey) {
        let count = key.packed() & COUNT_MASK;
        assert!(self.keys.iter().all(|earlier| earlier.packed() & COUNT_MASK < count), "a number came twice");
        self.keys.push(key);
    }

    fn make(&mut self, books: &mut Books, change: Change) {
        match change {
            Change::Capture(kind, kin) => {
                let kin = kin.and_then(|pick| self.held(pick)).map(|index| self.records[index].clone());
                let epoch = kin.as_ref().map(|kin| kin.key.epoch());
                let key = books.capture(kind, epoch).unwrap();
                match epoch {
                    Some(epoch) => assert_eq!(key.epoch(), epoch, "a record left its kin"),
                    None => {
                        assert!(self.keys.iter().all(|earlier| *earlier < key), "captured before another")
                    }
                }
                self.new_key(key);
                let owner = kin.map_or(self.signed_in, |kin| kin.owner);
                self.records.push(Record { kind, key, place: Place::Pending, owner });
            }
            Change::Remember => {
                let key = books.place_of_memory().unwrap();
                self.new_key(key);
                self.returned = true;
            }
            Change::SignIn(account) => {
                books.hand_to(Some(&owner(account)));
                self.signed_in = Some(account);
                self.known.insert(account);
                if self.known.len() == 1 {
                    self.give_nobodys_to(account);
                }
            }
            Change::SignOut => {
                books.hand_to(None);
                self.signed_in = None;
            }
            Change::Claim => {
                if let Some(account) = self.signed_in {
                    books.give_nobodys_to(&owner(account));
                    self.give_nobodys_to(account);
                }
            }
            Change::Move(pick, to) => {
                let Some(index) = self.held(pick) else { return };
                let (epoch, kind, from) = self.records[index].shelf();
                books.transfer(epoch, kind, from, to, 1).unwrap();
                if to == Place::Pending && from != Place::Pending {
                    let key = books.place_again(epoch);
                    assert_eq!(key.epoch(), epoch, "a row changed its epoch, and so its owner");
                    self.new_key(key);
                    self.returned = true;
                    self.records[index].key = key;
                }
                self.records[index].place = to;
            }
            Change::Settle(pick, records, to) => {
                let Some(index) = self.held(pick) else { return };
                let (epoch, kind, _) = self.records[index].shelf();
                let mut batch: Vec<&mut Record> = self.records.iter_mut().collect();
                batch.retain(|record| record.shelf() == (epoch, kind, Place::Pending));
                batch.sort_by_key(|record| record.key);
                batch.truncate(records);
                books.transfer(epoch, kind, Place::Pending, to, batch.len() as u64).unwrap();
                batch.into_iter().for_each(|record| record.place = to);
            }
            Change::Overdraw(pick, from, to) => {
                let Some(index) = self.held(pick) else { return };
                let (epoch, kind, _) = self.records[index].shelf();
                let before = books.clone();
                let epochs = books.epochs().iter();
                let there: u64 = epochs.map(|each| count(each.counts.of(kind), from)).sum();
                let refused = books.transfer(epoch, kind, from, to, there + 1);
                assert_eq!(refused, Err(BooksError::Overdrawn));
                assert_eq!(books.transfer(99_999, kind, from, to, 0), Err(BooksError::NoSuchEpoch));
                assert_eq!(*books, before);
            }
            Change::RaiseLowest(pick) => {
                let Some(index) = self.held(pick) else { return };
                let (epoch, kind, _) = self.records[index].shelf();
                let pending =
                    self.records.iter().filter(|each| each.shelf() == (epoch, kind, Place::Pending));
                if let Some(lowest) = pending.map(|record| record.key).min() {
                    books.settled_below(kind, lowest);
                    books.settled_below(kind, RowKey::first_of(epoch));
                    let found = books.epochs().iter().find(|each| each.number == epoch);
                    assert_eq!(
                        found.map(|each| *each.lowest.of(kind)),
                        Some(lowest),
                        "read from too far down"
                    );
                }
            }
        }
    }

    fn give_nobodys_to(&mut self, account: u8) {
        for record in self.records.iter_mut().filter(|record| record.owner.is_none()) {
            record.owner = Some(account);
        }
    }

    fn count(&self, which: impl Fn(&Record) -> bool) -> u64 {
        self.records.iter().filter(|record| which(record)).count() as u64
    }

    fn check(&self, books: &Books) -> Result<(), TestCaseError> {
        prop_assert!(books.owner().cloned() == self.signed_in.map(owner));
        for record in self.records.iter().filter(|record| record.is_held()) {
            let epoch = books.epochs().iter().find(|epoch| epoch.number == record.key.epoch()).unwrap();
            prop_assert!(epoch.owner == record.owner.map(owner), "a record went to somebody else");
        }
        self.check_counts(books)?;
        for account in 0..3 {
            self.check_reading(books, account)?;
        }
        let withheld = |record: &Record| {
            record.kind == Kind::PageVisit && !matches!(record.place, Place::Pending | Place::Acknowledged)
        };
        prop_assert_eq!(books.anything_withheld(), self.returned || self.count(withheld) > 0);
        Ok(())
    }

    fn check_counts(&self, books: &Books) -> Result<(), TestCaseError> {
        let totals = books.totals();
        for kind in Kind::ALL {
            let of = totals.of(kind);
            prop_assert_eq!(of.counts.captured, self.count(|record| record.kind == kind));
            let parked = |record: &Record| self.signed_in.is_some() && record.owner != self.signed_in;
            let pending = |record: &Record| record.kind == kind && record.place == Place::Pending;
            prop_assert_eq!(of.counts.pending, self.count(|record| pending(record) && !parked(record)));
            prop_assert_eq!(of.parked, self.count(|record| pending(record) && parked(record)));
            for place in &PLACES[1..] {
                let there = self.count(|record| record.kind == kind && record.place == *place);
                prop_assert_eq!(count(&of.counts, *place), there);
            }
            for epoch in books.epochs() {
                let counts = epoch.counts.of(kind);
                let sum: u64 = PLACES.iter().map(|place| count(counts, *place)).sum();
                prop_assert_eq!(counts.captured, sum, "an epoch is out of balance");
            }
            for account in [None, Some(0), Some(1), Some(2)] {
                let epochs = books.epochs().iter().filter(|epoch| epoch.owner == account.map(owner));
                let captured: u64 = epochs.map(|epoch| epoch.counts.of(kind).captured).sum();
                let owned = |record: &Record| record.kind == kind && record.owner == account;
                prop_assert_eq!(captured, self.count(owned));
            }
        }
        prop_assert!(books.balance());
        Ok(())
    }

    fn check_reading(&self, books: &Books, account: u8) -> Result<(), TestCaseError> {
        let waiting = |kind: Option<Kind>| -> Vec<&Record> {
            let waits = |record: &&Record| record.place == Place::Pending && record.owner == Some(account);
            self.records
                .iter()
                .filter(waits)
                .filter(|each| kind.is_none_or(|kind| kind == each.kind))
                .collect()
        };
        let account = owner(account);
        for kind in Kind::ALL {
            prop_assert_eq!(*books.pending_of(&account).of(kind), waiting(Some(kind)).len() as u64);
        }
        let mut epochs: BTreeSet<u32> = waiting(None).iter().map(|record| record.key.epoch()).collect();
        let mut after = None;
        while let Some((epoch, ranges)) = books.next_to_send(&account, after) {
            prop_assert_eq!(epochs.pop_first(), Some(epoch));
            for record in waiting(None).into_iter().filter(|record| record.key.epoch() == epoch) {
                prop_assert!(
                    ranges.of(record.kind).contains(record.key),
                    "a pending record would not be read"
                );
            }
            after = Some(epoch);
        }
        prop_assert!(epochs.is_empty(), "an epoch with pending records would not be read");
        let newest = waiting(Some(Kind::PageVisit)).into_iter().max_by_key(|record| record.key.epoch());
        match (newest, books.newest(Kind::PageVisit, &account)) {
            (Some(newest), Some(range)) => prop_assert_eq!(range.from.epoch(), newest.key.epoch()),
            (newest, range) => prop_assert!(newest.is_none() && range.is_none()),
        }
        Ok(())
    }
}

fn count(counts: &Counts, place: Place) -> u64 {
    match place {
        Place::Pending => counts.pending,
        Place::Acknowledged => counts.acknowledged,
        Place::Quarantined => counts.quarantined,
        Place::Archived => counts.archived,
        Place::Discarded => counts.discarded,
        Place::Unrecoverable => counts.unrecoverable,
    }
}

proptest! {
    #![proptest_config(cases(1_024))]

    #[test]
    fn the_books_agree_with_a_list_of_all_records_whatever_happens(changes in vec(change(), 0..60)) {
        let mut books = Books::default();
        let mut model = Model::default();
        for change in changes {
            model.make(&mut books, change);
            model.check(&books)?;
        }
        let stored = serde_json::to_string(&books).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Books>(&stored).unwrap(), &books);
        // Only records on this machine need an epoch of their own, and each owner one more, once another one begins.
        books.hand_to(Some(&owner(9)));
        books.hand_to(None);
        let held: BTreeSet<u32> =
            model.records.iter().filter(|record| record.is_held()).map(|record| record.key.epoch()).collect();
        prop_assert!(books.epochs().len() <= held.len() + 6);
    }
}
