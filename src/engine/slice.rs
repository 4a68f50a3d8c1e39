//! One wake's work: batches from the head of the outbox, one request in flight, until nothing is left or time is up.

use super::Engine;
use super::sync::{End, RunOptions};
use super::upload::{Batch, candidate};
use crate::decisions::backoff::{Retry, ServerWait};
use crate::decisions::batch::{self, Limits};
use crate::decisions::report::Report;
use crate::decisions::schedule::Stop;
use crate::decisions::sync_state::{ProblemCode, Progress, SyncState};
use crate::decisions::verdict::{self, Cause, NoAnswer, Sent, Tally, Verdict};
use crate::outbox::{Fate, OutboxError, Settlement};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store};
use crate::ports::transport::Transport;
use crate::words::key::KeyRange;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;
use crate::words::policy::{ATTEMPTS_IN_A_SLICE, WINDOW_RECORDS};
use crate::words::time::{Millis, UnixMillis};

/// The state of one slice.
pub(super) struct Slice<'a, S: Store, T, C, H> {
    engine: &'a Engine<S, T, C, H>,
    token: u64,
    report: Report,
    options: RunOptions,
    deadline: Millis,
    owner: Option<Owner>,
    ranges: Option<PerKind<KeyRange>>,
    windows: PerKind<Vec<Row<S::Body>>>,
    refreshed: bool,
}

/// What a new holder of the lock notes: progress starts anew, a wait that is over or overridden no longer shows.
pub(super) fn begin(state: &mut SyncState, now: UnixMillis) {
    state.progress = Some(Progress { done: 0, started_at: now });
    state.last_attempt_at = Some(now);
}

