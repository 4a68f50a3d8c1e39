//! The count of the rows, while records come and go between its pages, against a list of all rows.

use std::collections::BTreeMap;

use heyho_sync::decisions::health::{Count, Findings, Health, Page, Shelf};
use heyho_sync::decisions::ledger::{Books, Place};
use heyho_sync::words::key::RowKey;
use heyho_sync::words::kind::Kind;
use heyho_sync::words::owner::Owner;
use heyho_sync::words::time::UnixMillis;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

const SHELVES: [Shelf; 4] = [
    Shelf { place: Place::Pending, kind: Some(Kind::PageVisit) },
    Shelf { place: Place::Pending, kind: Some(Kind::TabAggregate) },
    Shelf { place: Place::Quarantined, kind: None },
    Shelf { place: Place::Archived, kind: None },
];

#[derive(Debug, Clone)]
enum Act {
    Capture(bool),
    /// A row is acknowledged, or goes to another place and keeps its key.
    Move(usize, usize),
    /// A row that was set aside comes back to the outbox.
    Return(usize),
    SignIn(u8),
    /// A page of so many rows is counted.
    Count(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => any::<bool>().prop_map(Act::Capture),
        3 => (any::<usize>(), 0..3_usize).prop_map(|(row, to)| Act::Move(row, to)),
        1 => any::<usize>().prop_map(Act::Return),
        1 => (0..3_u8).prop_map(Act::SignIn),
        8 => (1..4_usize).prop_map(Act::Count),
    ]
}

/// The database: where each row stands, beside the books.
#[derive(Default)]
struct Disk {
    books: Books,
    rows: BTreeMap<RowKey, (Kind, Place)>,
    health: Health,
}

impl Disk {
    fn pick(&self, nth: usize, wanted: impl Fn(Place) -> bool) -> Option<(RowKey, Kind, Place)> {
        let fit: Vec<_> = self.rows.iter().filter(|(_, (_, place))| wanted(*place)).collect();
        fit.get(nth.checked_rem(fit.len())?).map(|(key, (kind, place))| (**key, *kind, *place))
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Capture(visit) => {
                let kind = if *visit { Kind::PageVisit } else { Kind::TabAggregate };
                let key = self.books.capture(kind, None).unwrap();
                self.rows.insert(key, (kind, Place::Pending));
            }
            Act::Move(nth, to) => {
                let to = [Place::Acknowledged, Place::Quarantined, Place::Archived][*to];
                let Some((key, kind, from)) = self.pick(*nth, |place| place != to) else { return };
                self.books.transfer(key.epoch(), kind, from, to, 1).unwrap();
                match to {
                    Place::Acknowledged => self.rows.remove(&key),
                    _ => self.rows.insert(key, (kind, to)),
                };
            }
            Act::Return(nth) => {
                let Some((key, kind, from)) = self.pick(*nth, |place| place != Place::Pending) else {
                    return;
                };
                self.books.transfer(key.epoch(), kind, from, Place::Pending, 1).unwrap();
                self.rows.remove(&key);
                self.rows.insert(self.books.place_again(key.epoch()), (kind, Place::Pending));
            }
            Act::SignIn(account) => {
                let owner = Owner { origin: "https://api.example.com".into(), account: account.to_string() };
                self.books.hand_to((*account > 0).then_some(&owner));
            }
            Act::Count(limit) => self.count(*limit),
        }
    }

    fn count(&mut self, limit: usize) {
        let mut count = self.health.count.take().unwrap_or_else(Count::begin);
        let shelf = SHELVES[count.table];
        let stands = |kind: Kind, place| place == shelf.place && shelf.kind.is_none_or(|only| only == kind);
        let rows: Vec<(RowKey, Kind)> = self
            .rows
            .range(count.from..)
            .filter(|(_, (kind, place))| stands(*kind, *place))
            .map(|(key, (kind, _))| (*key, *kind))
            .take(limit)
            .collect();
        let page = Page {
            keys: rows.iter().map(|(key, _)| *key).collect(),
            is_last: rows.len() < limit,
            rows,
            ..Page::default()
        };
        count.take(shelf, &page, &mut self.books);
        let ended = count.table == SHELVES.len();
        self.health.count = Some(count);
        if ended {
            self.health.ended(UnixMillis(0));
        }
    }

    /// Counts until a count has ended, and says what it found.
    fn count_to_the_end(&mut self) -> Findings {
        self.count(2);
        while self.health.count.is_some() {
            self.count(2);
        }
        self.health.found
    }

    fn agrees(&self) -> bool {
        let mut books = BTreeMap::new();
        for epoch in self.books.epochs() {
            for kind in Kind::ALL {
                let counts = epoch.counts.of(kind);
                books.insert((epoch.number, kind, 0), counts.pending);
                books.insert((epoch.number, kind, 1), counts.quarantined);
                books.insert((epoch.number, kind, 2), counts.archived);
            }
        }
        for (key, (kind, place)) in &self.rows {
            let place = match place {
                Place::Pending => 0,
                Place::Quarantined => 1,
                _ => 2,
            };
            let Some(left) = books.get_mut(&(key.epoch(), *kind, place)) else { return false };
            let Some(less) = left.checked_sub(1) else { return false };
            *left = less;
        }
        books.values().all(|left| *left == 0) && self.books.balance()
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_count_between_captures_and_settlements_finds_nothing_in_a_whole_database(
        acts in vec(act(), 1..120),
    ) {
        let mut disk = Disk::default();
        for act in &acts {
            disk.play(act);
            prop_assert!(disk.health.found.balanced(), "{act:?}");
            prop_assert!(disk.agrees(), "{act:?}");
        }
        prop_assert!(disk.count_to_the_end().balanced() && disk.agrees());
    }

    #[test]
    fn rows_that_vanish_or_turn_up_are_found_and_the_books_say_so(
        before in vec(act(), 1..60),
        lost in vec(any::<usize>(), 0..4),
        strange in vec((1..9_u32, any::<bool>()), 0..4),
    ) {
        let mut disk = Disk::default();
        before.iter().for_each(|act| disk.play(act));
        disk.health = Health::default();
        let mut changes = 0_u64;
        for nth in lost {
            if let Some((key, ..)) = disk.pick(nth, |_| true) {
                disk.rows.remove(&key);
                changes += 1;
            }
        }
        for (number, (epoch, visit)) in (1..).zip(strange) {
            let kind = if visit { Kind::PageVisit } else { Kind::TabAggregate };
            // Below the place that the books give away next, as every row that was ever written.
            let key = RowKey::new(epoch + 100, number % disk.books.next_count());
            if disk.rows.insert(key, (kind, Place::Quarantined)).is_none() {
                changes += 1;
            }
        }
        let found = disk.count_to_the_end();
        prop_assert_eq!(found.missing + found.uncounted, changes);
        prop_assert!(disk.agrees(), "{found:?}");
        prop_assert_eq!(disk.count_to_the_end(), Findings::default(), "a second count finds nothing more");
    }
}
