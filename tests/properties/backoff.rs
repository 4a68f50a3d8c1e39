//! Waits: their bounds, their jitter, what servers ask for, and clocks that jump.

use heyho_sync::decisions::backoff::{AskedBy, Retry, ServerWait, own_wait, server_wait};
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::words::time::{Millis, UnixMillis};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::cases;
use crate::dates::written;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Our own wait before jitter: a second, doubled with every failure after the first, at most an hour.
fn middle_ms(attempts: u32) -> i64 {
    let mut middle = 1_000;
    for _ in 1..attempts.min(100) {
        middle = (middle * 2).min(HOUR_MS);
    }
    middle
}

fn random() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
}

/// Clocks that are right, that start in 1970, and that are as wrong as a number can be.
fn moment() -> impl Strategy<Value = UnixMillis> {
    let right = 1_700_000_000_000..1_900_000_000_000_i64;
    prop_oneof![6 => right, 2 => 0..10_000_000_i64, 1 => any::<i64>()].prop_map(UnixMillis)
}

fn retry() -> impl Strategy<Value = Retry> {
    let wait = option::of((1..3 * DAY_MS).prop_map(|ms| ServerWait(Millis(ms))));
    let sane = 0..1_900_000_000_000_i64;
    (1..40_u32, wait, sane, random()).prop_map(|(attempts, wait, now, random)| {
        let now = UnixMillis(now);
        let earlier = Retry { attempts: attempts - 1, since: now, not_before: now, asked_by: AskedBy::Us };
        Retry::after_failure((attempts > 1).then_some(&earlier), wait, now, random)
    })
}

/// How a server puts a wait into an answer, and the wait in milliseconds that it means.
#[derive(Debug, Clone)]
enum Asked {
    Seconds(u32),
    DateIn(u32),
    ResetIn(u32),
    ResetAtSecond(u32),
    ResetAtMillisecond(u32),
    BodySeconds(u32),
    BodyText(u32),
}

fn asked() -> impl Strategy<Value = Asked> {
    let secs = prop_oneof![0..5_u32, 5..200_000_u32];
    (0..7_u32, secs).prop_map(|(form, secs)| match form {
        0 => Asked::Seconds(secs),
        1 => Asked::DateIn(secs),
        2 => Asked::ResetIn(secs),
        3 => Asked::ResetAtSecond(secs),
        4 => Asked::ResetAtMillisecond(secs),
        5 => Asked::BodySeconds(secs),
        _ => Asked::BodyText(secs),
    })
}