impl<'a, S, T, C, H> Slice<'a, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    pub(super) fn new(
        engine: &'a Engine<S, T, C, H>,
        token: u64,
        report: Report,
        options: RunOptions,
    ) -> Self {
        let settings = engine.settings();
        let budget = options.slice_budget.unwrap_or(settings.policy.slice_budget);
        Self {
            engine,
            token,
            report,
            options,
            deadline: Millis(engine.clock.monotonic().0.saturating_add(budget.0)),
            owner: settings.owner(),
            ranges: None,
            windows: PerKind::default(),
            refreshed: false,
        }
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    pub(super) async fn run(&mut self) -> Result<End, OutboxError> {
        loop {
            if let Some(stop) = self.must_stop() {
                return Ok(End::Stopped(stop));
            }
            let Some(batch) = self.next_batch().await? else { return Ok(End::Drained) };
            if let Some(end) = self.deliver(batch).await? {
                return Ok(end);
            }
        }
    }

    // Asked before every request: the user may have changed their mind, the time may be over.
    fn must_stop(&self) -> Option<Stop> {
        let settings = self.engine.settings();
        if !settings.consent {
            Some(Stop::ConsentMissing)
        } else if settings.paused {
            Some(Stop::Paused)
        } else if settings.owner().is_none() || settings.owner() != self.owner {
            Some(Stop::SignedOut)
        } else if self.options.max_batches.is_some_and(|most| self.report.batches >= most) {
            Some(Stop::EnoughBatches)
        } else if self.engine.clock.monotonic() >= self.deadline {
            Some(Stop::SliceOver)
        } else {
            None
        }
    }

    async fn next_batch(&mut self) -> Result<Option<Batch<S::Body>>, OutboxError> {
        let policy = self.engine.settings().policy;
        let limits = Limits { records: policy.max_records, bytes: policy.max_body_bytes };
        loop {
            self.refill(&limits).await?;
            let heads = PerKind {
                page_visits: self.windows.page_visits.iter().map(candidate).collect(),
                tab_aggregates: self.windows.tab_aggregates.iter().map(candidate).collect(),
            };
            let cut = batch::cut(&heads, &limits);
            if let Some(kind) = cut.never_fits {
                self.set_aside(kind).await?;
            } else if cut.is_empty() {
                return Ok(None);
            } else {
                return Ok(Some(Batch::take(cut, &mut self.windows)));
            }
        }
    }

    // Keeps at least one batch of each kind in the windows, as long as the epoch has one, and goes on to the next epoch.
    async fn refill(&mut self, limits: &Limits) -> Result<(), OutboxError> {
        loop {
            let short = Kind::ALL.into_iter().any(|kind| {
                let more =
                    self.ranges.as_ref().is_some_and(|ranges| ranges.of(kind).from < ranges.of(kind).to);
                more && self.windows.of(kind).len() < *limits.records.of(kind)
            });
            if short {
                self.read_more().await?;
            }
            let empty = Kind::ALL.into_iter().all(|kind| self.windows.of(kind).is_empty());
            if !empty {
                return Ok(());
            }
            let books = self.engine.outbox.overview().await?.books;
            let Some((_, ranges)) = self.owner.as_ref().and_then(|owner| books.first_to_send(owner)) else {
                return Ok(());
            };
            self.ranges = Some(ranges);
            self.read_more().await?;
            if Kind::ALL.into_iter().all(|kind| self.windows.of(kind).is_empty()) {
                return Ok(());
            }
        }
    }

    async fn read_more(&mut self) -> Result<(), OutboxError> {
        let Some(mut ranges) = self.ranges else { return Ok(()) };
        let mut found = self.engine.outbox.window(ranges, WINDOW_RECORDS).await?;
        for kind in Kind::ALL {
            let rows = found.of_mut(kind);
            let range = ranges.of_mut(kind);
            range.from = match rows.last() {
                Some(last) if rows.len() == WINDOW_RECORDS => last.key.next(),
                _ => range.to,
            };
            self.windows.of_mut(kind).append(rows);
        }
        self.ranges = Some(ranges);
        Ok(())
    }

    // A record that no request can carry does not stand in the way of the others.
    async fn set_aside(&mut self, kind: Kind) -> Result<(), OutboxError> {
        if self.windows.of(kind).is_empty() {
            return Ok(());
        }
        let row = self.windows.of_mut(kind).remove(0);
        let note = serde_json::json!({
            "reason": "too_large",
            "at": self.engine.clock.now(),
        });
        let mut rows = PerKind::<Vec<_>>::default();
        rows.of_mut(kind).push((row, Fate::Quarantined(note.to_string())));
        self.settle(rows, |_| {}).await.map(|_| ())
    }

    async fn settle(
        &mut self,
        rows: PerKind<Vec<(Row<S::Body>, Fate)>>,
        note: impl FnOnce(&mut SyncState),
    ) -> Result<u64, OutboxError> {
        let ranges = self.ranges;
        let lowest = |kind: Kind| {
            let waiting = self.windows.of(kind).first().map(|row| row.key);
            let unread = ranges.map(|ranges| *ranges.of(kind)).filter(|range| range.from < range.to);
            let behind = rows.of(kind).last().map(|(row, _)| row.key.next());
            waiting.or_else(|| unread.map(|range| range.from)).or(behind)
        };
        let lowest =
            PerKind { page_visits: lowest(Kind::PageVisit), tab_aggregates: lowest(Kind::TabAggregate) };
        let settlement = Settlement { token: self.token, rows, lowest };
        let settled = self.engine.outbox.settle(settlement, note).await?;
        self.engine.host.changed();
        Ok(settled)
    }

    // Sends one batch until it is settled or the slice must end.
    async fn deliver(&mut self, batch: Batch<S::Body>) -> Result<Option<End>, OutboxError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let verdict = self.attempt(&batch, attempt).await?;
            let (problem, wait, again) = match verdict {
                Verdict::Acknowledged(tally) => {
                    self.acknowledge(batch, tally).await?;
                    return Ok(None);
                }
                Verdict::LoginExpired if !self.refreshed => {
                    self.refreshed = true;
                    if self.engine.refresh_login().await {
                        continue;
                    }
                    (ProblemCode::SignInAgain, None, false)
                }
                Verdict::LoginExpired => (ProblemCode::SignInAgain, None, false),
                Verdict::NotAllowed => (ProblemCode::NotAllowed, None, false),
                Verdict::Transient { cause, wait } => (cause.into(), wait, true),
                Verdict::Permanent(cause) => (cause.into(), None, false),
                Verdict::Shortfall => (Cause::NotAnAcknowledgement.into(), None, true),
                Verdict::PartlyAcknowledged(..)
                | Verdict::RefusedFor(_)
                | Verdict::Unexplained
                | Verdict::TooLarge
                | Verdict::CompressionRefused => (ProblemCode::ServerRefuses, None, false),
            };
            let retry = self.failed(problem, wait).await?;
            let now = self.engine.clock.now();
            let pause = retry.left(now).unwrap_or(Millis(0));
            let in_time = self.engine.clock.monotonic().0.saturating_add(pause.0) < self.deadline.0;
            if !again || attempt >= ATTEMPTS_IN_A_SLICE || !in_time {
                self.count_failure(&batch, verdict);
                return Ok(Some(End::Trouble(problem)));
            }
            self.engine.clock.sleep(pause).await;
            if let Some(stop) = self.must_stop() {
                self.count_failure(&batch, verdict);
                return Ok(Some(End::Stopped(stop)));
            }
        }
    }

    async fn attempt(&mut self, batch: &Batch<S::Body>, attempt: u32) -> Result<Verdict, OutboxError> {
        let settings = self.engine.settings();
        let bearer =
            settings.session.as_ref().map(|session| session.access_token.as_str()).unwrap_or_default();
        let request = batch.request(&settings.server_url, bearer, settings.policy.request_timeout);
        self.report.requests += 1;
        self.report.retries += u64::from(attempt > 1);
        self.report.bytes_before_compression += batch.bytes();
        self.report.bytes_sent += batch.bytes();
        let outcome = self.engine.transport.post(request).await;
        let records: Vec<(Kind, &str)> =
            batch.sent().map(|(kind, row)| (kind, row.head.id.as_str())).collect();
        let counts_expected = self.engine.outbox.overview().await?.state.server.gives_counts;
        let sent = Sent { records: &records, compressed: false, counts_expected };
        let outcome = outcome.as_ref().map_err(|no_answer: &NoAnswer| *no_answer);
        Ok(verdict::judge(sent, outcome, self.engine.clock.now()))
    }

    async fn acknowledge(&mut self, batch: Batch<S::Body>, tally: Tally) -> Result<(), OutboxError> {
        let records = batch.records();
        let all = |rows: Vec<Row<S::Body>>| rows.into_iter().map(|row| (row, Fate::Acknowledged)).collect();
        let rows = PerKind {
            page_visits: all(batch.rows.page_visits),
            tab_aggregates: all(batch.rows.tab_aggregates),
        };
        let now = self.engine.clock.now();
        self.settle(rows, |state| {
            state.retry = None;
            state.problem = None;
            state.last_attempt_at = Some(now);
            state.last_success_at = Some(now);
            state.server.gives_counts |= tally.counted;
            if let Some(progress) = &mut state.progress {
                progress.done += records;
            }
        })
        .await?;
        self.report.settled(records, tally);
        Ok(())
    }

    async fn failed(&mut self, problem: ProblemCode, wait: Option<ServerWait>) -> Result<Retry, OutboxError> {
        let now = self.engine.clock.now();
        let random = self.engine.clock.random_u64();
        let mut planned = Retry::after_failure(None, wait, now, random);
        let note = |state: &mut SyncState| {
            planned = Retry::after_failure(state.retry.as_ref(), wait, now, random);
            state.retry = Some(planned);
            state.last_attempt_at = Some(now);
            state.trouble(problem, now);
        };
        self.engine.outbox.note(self.token, note).await?;
        self.engine.host.changed();
        Ok(planned)
    }

    fn count_failure(&mut self, batch: &Batch<S::Body>, verdict: Verdict) {
        let records = batch.records();
        self.report.attempted += records;
        match verdict {
            Verdict::Transient { cause: Cause::NoAnswer(NoAnswer::TimedOut), .. } => {
                self.report.timed_out += records
            }
            _ => self.report.errored += records,
        }
    }
}
