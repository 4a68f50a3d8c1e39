//! What the popup shows; derived from the books and the syncer's memory, never stored as truth.

use serde::Serialize;

use super::erasure::Intent;
use super::handover::Elsewhere;
use super::health::{Findings, Rebuilt};
use super::ledger::{Books, Totals};
use super::metrics::{self, Metrics};
use super::report::Report;
use super::schedule;
use super::sync_state::{Progress, SyncState};
use crate::words::kind::PerKind;
use crate::words::time::UnixMillis;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing is wrong and nothing is being done.
    Idle,
    /// Records are being sent.
    Syncing,
    /// A wait after a failure runs.
    Waiting,
    /// Nobody is signed in: records are kept, nothing is sent.
    SignedOut,
    /// Paused by the user, or not yet allowed.
    Paused,
    /// Something needs the user.
    Error,
}

/// The whole picture (`Status`). Counts are `{pageVisits, tabAggregates}`, moments milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the names of the published interface; rule 12 and the words of the design define them"
)]
pub struct Status {
    pub state: State,
    pub consent: bool,
    pub paused: bool,
    pub signed_in: bool,
    pub captured: PerKind<u64>,
    pub acknowledged: PerKind<u64>,
    pub pending: PerKind<u64>,
    pub parked: PerKind<u64>,
    pub quarantined: PerKind<u64>,
    pub archived: PerKind<u64>,
    pub discarded: PerKind<u64>,
    pub unrecoverable: PerKind<u64>,
    pub unclaimed: PerKind<u64>,
    pub elsewhere: Vec<Elsewhere>,
    pub erasing: Vec<ShownErasure>,
    /// Archived records could be sent now: nothing stands in the way any more.
    pub restorable: bool,
    pub problem: Option<ShownProblem>,
    pub last_success_at: Option<UnixMillis>,
    pub last_attempt_at: Option<UnixMillis>,
    pub next_attempt_at: Option<UnixMillis>,
    pub progress: Option<ShownProgress>,
    pub last_report: Option<Report>,
    pub metrics: Metrics,
    pub health: Health,
}

/// An erase that a server has not confirmed.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownErasure {
    /// The site; none for everything.
    pub site: Option<String>,
    /// The server's origin.
    pub server: String,
    /// When the user asked for it.
    pub since: UnixMillis,
    /// The server has said that it can't; it is asked again once a day.
    pub unable: bool,
    /// It waits until its account is signed in.
    pub waits_for_sign_in: bool,
}

// The user may see the site, a log may not (rule 11).
impl std::fmt::Debug for ShownErasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownErasure").field("since", &self.since).finish_non_exhaustive()
    }
}

/// A problem in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownProblem {
    /// Its stable name.
    pub code: &'static str,
    /// What the user can do.
    pub message: &'static str,
    /// Since when.
    pub since: UnixMillis,
}

/// How far a running sync is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownProgress {
    /// Records settled.
    pub done: u64,
    /// Records to settle in all.
    pub total: u64,
    /// Records a second so far.
    pub per_second: f64,
    /// Seconds left at this rate; none before there is a rate.
    pub seconds_left: Option<f64>,
    /// Batches left at the present limit.
    pub batches_left: u64,
}

/// Whether everything is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Rule 12 holds in every epoch.
    pub books_balance: bool,
    /// When the rows were last counted against the books; none before the first time.
    pub checked_at: Option<UnixMillis>,
    /// Whether they agreed then.
    pub balanced: bool,
    /// How they did not.
    #[serde(flatten)]
    pub found: Findings,
    /// A retry was due long ago.
    pub retry_overdue: bool,
    /// A sync began, gets nowhere, and has not given the lock back.
    pub stuck_lock: bool,
    /// When a damaged database was rebuilt.
    pub rebuilt: Option<Rebuilt>,
}

/// What the running core knows beside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// The user's consent.
    pub consent: bool,
    /// The user's pause.
    pub paused: bool,
    /// Somebody is signed in.
    pub signed_in: bool,
    /// A sync runs in this context.
    pub syncing: bool,
    /// Records of a kind in a batch.
    pub batch_records: usize,
    /// The moment of asking.
    pub now: UnixMillis,
}

