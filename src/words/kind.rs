//! The two kinds of record.

use serde::{Deserialize, Serialize};

/// What a record is about. Counts of the ledger, limits of a batch and tables of the outbox exist once per kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One stay on one page in one tab.
    PageVisit,
    /// The engagement with one page visit.
    TabAggregate,
}

impl Kind {
    /// Both kinds, in the order in which a batch carries them: what is referred to comes first.
    pub const ALL: [Self; 2] = [Self::PageVisit, Self::TabAggregate];
}

/// One value for each kind; on the door and in reports `{pageVisits, tabAggregates}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerKind<T> {
    /// The value for page visits.
    pub page_visits: T,
    /// The value for tab aggregates.
    pub tab_aggregates: T,
}

impl<T> PerKind<T> {
    /// The value of one kind.
    pub const fn of(&self, kind: Kind) -> &T {
        match kind {
            Kind::PageVisit => &self.page_visits,
            Kind::TabAggregate => &self.tab_aggregates,
        }
    }

    /// The value of one kind, to be changed.
    pub const fn of_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::PageVisit => &mut self.page_visits,
            Kind::TabAggregate => &mut self.tab_aggregates,
        }
    }
}

impl PerKind<u64> {
    /// Both kinds together.
    pub const fn total(&self) -> u64 {
        self.page_visits + self.tab_aggregates
    }
}
