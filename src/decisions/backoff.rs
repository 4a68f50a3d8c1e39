//! How long to wait after a failure (rule 7).

use serde::{Deserialize, Serialize};

use super::protocol::{self, Answer};
use crate::words::number;
use crate::words::policy::{FIRST_BACKOFF, LONGEST_BACKOFF, LONGEST_SERVER_WAIT};
use crate::words::time::{Millis, UnixMillis};

/// A wait that the server asked for. It is never undercut, and believed up to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerWait(pub Millis);

/// Who asked for a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// Our own backoff; a user's click overrides it.
    Us,
    /// The server; nothing overrides it.
    Server,
}

/// The persisted wait between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Failures in a row, at least 1.
    pub attempts: u32,
    /// When the wait began.
    pub since: UnixMillis,
    /// Nothing is sent before this moment.
    pub not_before: UnixMillis,
    /// Who asked for it.
    pub asked_by: AskedBy,
}

impl Retry {
    /// The wait after one more failure. `random` is uniform over all of `u64`.
    pub fn after_failure(
        earlier: Option<&Self>,
        server: Option<ServerWait>,
        now: UnixMillis,
        random: u64,
    ) -> Self {
        let attempts = earlier.map_or(0, |retry| retry.attempts).saturating_add(1);
        let (span, asked_by) = match server {
            Some(wait) => (with_jitter_on_top(wait.0.min(LONGEST_SERVER_WAIT), random), AskedBy::Server),
            None => (own_wait(attempts, random), AskedBy::Us),
        };
        Self { attempts, since: now, not_before: now + span, asked_by }
    }

    /// How much of the wait is left; none when it is over.
    ///
    /// A clock that went back behind the wait's beginning says nothing about how much of it has passed: the whole wait
    /// is left then, and no more, so that a wrong clock can neither shorten a server's wait nor freeze the sync.
    pub fn left(&self, now: UnixMillis) -> Option<Millis> {
        let span = self.not_before.since(self.since);
        let left = self.not_before.since(now).min(span);
        (left > Millis(0)).then_some(left)
    }

    /// Whether nothing may be sent for it yet. A user's click overrides our own backoff, never a server's wait.
    pub fn holds(&self, now: UnixMillis, by_hand: bool) -> bool {
        self.left(now).is_some() && !(by_hand && self.asked_by == AskedBy::Us)
    }

    /// The same wait on a clock that was set back: it begins anew now.
    pub fn on_clock(self, now: UnixMillis) -> Self {
        if now >= self.since {
            return self;
        }
        Self { since: now, not_before: now + self.not_before.since(self.since), ..self }
    }
}

/// The wait that holds once the server has asked for one now: an earlier one of its own if that lasts longer. What another
/// clock says of the earlier one's beginning doesn't count.
pub fn heeding(earlier: Option<Retry>, asked: Retry, now: UnixMillis) -> Retry {
    let lasts_longer = |retry: &Retry| retry.asked_by == AskedBy::Server && retry.left(now) > asked.left(now);
    earlier.filter(lasts_longer).map_or(asked, |retry| retry.on_clock(now))
}

/// Our own wait before attempt `attempts + 1`: 1 s, 2 s, 4 s ... up to an hour, each with jitter of ±50 %.
pub fn own_wait(attempts: u32, random: u64) -> Millis {
    let doublings = attempts.saturating_sub(1).min(20);
    let span = FIRST_BACKOFF.0.saturating_mul(1 << doublings).min(LONGEST_BACKOFF.0);
    Millis(span / 2 + share_of(span, random))
}

// Clients that were sent away together don't return together: up to a tenth more, and up to 5 s on short waits.
fn with_jitter_on_top(span: Millis, random: u64) -> Millis {
    Millis(span.0 + share_of((span.0 / 10).max(5_000), random))
}

fn share_of(span: i64, random: u64) -> i64 {
    let share = (u128::from(random) * u128::from(span.unsigned_abs())) >> 64;
    i64::try_from(share).unwrap_or(span)
}

