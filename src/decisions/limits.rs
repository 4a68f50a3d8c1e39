//! The batch limit that adapts: halved on trouble, slowly grown on success, never above the policy's.

use serde::{Deserialize, Serialize};

use super::batch::Limits;
use crate::words::kind::PerKind;
use crate::words::policy::{GROW_BYTES, GROW_RECORDS, Policy};

/// The present limit, where it is below the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Adaptive {
    records: Option<usize>,
    bytes: Option<usize>,
}

impl Adaptive {
    /// The limits of the next request.
    pub fn limits(&self, policy: &Policy) -> Limits {
        let records = |most: usize| self.records.map_or(most, |records| records.clamp(1, most));
        Limits {
            records: PerKind {
                page_visits: records(policy.max_records.page_visits),
                tab_aggregates: records(policy.max_records.tab_aggregates),
            },
            bytes: self.bytes.map_or(policy.max_body_bytes, |bytes| bytes.min(policy.max_body_bytes)),
            most_bytes: policy.max_body_bytes,
        }
    }

    /// After a request that was too much: half of what it carried.
    #[must_use]
    pub const fn halved(carried_records: usize, carried_bytes: usize) -> Self {
        let records = if carried_records < 2 { 1 } else { carried_records / 2 };
        Self { records: Some(records), bytes: Some(carried_bytes / 2) }
    }

    /// After a request that was acknowledged.
    #[must_use]
    pub fn grown(self, policy: &Policy) -> Self {
        let most_records = policy.max_records.page_visits.max(policy.max_records.tab_aggregates);
        Self {
            records: self
                .records
                .map(|records| records + GROW_RECORDS)
                .filter(|records| *records < most_records),
            bytes: self.bytes.map(|bytes| bytes + GROW_BYTES).filter(|bytes| *bytes < policy.max_body_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halved_limit_grows_back_to_the_policys_and_no_further() {
        let policy = Policy::default();
        let mut adaptive = Adaptive::halved(100, 200_000);
        assert_eq!(adaptive.limits(&policy).records.page_visits, 50);
        assert_eq!(adaptive.limits(&policy).bytes, 100_000);
        for _ in 0..50 {
            adaptive = adaptive.grown(&policy);
        }
        assert_eq!(adaptive, Adaptive::default());
        assert_eq!(adaptive.limits(&policy).records, policy.max_records);
    }

    #[test]
    fn a_limit_never_falls_below_one_record() {
        let policy = Policy::default();
        assert_eq!(Adaptive::halved(1, 10).limits(&policy).records.page_visits, 1);
        assert_eq!(Adaptive::halved(0, 0).limits(&policy).records.tab_aggregates, 1);
    }
}
