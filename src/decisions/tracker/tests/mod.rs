//! The tracker's behaviour, in sentences. `browser.rs` is the way to say what happens.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bounds;
mod browser;
mod endings;
mod regressions;
mod sources;
mod stays;
mod time;
