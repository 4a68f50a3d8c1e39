//! Where receipts stand: numbered with the records, so that no place is given away twice, before the first epoch.

use super::Books;
use crate::words::key::{KeyRange, RowKey};
use crate::words::policy::{RECEIPTS_DROPPED_EVERY, RECEIPTS_KEPT};

impl Books {
    /// The place of a row with so many receipts, and, now and then, the places of those that are too old to be kept.
    pub fn place_of_receipts(&mut self, receipts: u64) -> (RowKey, Option<KeyRange>) {
        let before = self.next_count;
        self.next_count += receipts;
        let is_time = before / RECEIPTS_DROPPED_EVERY != self.next_count / RECEIPTS_DROPPED_EVERY;
        let oldest = self.next_count.saturating_sub(RECEIPTS_KEPT);
        let too_old = KeyRange { from: RowKey::first_of(0), to: RowKey::new(0, oldest) };
        (RowKey::new(0, before), is_time.then_some(too_old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_receipts_takes_as_many_places_as_it_has_receipts_and_the_oldest_are_dropped() {
        let mut books = Books::default();
        let (mut kept, mut last, mut drops) = (std::collections::VecDeque::new(), None, 0);
        for receipts in (1..=200).cycle().take(1_500) {
            let (key, too_old) = books.place_of_receipts(receipts);
            assert!(last < Some(key), "no place twice");
            last = Some(key);
            if let Some(range) = too_old {
                kept.retain(|(key, _)| !range.contains(*key));
                drops += 1;
            }
            kept.push_back((key, receipts));
        }
        let places: u64 = kept.iter().map(|(_, receipts)| receipts).sum();
        assert!((RECEIPTS_KEPT - 200..RECEIPTS_KEPT + RECEIPTS_DROPPED_EVERY + 400).contains(&places));
        assert!(drops < 100, "{drops} of 1,500 settlements");
    }
}
