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
    /// The window of `limit` that `now` is in.
    pub fn window_start(limit: RateLimit, now: UnixMillis) -> UnixMillis {
        let window_ms = limit.seconds.saturating_mul(1_000).max(1);
        UnixMillis(now.0.div_euclid(window_ms) * window_ms)
    }

    /// What was counted, if that was in the current window; otherwise nothing was.
    pub fn of(limit: RateLimit, counted: i64, counted_window: UnixMillis, now: UnixMillis) -> Self {
        let window_start = Self::window_start(limit, now);
        Self { limit, requests: if counted_window == window_start { counted } else { 0 }, window_start }
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

    /// Whole seconds until the next window, at least one.
    pub fn seconds_left(&self, now: UnixMillis) -> i64 {
        let left_ms = self.window_start.plus_seconds(self.limit.seconds).0 - now.0;
        (left_ms + 999).div_euclid(1_000).max(1)
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
    fn a_new_window_starts_at_nothing() {
        assert!(!Usage::of(LIMIT, 99, UnixMillis(0), UnixMillis(60_000)).is_used_up());
    }

    #[test]
    fn the_wait_is_rounded_up_and_never_nothing() {
        let usage = Usage::of(LIMIT, 2, UnixMillis(0), UnixMillis(1));
        assert_eq!((usage.seconds_left(UnixMillis(1)), usage.seconds_left(UnixMillis(59_999))), (60, 1));
    }
}
