//! What to do, as pure functions over plain values; time is passed in.

pub mod abilities;
pub mod backoff;
pub mod batch;
pub mod delivered;
pub mod erasure;
pub mod handover;
pub mod health;
pub mod ledger;
pub mod limits;
pub mod metrics;
pub mod preflight;
pub mod protocol;
pub mod receipts;
pub mod reconcile;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod status;
pub mod suspects;
pub mod sync_state;
pub mod tracker;
pub mod verdict;
