//! Buffers page visits and tab aggregates in the browser and delivers each of them exactly once in effect.
//!
//! Floors, each importing only from those above it in this list (`ARCHITECTURE.md` has the map):
//! [`words`] → [`decisions`] → [`ports`] → [`outbox`] → [`engine`] → `platform` → `boundary`.

pub mod decisions;
pub mod engine;
pub mod outbox;
pub mod ports;
pub mod words;

#[cfg(target_arch = "wasm32")]
pub mod boundary;
#[cfg(target_arch = "wasm32")]
pub mod platform;
