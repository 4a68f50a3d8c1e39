//! Where a row stands in the outbox.

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// A row's place: the sign-in epoch, then a number that only grows (rule 2).
///
/// Packed into one number that a JavaScript double holds exactly (53 bits), so that it serves as an IndexedDB key:
/// 17 bits of epoch and 36 bits of count, enough for 131,071 sign-ins and 68 thousand million records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowKey(u64);

const COUNT_BITS: u32 = 36;

impl RowKey {
    /// The place of the record numbered `count` in `epoch`.
    pub const fn new(epoch: u32, count: u64) -> Self {
        Self(((epoch as u64) << COUNT_BITS) | (count & ((1 << COUNT_BITS) - 1)))
    }

    /// The first place of `epoch`.
    pub const fn first_of(epoch: u32) -> Self {
        Self::new(epoch, 0)
    }

    /// The first place behind this one's epoch.
    pub const fn behind_epoch(self) -> Self {
        Self::first_of(self.epoch() + 1)
    }

    /// The sign-in epoch.
    pub const fn epoch(self) -> u32 {
        (self.0 >> COUNT_BITS) as u32
    }

    /// The number within all records of the database.
    pub const fn count(self) -> u64 {
        self.0 & ((1 << COUNT_BITS) - 1)
    }

    /// The next place.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before; none stands before the first.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The packed number, below 2^53.
    pub const fn packed(self) -> u64 {
        self.0
    }

    /// A number that orders places by their kind first.
    pub const fn behind_kind(self, kind: Kind) -> u64 {
        ((kind as u64) << 60) | self.0
    }

    /// The place that [`RowKey::packed`] gave.
    pub const fn from_packed(packed: u64) -> Self {
        Self(packed)
    }
}

/// A half-open range of places: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// The first place.
    pub from: RowKey,
    /// The place behind the last.
    pub to: RowKey,
}

impl KeyRange {
    /// Every place of `epoch` from `from` on.
    pub const fn rest_of_epoch(from: RowKey) -> Self {
        Self { from, to: from.behind_epoch() }
    }

    /// The places from `first` to `last`, both included.
    pub const fn closed(first: RowKey, last: RowKey) -> Self {
        Self { from: first, to: last.next() }
    }

    /// Every place.
    pub const fn everything() -> Self {
        Self { from: RowKey(0), to: RowKey(1 << 53) }
    }

    /// Whether no place belongs to the range.
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Whether `key` belongs to the range.
    pub fn contains(&self, key: RowKey) -> bool {
        self.from <= key && key < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_stands_behind_every_record_of_an_earlier_one() {
        let last = RowKey::new(6, (1 << COUNT_BITS) - 1);
        assert!(last < RowKey::first_of(7));
        assert_eq!(last.epoch(), 6);
        assert!(RowKey::new(131_071, (1 << COUNT_BITS) - 1).packed() < 1 << 53);
    }
}
