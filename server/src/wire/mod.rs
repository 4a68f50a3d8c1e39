//! Reading a request's body, in bounds.

mod body;
mod discard;

pub use body::{BodyBudget, Form, RecordBody};
pub use discard::Discarding;
