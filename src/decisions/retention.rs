//! Which undelivered records are set aside for their age.
//!
//! A record is, when for the whole archive age the server has answered and taken nothing of this account, by a clock
//! that the server's own `Date` confirms. While nobody is signed in, or nothing answers, or the clock is wrong, sends
//! could still succeed, and everything waits however long that lasts.

use super::backoff::http_date;
use super::protocol::Answer;
use super::sync_state::ProblemCode;
use crate::words::policy::CLOCK_TOLERANCE;
use crate::words::time::{Millis, UnixMillis};

/// Whether the server's `Date` agrees with our clock; none where it gives none.
pub fn clock_agrees(answer: &Answer, now: UnixMillis) -> Option<bool> {
    let theirs = answer.date.as_deref().and_then(http_date)?;
    Some(now.since(theirs).0.saturating_abs() <= CLOCK_TOLERANCE.0)
}

/// Since when nothing is taken, after one more run that ended in trouble with nothing stored. An expired login begins
/// it anew: a sign-in comes first.
pub fn undelivered_since(
    earlier: Option<UnixMillis>,
    problem: ProblemCode,
    clock_is_right: bool,
    now: UnixMillis,
) -> Option<UnixMillis> {
    if problem == ProblemCode::SignInAgain {
        return None;
    }
    if clock_is_right { Some(earlier.map_or(now, |since| since.min(now))) } else { earlier }
}

/// What was captured up to here is set aside; none where nothing is.
pub fn archived_up_to(
    undelivered_since: Option<UnixMillis>,
    clock_is_right: bool,
    age: Millis,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let long_enough = undelivered_since.is_some_and(|since| now.since(since) >= age);
    (clock_is_right && long_enough).then(|| now - age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(784_111_777_000);
    const AGE: Millis = Millis::from_days(90);

    #[test]
    fn a_clock_is_confirmed_by_a_date_within_a_day_of_it() {
        let answer = Answer { date: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()), ..Answer::default() };
        assert_eq!(clock_agrees(&answer, NOW), Some(true));
        assert_eq!(clock_agrees(&answer, NOW + Millis::from_days(1)), Some(true));
        assert_eq!(clock_agrees(&answer, NOW + Millis::from_days(2)), Some(false));
        assert_eq!(clock_agrees(&answer, NOW - Millis::from_days(2)), Some(false));
        assert_eq!(clock_agrees(&Answer::default(), NOW), None);
    }

    #[test]
    fn only_trouble_by_a_right_clock_begins_the_time_and_an_expired_login_ends_it() {
        let refused = ProblemCode::ServerRefuses;
        let later = NOW + Millis(5);
        assert_eq!(undelivered_since(None, refused, true, NOW), Some(NOW));
        assert_eq!(undelivered_since(Some(NOW), refused, true, later), Some(NOW));
        assert_eq!(undelivered_since(None, refused, false, NOW), None);
        assert_eq!(undelivered_since(Some(NOW), ProblemCode::SignInAgain, true, later), None);
        assert_eq!(undelivered_since(Some(later), refused, true, NOW), Some(NOW), "the clock was set back");
    }

    #[test]
    fn a_record_is_set_aside_after_its_age_of_refusals_and_never_by_a_wrong_clock() {
        let after = NOW + AGE;
        assert_eq!(archived_up_to(Some(NOW), true, AGE, after), Some(NOW));
        assert_eq!(archived_up_to(Some(NOW), true, AGE, after - Millis(1)), None);
        assert_eq!(archived_up_to(Some(NOW), false, AGE, after), None);
        assert_eq!(archived_up_to(None, true, AGE, after), None);
    }
}
