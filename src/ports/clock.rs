//! Time and chance.

use crate::words::time::{Millis, UnixMillis};

/// The machine's clock and its source of randomness.
pub trait Clock {
    /// The wall clock. It may jump either way between two calls.
    fn now(&self) -> UnixMillis;

    /// Time since some moment in the past, by a clock that only goes forward.
    fn monotonic(&self) -> Millis;

    /// Comes back after `span` at the earliest.
    fn sleep(&self, span: Millis) -> impl Future<Output = ()>;

    /// 128 random bits.
    fn random(&self) -> [u8; 16];

    /// The day of a moment in the user's calendar, in days since 1970-01-01; in UTC where there is no calendar.
    fn day_of(&self, at: UnixMillis) -> i64 {
        at.0.div_euclid(Millis::from_days(1).0)
    }

    /// 64 random bits.
    fn random_u64(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.random();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
