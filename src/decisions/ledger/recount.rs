//! Books that are brought in line with the rows, or begun anew after damage.

use super::{Books, Epoch, Place};
use crate::words::key::RowKey;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;

/// Places and epochs that books begun anew leave out: far more than can have been given away since they were mirrored.
const MOST_SINCE_MIRRORED: u64 = 1 << 24;
const MOST_EPOCHS_SINCE_MIRRORED: u32 = 64;

impl Books {
    /// Begins the books anew after the real ones are lost, with what is still known of them: everything that was on
    /// this machine counts as lost until its row is found ([`Books::correct`]). Rows of an epoch that `known` doesn't
    /// name are nobody's who could sign in.
    pub fn anew(known: Option<Self>) -> Self {
        let is_known = known.is_some();
        let mut books = known.unwrap_or_default();
        books.next_count += MOST_SINCE_MIRRORED;
        books.next_epoch += MOST_EPOCHS_SINCE_MIRRORED;
        books.anything_returned = true;
        if !is_known {
            books.epochs.clear();
            books.start_epoch(None);
        }
        for epoch in &mut books.epochs {
            for kind in Kind::ALL {
                let counts = epoch.counts.of_mut(kind);
                counts.unrecoverable += counts.held();
                (counts.pending, counts.quarantined, counts.archived) = (0, 0, 0);
            }
            epoch.moves += 1;
        }
        books
    }

    /// The epoch of this number, if the books know it.
    pub fn epoch(&self, number: u32) -> Option<&Epoch> {
        self.epochs.iter().find(|epoch| epoch.number == number)
    }

    /// The first epoch behind this number.
    pub fn epoch_behind(&self, number: u32) -> Option<u32> {
        self.epochs.iter().map(|epoch| epoch.number).filter(|known| *known > number).min()
    }

    /// Where the next record will stand: rows with this number or a higher one are younger than the books.
    pub const fn next_count(&self) -> u64 {
        self.next_count
    }

    /// Takes an epoch into the books of which only rows are known; its owner's name is lost.
    pub fn take_in(&mut self, number: u32) {
        if self.epoch(number).is_some() {
            return;
        }
        let at = self.epochs.iter().take_while(|epoch| epoch.number < number).count();
        let first = RowKey::first_of(number);
        let epoch = Epoch {
            number,
            owner: Some(Owner::unknown()),
            counts: PerKind::default(),
            lowest: PerKind { page_visits: first, tab_aggregates: first },
            moves: 0,
            taken_at: None,
        };
        // What is captured now stays with the owner of now.
        self.epochs.insert(at.min(self.epochs.len().saturating_sub(1)), epoch);
        self.next_epoch = self.next_epoch.max(number + 1);
    }

    /// Makes the books say what was counted: a row that is missing is lost; one too many had counted as lost, or was
    /// never counted.
    pub fn correct(&mut self, number: u32, kind: Kind, place: Place, counted: u64, rows: u64) {
        let Ok(epoch) = self.epoch_mut(number) else { return };
        let counts = epoch.counts.of_mut(kind);
        if rows < counted {
            let lost = (counted - rows).min(*counts.at(place));
            *counts.at(place) -= lost;
            counts.unrecoverable += lost;
        } else {
            let found = rows - counted;
            let again = found.min(counts.unrecoverable);
            counts.unrecoverable -= again;
            counts.captured += found - again;
            *counts.at(place) += found;
        }
        epoch.moves += u64::from(rows != counted);
    }

    /// Notes that a row stands at `key` in the outbox: reads begin there at the latest.
    pub fn stands_at(&mut self, kind: Kind, key: RowKey) {
        if let Ok(epoch) = self.epoch_mut(key.epoch()) {
            let lowest = epoch.lowest.of_mut(kind);
            *lowest = (*lowest).min(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(account: &str) -> Owner {
        Owner { origin: "https://api.example.com".into(), account: account.into() }
    }

    fn books_of(account: &str, records: u64) -> Books {
        let mut books = Books::default();
        books.hand_to(Some(&owner(account)));
        for _ in 0..records {
            books.capture(Kind::PageVisit, None).unwrap();
        }
        books
    }

    #[test]
    fn books_begun_anew_count_as_lost_what_is_not_found() {
        let mut mirror = books_of("a", 9);
        let epoch = mirror.epochs().last().unwrap().number;
        mirror.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Acknowledged, 2).unwrap();
        mirror.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Quarantined, 1).unwrap();
        let mut books = Books::anew(Some(mirror));
        books.correct(epoch, Kind::PageVisit, Place::Pending, 0, 4);
        books.correct(epoch, Kind::PageVisit, Place::Quarantined, 0, 1);
        let counts = books.totals().page_visits.counts;
        assert_eq!((counts.captured, counts.acknowledged), (9, 2));
        assert_eq!((counts.pending, counts.quarantined, counts.unrecoverable), (4, 1, 2));
        assert!(books.balance());
    }

    #[test]
    fn rows_that_came_after_the_mirror_are_captured_too() {
        let mirror = books_of("a", 2);
        let epoch = mirror.epochs().last().unwrap().number;
        let mut books = Books::anew(Some(mirror));
        books.correct(epoch, Kind::PageVisit, Place::Pending, 0, 5);
        let counts = books.totals().page_visits.counts;
        assert_eq!((counts.captured, counts.pending, counts.unrecoverable), (5, 5, 0));
    }

    #[test]
    fn no_place_and_no_epoch_is_given_away_twice() {
        let mirror = books_of("a", 2);
        let (count, epoch) = (mirror.next_count(), mirror.epochs().last().unwrap().number);
        let mut books = Books::anew(Some(mirror));
        assert!(books.capture(Kind::PageVisit, None).unwrap().count() > count + 1_000_000);
        books.hand_to(Some(&owner("b")));
        assert!(books.epochs().last().unwrap().number > epoch + 50);
        let nothing_known = Books::anew(None);
        assert!(nothing_known.epochs().iter().all(|known| known.number > 50));
    }

    #[test]
    fn rows_whose_owner_is_lost_go_to_no_account_that_signs_in() {
        let mut books = Books::anew(None);
        books.take_in(3);
        books.correct(3, Kind::PageVisit, Place::Pending, 0, 2);
        books.hand_to(Some(&owner("a")));
        assert_eq!(books.pending_of(&owner("a")).total(), 0);
        assert_eq!(books.totals().page_visits.parked, 2);
        assert!(books.balance());
    }
}
