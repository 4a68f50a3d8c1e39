//! The vocabulary: plain values without I/O, without a clock, without JavaScript.

pub mod document;
pub mod event;
pub mod hash;
pub mod key;
pub mod kind;
pub mod number;
pub mod order;
pub mod owner;
pub mod policy;
pub mod record;
pub mod time;
