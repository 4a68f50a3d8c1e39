//! One wake's work: batches from the head of the outbox, up to three in flight, until nothing is left or time is up.

use futures_util::stream::FuturesUnordered;

use super::Engine;
use super::abilities::News;
use super::flight::Flight;
use super::preflight::{Doubt, Preflight};
use super::sync::{End, Halt, RunOptions};
use super::upload::{Batch, Parcel};
use super::windows::Windows;
use crate::decisions::backoff::{self, ServerWait};
use crate::decisions::ledger::Books;
use crate::decisions::metrics::Ended;
use crate::decisions::protocol::Answer;
use crate::decisions::report::Report;
use crate::decisions::schedule::Stop;
use crate::decisions::sync_state::{ProblemCode, Progress, SyncState};
use crate::decisions::verdict::{self, Cause, NoAnswer, Sent, Verdict};
use crate::outbox::Overview;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store};
use crate::ports::transport::Transport;
use crate::words::hash::HashMap;
use crate::words::key::RowKey;
use crate::words::kind::Kind;
use crate::words::owner::Owner;
use crate::words::time::{Millis, UnixMillis};

/// The state of one slice.
pub(super) struct Slice<'a, S: Store, T, C, H> {
    pub(super) engine: &'a Engine<S, T, C, H>,
    pub(super) token: u64,
    pub(super) report: Report,
    pub(super) windows: Windows<S::Body>,
    /// What the persisted state says, kept up with every note.
    pub(super) state: SyncState,
    /// Rows whose last attempt failed.
    pub(super) failed: HashMap<RowKey, Failure>,
    /// The books as the slice began with them, until its first look for an epoch.
    pub(super) first_books: Option<Books>,
    /// Whether anything was ever withheld, so that references must be looked up.
    pub(super) withholds: bool,
    /// Settlements with something acknowledged so far: proof that the server works.
    pub(super) stores: u64,
    pub(super) options: RunOptions,
    deadline: Millis,
    pub(super) owner: Option<Owner>,
    refreshed: bool,
    /// For each epoch that was taken along from another server, the place before which its page visits are there.
    pub(super) taken: Vec<RowKey>,
    /// What the engine had erased when the slice began: what it has read since is there.
    erased: u32,
    /// Whether the server has read a compressed body in this slice.
    pub(super) gzip_is_read: bool,
    /// Whether references are sent in order, whatever the server says: a batch has failed that may show why.
    pub(super) keeps_order: bool,
    /// Whether the `Date` of the last answer to an upload agreed with our clock.
    pub(super) clock_is_right: bool,
    pub(super) news: News,
    pub(super) preflight: Preflight,
    /// Requests that ran out of time.
    pub(super) timeouts: u32,
    /// The requests so far when the suspects were last given another try.
    pub(super) suspects_tried_at: Option<u64>,
    /// Requests that may be in flight together now.
    pub(super) width: usize,
    /// The wait that the server has asked for in an answer after which the slice would go on.
    pub(super) asked: Option<ServerWait>,
    /// What the engine heeds for the slice's own requests, or has heeded before.
    pub(super) heeds: Millis,
}

/// The failures of a row within a slice.
pub(super) struct Failure {
    /// Whether the last one was a time-out.
    timed_out: bool,
    /// What `stores` was at the first one that may have been about the row.
    first_at: Option<u64>,
}

