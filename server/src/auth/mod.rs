//! Who is asking: passwords, tokens, sessions, addresses, and how often they may ask.

mod address;
mod caller;
pub mod password;
pub mod rate_limit;
pub mod session;
pub mod token;

pub use address::{AddressDigest, limit_address};
pub use caller::{Caller, authenticate};