proptest! {
    #![proptest_config(cases(2_048))]

    #[test]
    fn our_own_wait_doubles_up_to_an_hour_and_always_spreads_by_half(
        attempts in prop_oneof![1..20_u32, any::<u32>()],
        one in random(),
        other in random(),
    ) {
        let middle = middle_ms(attempts);
        for random in [one, other] {
            let wait = own_wait(attempts, random).0;
            prop_assert!(wait >= middle / 2 && wait < middle / 2 + middle, "{wait} around {middle}");
        }
        let (less, more) = (one.min(other), one.max(other));
        prop_assert!(own_wait(attempts, less) <= own_wait(attempts, more));
        // Two chances in a hundred apart are waits apart: no step is without jitter, the capped ones neither.
        if more - less > u64::MAX / 50 {
            prop_assert!(own_wait(attempts, more).0 - own_wait(attempts, less).0 >= middle / 51);
        }
    }

    #[test]
    fn a_servers_wait_is_kept_to_the_end_believed_for_a_day_and_jittered_on_top(
        asked_ms in prop_oneof![1..2 * DAY_MS, 1..i64::MAX],
        now in moment(),
        random in random(),
        earlier in option::of(retry()),
    ) {
        let after = |random| Retry::after_failure(earlier.as_ref(), Some(ServerWait(Millis(asked_ms))), now, random);
        let retry = after(random);
        let believed = asked_ms.min(DAY_MS);
        let most_jitter = (believed / 10).max(5_000);
        if now.0 < i64::MAX - 2 * DAY_MS {
            let spread = after(u64::MAX).not_before.since(after(0).not_before);
            prop_assert!(spread.0 > most_jitter - 5, "clients that were sent away together come back together");
        }
        prop_assert!(retry.not_before >= now + Millis(believed));
        prop_assert!(retry.not_before <= now + Millis(believed + most_jitter));
        prop_assert_eq!(retry.asked_by, AskedBy::Server);
        prop_assert_eq!(retry.attempts, earlier.map_or(1, |earlier| earlier.attempts + 1));
        prop_assert_eq!(retry.since, now);
    }

    #[test]
    fn a_failure_without_a_servers_wait_counts_one_more_attempt_of_ours(
        attempts in prop_oneof![0..20_u32, any::<u32>()],
        now in moment(),
        random in random(),
    ) {
        let earlier = Retry { attempts, since: now, not_before: now, asked_by: AskedBy::Server };
        let retry = Retry::after_failure(Some(&earlier), None, now, random);
        prop_assert_eq!(retry.attempts, attempts.saturating_add(1));
        prop_assert_eq!(retry.asked_by, AskedBy::Us);
        prop_assert_eq!(retry.not_before, now + own_wait(retry.attempts, random));
    }

    #[test]
    fn the_longest_of_all_that_a_server_asks_for_counts_whatever_this_machines_clock_says(
        asks in vec(asked(), 1..4),
        server_secs in 1_500_000_000..3_000_000_000_i64,
        here in moment(),
        status in prop::sample::select(vec![429_u16, 503]),
    ) {
        let mut answer = Answer { status, date: Some(written(server_secs)), ..Answer::default() };
        let (mut header, mut reset, mut body) = (0, 0, 0);
        let mut body_secs = None;
        for ask in asks {
            match ask {
                Asked::Seconds(secs) => {
                    answer.retry_after = Some(format!(" {secs} "));
                    header = secs;
                }
                Asked::DateIn(secs) => {
                    answer.retry_after = Some(written(server_secs + i64::from(secs)));
                    header = secs;
                }
                Asked::ResetIn(secs) => {
                    answer.rate_limit_reset = Some(secs.to_string());
                    reset = secs;
                }
                Asked::ResetAtSecond(secs) => {
                    answer.rate_limit_reset = Some((server_secs + i64::from(secs)).to_string());
                    reset = secs;
                }
                Asked::ResetAtMillisecond(secs) => {
                    answer.rate_limit_reset = Some(((server_secs + i64::from(secs)) * 1_000).to_string());
                    reset = secs;
                }
                Asked::BodySeconds(secs) => {
                    body_secs = Some(json!(secs));
                    body = secs;
                }
                Asked::BodyText(secs) => {
                    body_secs = Some(json!(secs.to_string()));
                    body = secs;
                }
            }
        }
        let body_text = json!({ "success": false, "retry_after": body_secs }).to_string();
        let word = heyho_sync::decisions::protocol::read_word(&body_text).unwrap();
        let longest = i64::from(header.max(reset).max(body)) * 1_000;
        let wait = server_wait(&answer, word.retry_after_secs, here);
        prop_assert_eq!(wait, (longest > 0).then_some(ServerWait(Millis(longest))));
    }

    #[test]
    fn any_header_asks_for_a_sane_wait_or_for_none(
        retry_after in option::of(any::<String>()),
        reset in option::of("[-+0-9eE.,infa ]{0,12}"),
        date in option::of(any::<String>()),
        body_secs in option::of(any::<f64>()),
        now in moment(),
        random in random(),
    ) {
        let answer = Answer { status: 429, retry_after, rate_limit_reset: reset, date, ..Answer::default() };
        if let Some(wait) = server_wait(&answer, body_secs, now) {
            prop_assert!(wait.0 > Millis(0));
            let retry = Retry::after_failure(None, Some(wait), UnixMillis(0), random);
            prop_assert!(retry.not_before <= UnixMillis(DAY_MS + DAY_MS / 10));
        }
    }

    #[test]
    fn what_is_left_of_a_wait_is_never_more_than_the_whole(retry in retry(), now in moment()) {
        let span = retry.not_before.0 - retry.since.0;
        let expected = match now.0 {
            before if before < retry.since.0 => span,
            within if within < retry.not_before.0 => retry.not_before.0 - within,
            _ => 0,
        };
        prop_assert_eq!(retry.left(now), (expected > 0).then_some(Millis(expected)));
        prop_assert_eq!(retry.on_clock(now).left(now), retry.left(now));
        prop_assert_eq!(retry.on_clock(now).attempts, retry.attempts);
    }

    /// Time passes in steps; before some of them the clock jumps. The syncer looks at it after each.
    #[test]
    fn a_clock_that_jumps_neither_freezes_the_sync_nor_shortens_a_wait(
        retry in retry(),
        steps in vec((1..DAY_MS / 4, prop_oneof![3 => Just(0), 1 => 1..20 * 365 * DAY_MS]), 1..40),
        back in any::<bool>(),
    ) {
        let span = retry.not_before.0 - retry.since.0;
        let (mut kept, mut clock, mut waited, mut since_jump) = (retry, retry.since, 0, 0);
        for (passed, jump) in steps {
            clock = if back { clock - Millis(jump) } else { clock + Millis(jump) };
            since_jump = if jump == 0 { since_jump } else { 0 };
            kept = kept.on_clock(clock);
            clock = clock + Millis(passed);
            waited += passed;
            since_jump += passed;
            kept = kept.on_clock(clock);
            match kept.left(clock) {
                Some(left) => {
                    prop_assert!(left.0 <= span);
                    prop_assert!(since_jump < span, "the wait outlasts itself on a steady clock");
                }
                None if back => {
                    prop_assert!(waited >= span, "the wait was cut short");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}
