//! Who is asking: passwords, tokens, and the caller of a request.

mod caller;
pub mod password;
pub mod token;

pub use caller::Caller;
