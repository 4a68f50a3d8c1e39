//! The account of one run.

use serde::{Deserialize, Serialize};

use super::verdict::Tally;
use crate::words::kind::PerKind;
use crate::words::time::{Millis, UnixMillis};

/// Whether a run has sent everything that it could send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing is left to be sent now.
    #[default]
    Complete,
    /// Something is left; the report says why.
    Incomplete,
}

/// What one run did (`SyncReport`). `attempted = skipped + updated + created + errored + timed_out`, in records; a record
/// that was tried more than once counts by its last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Whether anything is left.
    pub outcome: Outcome,
    /// Why something is left, in words that stay the same.
    pub reason: Option<String>,
    /// Records that were sent.
    pub attempted: u64,
    /// New on the server, or not told apart from updated.
    pub created: u64,
    /// Known on the server at a lower revision.
    pub updated: u64,
    /// The server had no use for them.
    pub skipped: u64,
    /// The last attempt failed.
    pub errored: u64,
    /// The last attempt ran out of time.
    pub timed_out: u64,
    /// Batches that were settled.
    pub batches: u64,
    /// Requests that were started.
    pub requests: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
    /// Bytes of the requests' bodies before compression.
    pub bytes_before_compression: u64,
    /// Bytes of the requests' bodies as sent.
    pub bytes_sent: u64,
    /// When the run began.
    pub started_at: UnixMillis,
    /// How long it took.
    pub duration_ms: Millis,
    /// What is left of this account's records.
    pub remaining: PerKind<u64>,
}

impl Report {
    /// Counts the records of a settled batch.
    pub fn settled(&mut self, records: u64, tally: Tally) {
        self.batches += 1;
        self.attempted += records;
        self.created += tally.created;
        self.updated += tally.updated;
        self.skipped += tally.skipped;
    }

    /// Whether every attempted record is accounted for.
    pub const fn balances(&self) -> bool {
        self.attempted == self.skipped + self.updated + self.created + self.errored + self.timed_out
    }
}
