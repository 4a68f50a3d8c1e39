//! What must hold whatever comes in: any backlog, any answer, any clock, any order of events. Each property is checked
//! against something that was written without a look at the code: the rules and the table of the sync loop, or
//! arithmetic done again in the plainest way.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod backoff;
mod batches;
mod dates;
mod health;
mod ledger;
mod oracle;
mod reconcile;
mod verdicts;

use proptest::prelude::ProptestConfig;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
