//! The ports, in a browser. Thin: what must hold is said at the traits.

mod change;
pub mod clock;
mod failure;
pub mod fetch;
mod generations;
pub mod host;
pub mod indexed_db;
mod mirror;
mod query;
mod reserve;
mod row;
mod schema;
mod segment;
