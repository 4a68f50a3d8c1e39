//! The backend over HTTP, on SQLite, and on PostgreSQL where `HEYHO_TEST_POSTGRES` names a server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may panic"
)]

mod accounts;
mod batches;
mod browsing_data;
mod clocks;
mod crashes;
mod helpers;
mod idempotency;
mod limits;
mod memory;
mod openapi;
mod preflight;
mod rate_limits;
mod server;
mod sessions;
mod sign_ups;
