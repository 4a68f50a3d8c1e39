//! The ports, in a browser. Thin: what must hold is said at the traits.

pub mod clock;
pub mod fetch;
mod generations;
pub mod host;
pub mod indexed_db;
mod mirror;
mod reserve;
mod row;
mod schema;
