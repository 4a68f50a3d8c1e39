//! Reading a request's body, in bounds.

mod body;
mod discard;

pub use body::{Form, RecordBody};
pub use discard::Discarding;
