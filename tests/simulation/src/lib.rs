//! The engine against a simulated world: clock, network, server, storage, and faults at every await.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test world"
)]
#![allow(missing_docs, reason = "a test world; what matters is said at the modules")]

mod abilities;
pub mod act;
mod calm;
mod captures;
pub mod fault;
pub mod host;
pub mod line;
pub mod model;
pub mod network;
pub mod random;
mod reconciliation;
pub mod records;
pub mod referee;
mod retention;
pub mod run;
pub mod scene;
pub mod server;
pub mod store;
mod troubles;
pub mod world;
