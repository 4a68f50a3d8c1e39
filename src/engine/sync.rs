//! One run: trigger, gate, lock, slice, account.

use std::cell::Cell;

use super::preflight::Doubt;
use super::{Engine, slice};
use crate::decisions::ledger::Books;
use crate::decisions::report::{Outcome, Report};
use crate::decisions::schedule::{self, Gate, Situation, Stop};
use crate::decisions::sync_state::ProblemCode;
use crate::outbox::{OutboxError, Overview, SeenNote};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::owner;
use crate::words::policy::MOMENT;
use crate::words::time::Millis;

/// How one run is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// Settle at most so many batches.
    pub max_batches: Option<u64>,
    /// Start requests for at most so long.
    pub slice_budget: Option<Millis>,
    /// The user asked by hand: our own backoff does not hold.
    pub by_hand: bool,
}

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Sends what is to be sent, until nothing is left or something ends the slice. A run that finds another one at
    /// work, in this context or elsewhere, leaves it to that one.
    ///
    /// # Errors
    /// [`OutboxError`] where the database fails; what was settled before stays settled.
    pub async fn sync(&self, options: RunOptions) -> Result<Report, OutboxError> {
        let started_at = self.clock.now();
        let turn = self.changing.lock().await;
        // What fails before anything began is tried again too.
        let again = |failure: OutboxError| {
            self.host.arm_retry(Some(schedule::retry_alarm(None, started_at)));
            failure
        };
        let Overview { books, mut state, .. } = self.erase_what_is_left().await.map_err(again)?;
        let erased = self.erased.get();
        drop(turn);
        let settings = self.settings();
        let owner = settings.owner();
        let remaining = owner.as_ref().map(|owner| books.pending_of(owner)).unwrap_or_default();
        let report = Report { started_at, remaining, ..Report::default() };
        if state.is_of_another_clock(started_at) {
            state = self.outbox.wait_anew(started_at).await.map_err(again)?;
        }
        state.retry = self.holding(state.retry);
        let situation = Situation {
            consent: settings.consent,
            paused: settings.paused,
            signed_in: owner.is_some(),
            address_is_safe: owner::may_be_sent_to(&settings.server_url),
            anything_to_send: remaining.total() > 0,
            anything_to_erase: owner
                .as_ref()
                .is_some_and(|owner| !state.erasures.due(owner, started_at, options.by_hand).is_empty()),
            retry: state.retry,
            by_hand: options.by_hand,
        };
        match schedule::gate(&situation, started_at) {
            Gate::Go => {}
            Gate::NothingToSend => return Ok(report),
            Gate::Stop(stop) => {
                if stop == Stop::Waiting {
                    self.host.arm_retry(Some(schedule::retry_alarm(state.retry.as_ref(), started_at)));
                }
                // While nothing can be sent the backlog grows, row by row. What fails is left to the next wake.
                let _ = self.outbox.tidy(&books).await;
                return Ok(stopped(report, stop.as_str()));
            }
        }
        if self.running.get() {
            return Ok(stopped(report, Stop::AnotherSyncer.as_str()));
        }
        let running = Running::begin(&self.running);
        let Some(lock) = self.take_lock().await.map_err(again)? else {
            self.host.arm_retry(Some(schedule::retry_alarm(None, started_at)));
            return Ok(stopped(report, Stop::AnotherSyncer.as_str()));
        };
        let result = match self.noticing(self.run_slice(report, options, erased).await) {
            // The next run, for which the alarm is armed, finds a database that works, and what wait a server has asked
            // for: memory ends with the worker.
            Err(failure) => {
                let healed = self.healed_after(failure.clone()).await;
                if let (Some(origin), Some(retry)) = (self.settings().origin(), self.heeded()) {
                    let _ = self.outbox.heed(&origin, retry).await;
                }
                healed.and(Err(failure))
            }
            done => done,
        };
        drop(lock);
        drop(running);
        self.host.changed();
        result
    }

    // A holder that got nowhere for minutes is frozen, and is overtaken; its settlements fail from then on (rule 8). One
    // that has only just taken the lock gets a moment to say so.
    async fn take_lock(&self) -> Result<Option<H::Lock>, OutboxError> {
        if let Some(lock) = self.host.try_lock(false).await {
            return Ok(Some(lock));
        }
        for look in 0..2 {
            let state = self.outbox.overview().await?.state;
            if !schedule::is_stuck(state.alive_at, self.clock.now()) {
                return Ok(None);
            }
            if look == 0 {
                self.clock.sleep(MOMENT).await;
            }
        }
        Ok(self.host.try_lock(true).await)
    }

    async fn run_slice(
        &self,
        report: Report,
        options: RunOptions,
        erased: u32,
    ) -> Result<Report, OutboxError> {
        let now = self.clock.now();
        self.host.arm_retry(Some(schedule::retry_alarm(None, now)));
        let mut doubt = Doubt::None;
        let (token, overview) = self
            .outbox
            .take_over(Box::new(|state| {
                // Whoever left that behind did not get to its end, and may have had requests in flight.
                if state.progress.is_some() {
                    doubt = Doubt::Head;
                }
                slice::begin(state, now);
            }))
            .await?;
        let mut slice = slice::Slice::new(self, token, overview, report, options, doubt, erased);
        let mut end = slice.run().await;
        let mut archived = false;
        if let Err(Halt::End(End::Trouble(problem))) = end {
            match slice.archive_old(problem).await {
                Ok(anything) => archived = anything,
                Err(halt) => end = Err(halt),
            }
        }
        let may_count = slice.has_time_for(Millis(0));
        let report = slice.into_report();
        match end {
            Ok(end) | Err(Halt::End(end)) => self.finish(token, report, end, archived, may_count).await,
            Err(Halt::Outbox(OutboxError::Fenced)) => Ok(stopped(report, Stop::AnotherSyncer.as_str())),
            Err(Halt::Outbox(error)) => Err(error),
        }
    }

    // The run's last transaction: its account, and what stands in the way; then the day's count of the rows. Arms the
    // alarm for what is left.
    async fn finish(
        &self,
        token: u64,
        report: Report,
        end: End,
        archived: bool,
        may_count: bool,
    ) -> Result<Report, OutboxError> {
        let now = self.clock.now();
        let owner = self.settings().owner();
        let account = |books: &Books| {
            let mut report = report.clone();
            report.remaining = owner.as_ref().map(|owner| books.pending_of(owner)).unwrap_or_default();
            report.duration_ms = now.since(report.started_at).max(Millis(0));
            match end {
                _ if report.remaining.total() == 0 && !archived => report,
                End::Drained => report,
                End::Stopped(stop) => stopped(report, stop.as_str()),
                End::Trouble(problem) => stopped(report, problem.as_str()),
            }
        };
        let note = || -> SeenNote<'_> {
            Box::new(|books, state| {
                let report = account(books);
                state.progress = None;
                state.doubtful &= report.remaining.total() > 0;
                state.last_report = Some(report);
            })
        };
        let mut seen = match self.outbox.note_seen(token, note()).await {
            Err(OutboxError::Fenced) => return Ok(stopped(report, Stop::AnotherSyncer.as_str())),
            noted => noted?,
        };
        let remaining = account(&seen.books).remaining;
        // A count may find that less is left, or more.
        if may_count
            && self.count_some_rows(token, end == End::Drained, &mut seen).await
            && account(&seen.books).remaining != remaining
        {
            seen = self.outbox.note_seen(token, note()).await?;
        }
        let Overview { books, state, .. } = seen;
        let report = account(&books);
        self.mirror(&books, &state).await;
        let next = schedule::retry_alarm(state.retry.as_ref(), now);
        let left = report.remaining.total() > 0;
        let erase_at = owner.and_then(|owner| state.erasures.next_at(&owner, now)).map(|at| at.max(next));
        self.host.arm_retry(if left { Some(next) } else { erase_at });
        self.outbox.store().rests();
        Ok(report)
    }
}

/// How a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Drained,
    Stopped(Stop),
    Trouble(ProblemCode),
}

/// What ends a slice from within.
#[derive(Debug)]
pub(super) enum Halt {
    /// It is to end so.
    End(End),
    /// The database failed, or another syncer has taken over.
    Outbox(OutboxError),
}

impl From<OutboxError> for Halt {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

fn stopped(report: Report, reason: &str) -> Report {
    Report { outcome: Outcome::Incomplete, reason: Some(reason.to_owned()), ..report }
}

// Lowered also where the run is dropped in the middle.
struct Running<'a>(&'a Cell<bool>);

impl<'a> Running<'a> {
    fn begin(flag: &'a Cell<bool>) -> Self {
        flag.set(true);
        Self(flag)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
