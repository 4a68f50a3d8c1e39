//! When to sync, and when to be woken for it (rules 7 and 9, step 2 of the sync loop).

use super::backoff::Retry;
use crate::words::policy::{EARLIEST_RETRY_ALARM, OVERDUE_AFTER, STUCK_AFTER};
use crate::words::time::{Millis, UnixMillis};

/// What is known when something triggers a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The user has agreed to recording and sending.
    pub consent: bool,
    /// The user has paused it.
    pub paused: bool,
    /// Somebody is signed in.
    pub signed_in: bool,
    /// The server's address may be sent to.
    pub address_is_safe: bool,
    /// Records of this account wait to be sent.
    pub anything_to_send: bool,
    /// Its server is to be told what the user wants erased.
    pub anything_to_erase: bool,
    /// The wait after an earlier failure.
    pub retry: Option<Retry>,
    /// The user asked for it by hand.
    pub by_hand: bool,
}

/// Whether to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Begin.
    Go,
    /// There is nothing to send.
    NothingToSend,
    /// Don't; nothing is read beyond this, nothing is written.
    Stop(Stop),
}

/// Why a run does not begin, or ends before everything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// No consent.
    ConsentMissing,
    /// Paused by the user.
    Paused,
    /// Nobody is signed in.
    SignedOut,
    /// The address is not https.
    InsecureAddress,
    /// A wait is not over.
    Waiting,
    /// Another context syncs this database.
    AnotherSyncer,
    /// The slice's time is over; the alarm goes on.
    SliceOver,
    /// The user has changed what may be sent; what was cut is cut anew.
    SettingsChanged,
    /// As many batches as were asked for are settled.
    EnoughBatches,
}

impl Stop {
    /// The words of the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsentMissing => "consent missing",
            Self::Paused => "paused",
            Self::SignedOut => "signed out",
            Self::InsecureAddress => "insecure address",
            Self::Waiting => "waiting",
            Self::AnotherSyncer => "another syncer",
            Self::SliceOver => "slice over",
            Self::SettingsChanged => "settings changed",
            Self::EnoughBatches => "enough batches",
        }
    }
}

/// Decides whether a trigger begins a sync. A user's click overrides our own backoff, never a server's wait. An erase is
/// the user's own word: it goes out during a pause and without consent too.
pub fn gate(situation: &Situation, now: UnixMillis) -> Gate {
    let erases = situation.anything_to_erase;
    if !situation.consent && !erases {
        Gate::Stop(Stop::ConsentMissing)
    } else if situation.paused && !erases {
        Gate::Stop(Stop::Paused)
    } else if !situation.signed_in {
        Gate::Stop(Stop::SignedOut)
    } else if !situation.anything_to_send && !erases {
        Gate::NothingToSend
    } else if !situation.address_is_safe {
        Gate::Stop(Stop::InsecureAddress)
    } else if situation.retry.is_some_and(|retry| retry.holds(now, situation.by_hand)) {
        Gate::Stop(Stop::Waiting)
    } else {
        Gate::Go
    }
}

/// Whether the holder of the lock has made no progress for so long that it must be frozen; also if its last sign of
/// life lies in the future, which only a clock that was set back explains.
pub fn is_stuck(alive_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    alive_at.is_some_and(|alive_at| {
        let silence = now.since(alive_at);
        silence > STUCK_AFTER || silence < Millis(-STUCK_AFTER.0)
    })
}

/// Whether a wait ended so long ago that nothing can have woken the worker since.
pub fn is_overdue(retry: &Retry, now: UnixMillis) -> bool {
    now.since(retry.not_before) > OVERDUE_AFTER
}

/// When the one-shot alarm is due: after the wait, and not before a browser would fire it.
pub fn retry_alarm(retry: Option<&Retry>, now: UnixMillis) -> UnixMillis {
    let wait = retry.and_then(|retry| retry.left(now)).unwrap_or(Millis(0));
    now + wait.max(EARLIEST_RETRY_ALARM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::backoff::AskedBy;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn ready() -> Situation {
        Situation {
            consent: true,
            paused: false,
            signed_in: true,
            address_is_safe: true,
            anything_to_send: true,
            anything_to_erase: false,
            retry: None,
            by_hand: false,
        }
    }

    fn retry(asked_by: AskedBy) -> Option<Retry> {
        Some(Retry { attempts: 1, since: NOW, not_before: NOW + Millis(500), asked_by })
    }

    #[test]
    fn nothing_is_sent_without_consent_while_paused_signed_out_or_insecurely() {
        for (situation, stop) in [
            (Situation { consent: false, ..ready() }, Stop::ConsentMissing),
            (Situation { paused: true, ..ready() }, Stop::Paused),
            (Situation { signed_in: false, ..ready() }, Stop::SignedOut),
            (Situation { address_is_safe: false, ..ready() }, Stop::InsecureAddress),
        ] {
            assert_eq!(gate(&situation, NOW), Gate::Stop(stop));
            assert_eq!(gate(&Situation { by_hand: true, ..situation }, NOW), Gate::Stop(stop));
        }
        assert_eq!(gate(&ready(), NOW), Gate::Go);
        assert_eq!(gate(&Situation { anything_to_send: false, ..ready() }, NOW), Gate::NothingToSend);
    }

    #[test]
    fn an_erase_needs_neither_consent_nor_records_but_a_login_and_its_turn() {
        let erase = Situation { anything_to_erase: true, anything_to_send: false, ..ready() };
        for situation in [erase, Situation { consent: false, ..erase }, Situation { paused: true, ..erase }] {
            assert_eq!(gate(&situation, NOW), Gate::Go);
        }
        for (situation, stop) in [
            (Situation { signed_in: false, ..erase }, Stop::SignedOut),
            (Situation { address_is_safe: false, ..erase }, Stop::InsecureAddress),
            (Situation { retry: retry(AskedBy::Us), ..erase }, Stop::Waiting),
        ] {
            assert_eq!(gate(&situation, NOW), Gate::Stop(stop));
        }
    }

    #[test]
    fn a_click_overrides_our_own_backoff_but_never_a_servers_wait() {
        for (asked_by, by_hand, expected) in [
            (AskedBy::Us, false, Gate::Stop(Stop::Waiting)),
            (AskedBy::Us, true, Gate::Go),
            (AskedBy::Server, false, Gate::Stop(Stop::Waiting)),
            (AskedBy::Server, true, Gate::Stop(Stop::Waiting)),
        ] {
            let situation = Situation { retry: retry(asked_by), by_hand, ..ready() };
            assert_eq!(gate(&situation, NOW), expected);
            assert_eq!(gate(&situation, NOW + Millis(500)), Gate::Go);
        }
    }

    #[test]
    fn a_holder_is_overtaken_only_after_minutes_without_progress() {
        assert!(!is_stuck(None, NOW));
        assert!(!is_stuck(Some(NOW), NOW + STUCK_AFTER));
        assert!(is_stuck(Some(NOW), NOW + STUCK_AFTER + Millis(1)));
        assert!(is_stuck(Some(NOW + Millis::from_days(1)), NOW));
    }

    #[test]
    fn the_alarm_is_due_at_the_later_of_half_a_minute_and_the_wait() {
        assert_eq!(retry_alarm(None, NOW), NOW + Millis(30_000));
        assert_eq!(retry_alarm(retry(AskedBy::Us).as_ref(), NOW), NOW + Millis(30_000));
        let long = Retry { attempts: 9, since: NOW, not_before: NOW + Millis(99_000), asked_by: AskedBy::Us };
        assert_eq!(retry_alarm(Some(&long), NOW), NOW + Millis(99_000));
    }
}