/// [`server_wait`] of an answer whose body was not read for it.
pub fn asked_wait(answer: &Answer, now: UnixMillis) -> Option<ServerWait> {
    // Few bodies speak of it, and some are long.
    let speaks = answer.body.contains("retry_after");
    let word = if speaks { protocol::read_word(&answer.body) } else { None };
    server_wait(answer, word.and_then(|word| word.retry_after_secs), now)
}

/// The longest of the waits that an answer asks for: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3),
/// `X-RateLimit-Reset` as seconds from now or since the epoch, `retry_after` of the body in seconds.
///
/// Dates are measured from the server's own `Date` where it gives one, so that this machine's clock doesn't matter.
pub fn server_wait(answer: &Answer, body_secs: Option<f64>, now: UnixMillis) -> Option<ServerWait> {
    let server_now = answer.date.as_deref().and_then(http_date).unwrap_or(now);
    // A browser joins two headers with a comma. That in a date stands behind the day's name alone, which says nothing.
    let from_header = answer.retry_after.as_deref().and_then(|text| {
        let waits = text.split(',').map(str::trim);
        let wait = |text| {
            number::decimal(text).and_then(span_of_secs).or_else(|| Some(http_date(text)?.since(server_now)))
        };
        waits.filter_map(wait).max()
    });
    let from_reset = answer.rate_limit_reset.as_deref().and_then(|text| {
        let secs = number::decimal(text.trim()).filter(|secs| secs.is_finite())?;
        match secs {
            since_epoch_ms if since_epoch_ms >= 1e12 => {
                Some(UnixMillis(since_epoch_ms.ceil() as i64).since(server_now))
            }
            since_epoch if since_epoch >= 1e9 => {
                Some(UnixMillis((since_epoch * 1000.0).ceil() as i64).since(server_now))
            }
            from_now => span_of_secs(from_now),
        }
    });
    // A reset of the rate limit is told with every answer; it asks for a wait only where the limit was hit.
    let from_reset = from_reset.filter(|_| matches!(answer.status, 429 | 503));
    [from_header, from_reset, body_secs.and_then(span_of_secs)]
        .into_iter()
        .flatten()
        .filter(|wait| *wait > Millis(0))
        .max()
        .map(ServerWait)
}

fn span_of_secs(secs: f64) -> Option<Millis> {
    (secs.is_finite() && secs >= 0.0).then(|| Millis((secs * 1000.0).ceil().min(1e15) as i64))
}

