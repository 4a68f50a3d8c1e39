//! Reading a request's body, in bounds.

mod body;

pub use body::{Form, RecordBody};