/// What a new holder of the lock notes.
pub(super) fn begin(state: &mut SyncState, now: UnixMillis) {
    state.progress = Some(Progress { done: 0, started_at: now });
    state.last_attempt_at = Some(now);
    state.alive_at = Some(now);
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
        overview: Overview,
        report: Report,
        options: RunOptions,
        doubt: Doubt,
        erased: u32,
    ) -> Self {
        // What failed without a word may have failed for its order.
        let keeps_order = overview.state.failing.is_some();
        let doubt = if overview.state.doubtful { Doubt::Everything } else { doubt };
        let settings = engine.settings();
        let budget = options.slice_budget.unwrap_or(settings.policy.slice_budget);
        Self {
            engine,
            token,
            report,
            windows: Windows::new(),
            state: overview.state,
            failed: HashMap::default(),
            withholds: overview.books.anything_withheld(),
            keeps_order,
            first_books: Some(overview.books),
            stores: 0,
            options,
            deadline: Millis(engine.clock.monotonic().0.saturating_add(budget.0)),
            owner: settings.owner(),
            refreshed: false,
            taken: Vec::new(),
            erased,
            gzip_is_read: false,
            clock_is_right: false,
            news: News::default(),
            preflight: Preflight::with(doubt),
            timeouts: 0,
            suspects_tried_at: None,
            width: 1,
            asked: None,
            // One that holds now was asked for since the gate let this slice pass.
            heeds: engine.heeds.get().min(engine.clock.monotonic()),
        }
    }

    /// The account of the slice: what failed last counts as failed.
    pub(super) fn into_report(self) -> Report {
        let timed_out = self.failed.values().filter(|failure| failure.timed_out).count() as u64;
        let failed = self.failed.len() as u64;
        let mut report = self.report;
        report.attempted += failed;
        report.timed_out += timed_out;
        report.errored += failed - timed_out;
        report
    }

    pub(super) async fn run(&mut self) -> Result<End, Halt> {
        let end = self.work().await;
        match (&end, self.asked) {
            (Err(Halt::Outbox(_)), _) | (_, None) => end,
            // Noted, where it is not yet.
            (Ok(End::Drained), Some(_)) => {
                if let Some(asked) = self.engine.heeded() {
                    self.engine.outbox.heed(&self.origin(), asked).await?;
                }
                end
            }
            _ => self.give_up(ProblemCode::ServerTrouble, None).await.map(|()| End::Stopped(Stop::Waiting)),
        }
    }

    async fn work(&mut self) -> Result<End, Halt> {
        self.ask_to_erase().await?;
        if let Some(stop) = self.must_stop(0) {
            return Ok(End::Stopped(stop));
        }
        self.learn_abilities().await?;
        self.retry_refused().await?;
        loop {
            if let Some(piece) = self.state.unexplained.next_piece() {
                self.try_pieces(piece).await?;
            } else if let Some((parcel, verdict)) = self.fly(&mut FuturesUnordered::new()).await? {
                if self.asked.is_none() && self.takes_any_order() && may_be_about_order(&verdict) {
                    // The server may have lost that ability: in order from here.
                    self.keeps_order = true;
                    self.windows.give_back(parcel.into_batch());
                } else {
                    // One at a time from here, until the head is through.
                    self.deliver(parcel, verdict).await?;
                }
            } else if !self.try_suspects_again().await? {
                return Ok(End::Drained);
            }
        }
    }

    /// Asked before every request: the user may have changed their mind, the time may be over.
    pub(super) fn must_stop(&self, in_flight: u64) -> Option<Stop> {
        let settings = self.engine.settings();
        if !settings.consent {
            Some(Stop::ConsentMissing)
        } else if settings.paused {
            Some(Stop::Paused)
        } else {
            self.must_stop_erasing(in_flight)
        }
    }

    /// The same of what needs no consent and no end of a pause: an erase, and the login for it.
    pub(super) fn must_stop_erasing(&self, in_flight: u64) -> Option<Stop> {
        let owner = self.engine.settings().owner();
        let batches = self.report.batches + in_flight;
        if owner.is_none() || owner != self.owner {
            Some(Stop::SignedOut)
        } else if self.engine.erased.get() != self.erased {
            Some(Stop::SettingsChanged)
        } else if self.asked.is_some() || self.engine.heeds.get() > self.heeds {
            Some(Stop::Waiting)
        } else if self.options.max_batches.is_some_and(|most| batches >= most) {
            Some(Stop::EnoughBatches)
        } else if self.engine.clock.monotonic() >= self.deadline {
            Some(Stop::SliceOver)
        } else {
            None
        }
    }

    /// The origin of the server that the slice sends to.
    pub(super) fn origin(&self) -> String {
        self.owner.as_ref().map(|owner| owner.origin.clone()).unwrap_or_default()
    }

    /// Whether a wait ends within the slice.
    pub(super) fn has_time_for(&self, wait: Millis) -> bool {
        self.engine.clock.monotonic().0.saturating_add(wait.0) < self.deadline.0
    }

    // Begins a request, unless the slice must stop: between the cut and now the user may have paused it, excluded a
    // site or signed in as somebody else. What was cut under other settings is cut anew then.
    pub(super) fn start(
        &mut self,
        mut parcel: Parcel<S::Body>,
        again: bool,
        in_flight: u64,
    ) -> Result<Flight<'a, S::Body>, Halt> {
        if let Some(stop) = self.must_stop(in_flight) {
            return Err(Halt::End(End::Stopped(stop)));
        }
        let engine = self.engine;
        let settings = engine.settings();
        if settings.excluded != parcel.settings.excluded {
            return Err(Halt::End(End::Stopped(Stop::SettingsChanged)));
        }
        parcel.sent_at = engine.clock.monotonic();
        let request = parcel.request(&settings);
        self.report.requests += 1;
        self.report.retries += u64::from(again);
        self.report.bytes_before_compression += parcel.bytes() as u64;
        self.report.bytes_sent += parcel.bytes_sent() as u64;
        Ok(Box::pin(async move {
            let outcome = engine.transport.send(request).await;
            (parcel, outcome)
        }))
    }

    pub(super) fn judge(&mut self, parcel: &Parcel<S::Body>, outcome: Result<Answer, NoAnswer>) -> Verdict {
        if let Ok(answer) = &outcome {
            self.note_clock(answer);
        }
        let records: Vec<(Kind, &str)> =
            parcel.sent().map(|row| (row.head.kind, row.head.id.as_str())).collect();
        let counts_expected = self.state.server.gives_counts;
        let compressed = parcel.is_packed() && !self.gzip_is_read;
        let sent = Sent { records: &records, compressed, counts_expected };
        let verdict = self.judge_answer(sent, &outcome);
        let took = self.engine.clock.monotonic().0.saturating_sub(parcel.sent_at.0);
        self.news.uploads.add(u32::try_from(took).unwrap_or_default(), Ended::with(&verdict));
        verdict
    }

    /// The verdict on an answer. A wait that the server asks for beside it, whatever it says, holds from now on; what is
    /// acknowledged as it should be asks for none.
    pub(super) fn judge_answer(&mut self, sent: Sent<'_>, outcome: &Result<Answer, NoAnswer>) -> Verdict {
        let now = self.engine.clock.now();
        let verdict = verdict::judge(sent, outcome.as_ref().map_err(|none| *none), now);
        if let Ok(answer) = outcome
            && !matches!(verdict, Verdict::Transient { .. } | Verdict::Acknowledged(_))
            && let Some(wait) = backoff::asked_wait(answer, now)
        {
            self.must_wait(wait);
        }
        verdict
    }

    /// Heeds a wait that the server asks for, and ends the slice with it before another request begins.
    pub(super) fn must_wait(&mut self, wait: ServerWait) {
        self.heed(wait);
        self.asked = self.asked.max(Some(wait));
    }

    /// Sends a parcel alone, and judges the answer. A login that is no longer accepted is refreshed once.
    pub(super) async fn exchange(
        &mut self,
        parcel: Parcel<S::Body>,
        again: bool,
    ) -> Result<(Parcel<S::Body>, Verdict), Halt> {
        let (parcel, outcome) = self.start(parcel, again, 0)?.await;
        let verdict = self.judge(&parcel, outcome);
        if verdict == Verdict::LoginExpired && self.refresh_once(self.must_stop(0)).await? {
            let (parcel, outcome) = self.start(parcel, true, 0)?.await;
            let verdict = self.judge(&parcel, outcome);
            return Ok((parcel, verdict));
        }
        Ok((parcel, verdict))
    }

    /// Renews the login, at most once a slice, unless the slice must `stop`. A wait that the server asks for instead ends
    /// the slice.
    pub(super) async fn refresh_once(&mut self, stop: Option<Stop>) -> Result<bool, Halt> {
        if let Some(stop) = stop {
            return Err(Halt::End(End::Stopped(stop)));
        }
        if std::mem::replace(&mut self.refreshed, true) {
            return Ok(false);
        }
        match self.engine.refresh_login().await {
            Ok(renewed) => Ok(renewed),
            Err(wait) => self.give_up(ProblemCode::ServerTrouble, Some(wait)).await.map(|()| false),
        }
    }

    /// Remembers that the rows' last attempt failed.
    pub(super) fn note_failed(&mut self, parcel: &Parcel<S::Body>, verdict: &Verdict) {
        if *verdict == Verdict::CompressionRefused {
            return;
        }
        let timed_out =
            matches!(verdict, Verdict::Transient { cause: Cause::NoAnswer(NoAnswer::TimedOut), .. });
        let first_at = may_be_about_records(verdict).then_some(self.stores);
        for row in parcel.sent() {
            let failure = self.failed.entry(row.key).or_insert(Failure { timed_out, first_at: None });
            failure.timed_out = timed_out;
            failure.first_at = failure.first_at.or(first_at);
        }
    }

    /// Whether something was stored since these rows first failed: then it is they that are bad, not the server.
    pub(super) fn server_works(&self, rows: &Batch<S::Body>) -> bool {
        let first_at = |row: &Row<S::Body>| self.failed.get(&row.key).and_then(|failure| failure.first_at);
        let outlived = |row: &&Row<S::Body>| {
            first_at(row).is_some_and(|first| first < self.stores) || self.state.outlived.contains(&row.key)
        };
        self.state.unexplained.may_condemn()
            && rows.iter().filter(|row| first_at(row).is_some()).all(|row| outlived(&row))
    }

    /// The rows of failures that may have been about them.
    pub(super) fn doubted(&self) -> impl Iterator<Item = RowKey> {
        self.failed.iter().filter(|(_, failure)| failure.first_at.is_some()).map(|(key, _)| *key)
    }
}

fn may_be_about_records(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::PartlyAcknowledged(..)
            | Verdict::RefusedFor(_)
            | Verdict::Unexplained
            | Verdict::Shortfall
            | Verdict::TooLarge
            | Verdict::Transient { cause: Cause::Status(500 | 501 | 505..=599), .. }
    )
}

fn may_be_about_order(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::RefusedFor(_)
            | Verdict::Unexplained
            | Verdict::Transient { cause: Cause::Status(500), wait: None }
    )
}
