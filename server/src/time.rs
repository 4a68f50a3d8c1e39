//! Moments in time, with the unit in the type.

use std::{
    num::NonZeroU8,
    time::{SystemTime, UNIX_EPOCH},
};

use time::{
    OffsetDateTime,
    format_description::well_known::{
        Iso8601,
        iso8601::{Config, TimePrecision},
    },
};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The server's clock. A clock before 1970 reads as 0.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Whole seconds since the epoch, as JSON Web Tokens count them.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The moment `seconds` later.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1_000))
    }

    /// The moment `millis` later.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// As an ISO 8601 string in UTC with milliseconds. A moment beyond the year 9999 reads as 1970.
    pub fn to_iso(self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        moment.format(&ISO_WITH_MILLIS).unwrap_or_default()
    }
}

const ISO_WITH_MILLIS: Iso8601<
    {
        Config::DEFAULT
            .set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) })
            .encode()
    },
> = Iso8601;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_its_milliseconds() {
        assert_eq!(UnixMillis(1_761_040_000_120).to_iso(), "2025-10-21T09:46:40.120Z");
    }
}
