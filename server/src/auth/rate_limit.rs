//! How much of a rate limit is used up, and how the client is told.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{policy::RateLimit, time::UnixMillis};

/// Limit, what is left of it, and seconds until it starts again.
pub const RATE_LIMIT_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// Requests in the current window of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    limit: RateLimit,
    requests: i64,
    window_start: UnixMillis,
}

impl Usage {
    /// Starts of the windows of `limit` that `now` is in: after the first moment and before the second. A window starts
    /// with its first request, so that nobody gets two windows' worth around a full minute. It may start later than
    /// `now` where replicas' clocks differ, but by no more than its own length: a clock that was years ahead locks
    /// nobody out.
    pub fn current_starts(limit: RateLimit, now: UnixMillis) -> (UnixMillis, UnixMillis) {
        (now.plus_seconds(-limit.seconds), now.plus_seconds(limit.seconds))
    }

    /// What was counted, if that was in the current window; otherwise nothing was, and a window starts `now`.
    pub fn of(limit: RateLimit, counted: i64, counted_window: UnixMillis, now: UnixMillis) -> Self {
        let (after, before) = Self::current_starts(limit, now);
        if after < counted_window && counted_window < before {
            Self { limit, requests: counted, window_start: counted_window }
        } else {
            Self { limit, requests: 0, window_start: now }
        }
    }

    /// Whether no further request fits into the window.
    pub fn is_used_up(&self) -> bool {
        self.requests >= self.limit.requests
    }

    /// Whether the last request that was counted is one too many.
    pub fn is_exceeded(&self) -> bool {
        self.requests > self.limit.requests
    }

    /// The same with this request in it.
    pub fn with_this_request(self) -> Self {
        Self { requests: self.requests + 1, ..self }
    }

    /// Whole seconds until the window is over: at least one, at most its length.
    pub fn seconds_left(&self, now: UnixMillis) -> i64 {
        let left_ms = self.window_start.plus_seconds(self.limit.seconds).0 - now.0;
        (left_ms + 999).div_euclid(1_000).clamp(1, self.limit.seconds.max(1))
    }

    /// Writes the `RateLimit` headers.
    pub fn write_headers(&self, headers: &mut HeaderMap, now: UnixMillis) {
        let remaining = (self.limit.requests - self.requests).max(0);
        for (name, value) in
            RATE_LIMIT_HEADERS.into_iter().zip([self.limit.requests, remaining, self.seconds_left(now)])
        {
            headers.insert(name, HeaderValue::from(value));
        }
    }

    /// Writes the `RateLimit` headers and `Retry-After`.
    pub fn write_refusal(&self, headers: &mut HeaderMap, now: UnixMillis) {
        self.write_headers(headers, now);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(self.seconds_left(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { requests: 2, seconds: 60 };

    #[test]
    fn the_last_request_of_a_window_still_fits() {
        let now = UnixMillis(60_000);
        let usage = |requests| Usage::of(LIMIT, requests, UnixMillis(60_000), now);
        assert!(!usage(1).is_used_up() && usage(2).is_used_up());
        assert!(!usage(2).is_exceeded() && usage(3).is_exceeded());
    }

    #[test]
    fn a_window_lasts_its_length_from_the_first_request_on() {
        let usage = |now| Usage::of(LIMIT, 99, UnixMillis(59_999), UnixMillis(now));
        assert!(usage(60_000).is_used_up() && usage(119_998).is_used_up());
        assert!(!usage(119_999).is_used_up());
    }

    #[test]
    fn another_replicas_clock_may_be_a_little_ahead_but_not_years() {
        let usage = |started| Usage::of(LIMIT, 99, UnixMillis(started), UnixMillis(1_000));
        assert!(usage(3_000).is_used_up() && !usage(61_000).is_used_up());
        assert_eq!(usage(3_000).seconds_left(UnixMillis(1_000)), 60);
    }

    #[test]
    fn the_wait_is_rounded_up_and_never_nothing() {
        let usage = Usage::of(LIMIT, 2, UnixMillis(0), UnixMillis(1));
        assert_eq!((usage.seconds_left(UnixMillis(1)), usage.seconds_left(UnixMillis(59_999))), (60, 1));
    }
}