/// Reads an HTTP date in any of the three forms that a recipient must take (RFC 9110, 5.6.7):
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
pub fn http_date(text: &str) -> Option<UnixMillis> {
    let parts: Vec<&str> = text.split([' ', ',', '-']).filter(|part| !part.is_empty()).collect();
    let (day, month, year, clock) = match *parts.as_slice() {
        [.., day, month, year, clock, "GMT"] | [_, month, day, clock, year] => (day, month, year, clock),
        _ => return None,
    };
    let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (*name == month).then_some(number))?;
    let day: i64 = day.parse().ok()?;
    let year = match (year.len(), year.parse::<i64>().ok()?) {
        (2, year) if year < 70 => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(UnixMillis(seconds * 1000))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that a leap day ends its year.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn answer(status: u16, retry_after: Option<&str>, reset: Option<&str>) -> Answer {
        Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            rate_limit_reset: reset.map(str::to_owned),
            ..Answer::default()
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_now_holds_whatever_another_clock_has_said() {
        let asked_at = |since: i64, span: i64| {
            let since = UnixMillis(since);
            Retry { attempts: 1, since, not_before: since + Millis(span), asked_by: AskedBy::Server }
        };
        let now = UnixMillis(1_000);
        let asked = asked_at(1_000, 30);
        let of_another_clock = asked_at(9_000, 20);
        assert_eq!(heeding(Some(of_another_clock), asked, now), asked);
        assert_eq!(heeding(Some(asked_at(9_000, 40)), asked, now), asked_at(1_000, 40));
        assert_eq!(heeding(Some(asked_at(900, 200)), asked, now), asked_at(900, 200));
        assert_eq!(heeding(Some(Retry { asked_by: AskedBy::Us, ..asked_at(900, 200) }), asked, now), asked);
        assert_eq!(heeding(None, asked, now), asked);
    }

    #[test]
    fn our_own_waits_double_with_jitter_at_every_step_up_to_an_hour() {
        for (attempts, middle) in
            [(1, 1_000), (2, 2_000), (3, 4_000), (12, 2_048_000), (13, 3_600_000), (99, 3_600_000)]
        {
            assert_eq!(own_wait(attempts, 0), Millis(middle / 2), "attempt {attempts}");
            let longest = own_wait(attempts, u64::MAX);
            assert!(longest < Millis(middle / 2 + middle) && longest >= Millis(middle / 2 + middle - 1));
        }
    }

    #[test]
    fn a_servers_wait_is_never_undercut_and_gets_jitter_on_top() {
        for random in [0, u64::MAX / 2, u64::MAX] {
            let retry = Retry::after_failure(None, Some(ServerWait(Millis(60_000))), NOW, random);
            assert!(retry.not_before >= NOW + Millis(60_000));
            assert!(retry.not_before <= NOW + Millis(66_000));
            assert_eq!(retry.asked_by, AskedBy::Server);
        }
    }

    #[test]
    fn a_server_is_believed_up_to_a_day() {
        let retry = Retry::after_failure(None, Some(ServerWait(Millis::from_days(400))), NOW, 0);
        assert_eq!(retry.not_before, NOW + Millis::from_days(1));
    }

    #[test]
    fn every_form_of_a_servers_wait_is_read_and_the_longest_counts() {
        let wait = |answer: &Answer, body| server_wait(answer, body, NOW).map(|wait| wait.0.0);
        assert_eq!(wait(&answer(429, Some("120"), None), None), Some(120_000));
        assert_eq!(wait(&answer(429, Some(" 1.5 "), Some("9")), Some(4.0)), Some(9_000));
        assert_eq!(wait(&answer(429, None, Some("1700000030")), None), Some(30_000));
        assert_eq!(wait(&answer(429, None, Some("1700000030000")), None), Some(30_000));
        assert_eq!(wait(&answer(429, None, Some("1700000030000.5")), None), Some(30_001));
        assert_eq!(wait(&answer(503, Some("Tue, 14 Nov 2023 22:14:20 GMT"), None), None), Some(60_000));
        assert_eq!(wait(&answer(200, None, Some("30")), None), None);
        // Two headers, as a browser hands them on.
        assert_eq!(wait(&answer(429, Some("60, 120"), None), None), Some(120_000));
        let (seconds, date, other) =
            ("30", "Tue, 14 Nov 2023 22:14:20 GMT", "Tuesday, 14-Nov-23 22:15:20 GMT");
        assert_eq!(wait(&answer(503, Some(&format!("{seconds}, {date}")), None), None), Some(60_000));
        assert_eq!(wait(&answer(503, Some(&format!("{date},{other}, soon")), None), None), Some(120_000));
        for nonsense in ["soon", "-5", "NaN", "inf", ""] {
            assert_eq!(wait(&answer(429, Some(nonsense), Some(nonsense)), None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_is_measured_from_the_servers_own_clock() {
        let mut late = answer(503, Some("Tue, 14 Nov 2023 22:14:20 GMT"), None);
        late.date = Some("Tue, 14 Nov 2023 22:14:10 GMT".into());
        assert_eq!(server_wait(&late, None, UnixMillis(0)), Some(ServerWait(Millis(10_000))));
    }

    #[test]
    fn dates_before_and_after_leap_days_are_read_to_the_second() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
        ] {
            assert_eq!(http_date(text), Some(UnixMillis(seconds * 1000)), "{text}");
        }
        for bad in ["", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994"]
        {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_that_went_back_neither_freezes_the_sync_nor_shortens_a_wait() {
        let retry = Retry::after_failure(None, Some(ServerWait(Millis(60_000))), NOW, 0);
        let set_back = UnixMillis(1_000);
        assert_eq!(retry.left(set_back), Some(Millis(60_000)));
        let anew = retry.on_clock(set_back);
        assert_eq!(anew.not_before, set_back + Millis(60_000));
        assert_eq!(anew.left(set_back + Millis(60_000)), None);
    }
}
