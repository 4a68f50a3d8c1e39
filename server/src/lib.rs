//! Reference backend of HeyHo sync: takes batches of page visits and tab aggregates, all or nothing, once in effect.
//!
//! The way of a request through the folders: `routes` -> `wire` (read the body) -> `auth` (whose is it) ->
//! `validation` (may it be stored) -> `store` (one transaction) -> back as JSON, or as an [`error::ApiError`].

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")
)]

pub mod app;
pub mod auth;
pub mod backup;
pub mod config;
pub mod erasure;
pub mod error;
pub mod mail;
pub mod memory;
pub mod metrics;
pub mod openapi;
pub mod policy;
pub mod private_file;
pub mod routes;
pub mod serve;
pub mod store;
pub mod time;
pub mod validation;
pub mod wire;
