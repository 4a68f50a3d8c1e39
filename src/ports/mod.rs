//! What the loop needs of the world, as traits; a second, native implementation stands beside each.

pub mod clock;
pub mod host;
pub mod store;
pub mod transport;