/// Draws the picture.
pub fn status(books: &Books, state: &SyncState, present: &Present) -> Status {
    let totals = books.totals();
    let count = |of: fn(&Totals) -> u64| PerKind {
        page_visits: of(&totals.page_visits),
        tab_aggregates: of(&totals.tab_aggregates),
    };
    let pending = count(|of| of.counts.pending);
    let wait = state.retry.and_then(|retry| retry.left(present.now));
    let waits = pending.total() > 0 && present.consent && !present.paused && present.signed_in;
    Status {
        state: state_of(state, present, wait.is_some() && waits),
        consent: present.consent,
        paused: present.paused,
        signed_in: present.signed_in,
        captured: count(|of| of.counts.captured),
        acknowledged: count(|of| of.counts.acknowledged),
        pending,
        parked: count(|of| of.parked),
        quarantined: count(|of| of.counts.quarantined),
        archived: count(|of| of.counts.archived),
        discarded: count(|of| of.counts.discarded),
        unrecoverable: count(|of| of.counts.unrecoverable),
        unclaimed: books.unclaimed(),
        elsewhere: books.elsewhere(),
        erasing: state.erasures.there.iter().map(|intent| shown_erasure(intent, books)).collect(),
        restorable: count(|of| of.counts.archived).total() > 0
            && state.problem.is_none()
            && state.undelivered_since.is_none()
            && state.last_success_at.is_some(),
        problem: state.problem.map(|problem| ShownProblem {
            code: problem.code.as_str(),
            message: problem.code.message(),
            since: problem.since,
        }),
        last_success_at: state.last_success_at,
        last_attempt_at: state.last_attempt_at,
        next_attempt_at: wait.filter(|_| waits).map(|wait| present.now + wait),
        progress: state
            .progress
            .filter(|_| present.syncing)
            .map(|progress| shown(progress, pending, present)),
        last_report: state.last_report.clone(),
        metrics: metrics::metrics(
            &state.uploads,
            count(|of| of.counts.captured).total(),
            count(|of| of.counts.quarantined).total(),
        ),
        health: Health {
            books_balance: books.balance(),
            checked_at: state.health.checked_at,
            balanced: state.health.found.balanced(),
            found: state.health.found,
            retry_overdue: waits
                && state.retry.is_some_and(|retry| schedule::is_overdue(&retry, present.now)),
            stuck_lock: state.progress.is_some()
                && !present.syncing
                && schedule::is_stuck(state.alive_at, present.now),
            rebuilt: state.health.rebuilt,
        },
    }
}

fn state_of(state: &SyncState, present: &Present, waiting: bool) -> State {
    if !present.consent || present.paused {
        State::Paused
    } else if !present.signed_in {
        State::SignedOut
    } else if present.syncing {
        State::Syncing
    } else if state.problem.is_some_and(|problem| problem.code.needs_the_user()) {
        State::Error
    } else if waiting {
        State::Waiting
    } else {
        State::Idle
    }
}

fn shown_erasure(intent: &Intent, books: &Books) -> ShownErasure {
    ShownErasure {
        site: intent.site.clone(),
        server: intent.owner.origin.clone(),
        since: intent.to,
        unable: intent.unable,
        waits_for_sign_in: books.owner() != Some(&intent.owner),
    }
}

fn shown(progress: Progress, pending: PerKind<u64>, present: &Present) -> ShownProgress {
    let seconds = present.now.since(progress.started_at).0.max(0) as f64 / 1000.0;
    let left = pending.total();
    let per_second = if seconds > 0.0 { progress.done as f64 / seconds } else { 0.0 };
    let most = pending.page_visits.max(pending.tab_aggregates);
    ShownProgress {
        done: progress.done,
        total: progress.done + left,
        per_second,
        seconds_left: (per_second > 0.0).then(|| left as f64 / per_second),
        batches_left: most.div_ceil(present.batch_records.max(1) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::backoff::{AskedBy, Retry};
    use crate::decisions::sync_state::ProblemCode;
    use crate::words::kind::Kind;
    use crate::words::owner::Owner;
    use crate::words::time::Millis;

    const NOW: UnixMillis = UnixMillis(50_000);

    fn present() -> Present {
        Present {
            consent: true,
            paused: false,
            signed_in: true,
            syncing: false,
            batch_records: 100,
            now: NOW,
        }
    }

    fn books(pending: usize) -> Books {
        let mut books = Books::default();
        books.hand_to(Some(&Owner { origin: "https://a".into(), account: "1".into() }));
        for _ in 0..pending {
            books.capture(Kind::PageVisit, None).unwrap();
        }
        books
    }

    #[test]
    fn what_the_user_decided_comes_before_what_the_server_says() {
        let mut state = SyncState::default();
        state.trouble(ProblemCode::SignInAgain, NOW);
        let shown = |present: &Present| status(&books(1), &state, present).state;
        assert_eq!(shown(&Present { consent: false, ..present() }), State::Paused);
        assert_eq!(shown(&Present { paused: true, ..present() }), State::Paused);
        assert_eq!(shown(&Present { signed_in: false, ..present() }), State::SignedOut);
        assert_eq!(shown(&Present { syncing: true, ..present() }), State::Syncing);
        assert_eq!(shown(&present()), State::Error);
    }

    #[test]
    fn a_wait_shows_when_the_next_attempt_is_due_only_if_something_is_to_be_sent() {
        let retry = Retry { attempts: 1, since: NOW, not_before: NOW + Millis(4_000), asked_by: AskedBy::Us };
        let mut state = SyncState { retry: Some(retry), ..SyncState::default() };
        state.trouble(ProblemCode::Unreachable, NOW);
        let waiting = status(&books(1), &state, &present());
        assert_eq!((waiting.state, waiting.next_attempt_at), (State::Waiting, Some(NOW + Millis(4_000))));
        let nothing = status(&books(0), &state, &present());
        assert_eq!((nothing.state, nothing.next_attempt_at), (State::Idle, None));
    }

    #[test]
    fn progress_tells_rate_and_time_left() {
        let progress = Progress { done: 100, started_at: UnixMillis(40_000) };
        let state = SyncState { progress: Some(progress), ..SyncState::default() };
        let shown = status(&books(250), &state, &Present { syncing: true, ..present() }).progress.unwrap();
        assert_eq!((shown.done, shown.total, shown.batches_left), (100, 350, 3));
        assert!((shown.per_second - 10.0).abs() < 1e-9 && shown.seconds_left == Some(25.0));
    }
}
