//! What is done about a request that was not simply acknowledged: again, without the records that are named, in smaller
//! batches, or not now.

use std::collections::BTreeSet;

use super::slice::Slice;
use super::sync::{End, Halt};
use super::upload::{Batch, Fates, Named, Parcel, split};
use crate::decisions::backoff::{Retry, ServerWait};
use crate::decisions::limits::Adaptive;
use crate::decisions::suspects::{Piece, Refusal};
use crate::decisions::sync_state::{Failing, ProblemCode};
use crate::decisions::verdict::{Cause, NoAnswer, Tally, Verdict};
use crate::outbox::{Fate, Note, Settlement};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::hash::{HashMap, HashSet};
use crate::words::key::RowKey;
use crate::words::kind::{Kind, PerKind};
use crate::words::order;
use crate::words::policy::{ATTEMPTS_IN_A_SLICE, FAILURES_BEFORE_SPLIT, MOST_OUTLIVED};
use crate::words::time::Millis;

/// What the server has of a parcel, to be settled.
pub(super) struct Stored<B> {
    pub(super) fates: Fates<B>,
    pub(super) records: u64,
    pub(super) tally: Tally,
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Sees a failed parcel through: its rows are settled, or wait at the head again, when this returns.
    pub(super) async fn deliver(
        &mut self,
        mut parcel: Parcel<S::Body>,
        mut verdict: Verdict,
    ) -> Result<(), Halt> {
        let mut named_bad = Named::default();
        for attempt in 1.. {
            if !matches!(verdict, Verdict::Acknowledged(_)) {
                self.note_failed(&parcel, &verdict);
            }
            let (problem, wait) = match verdict {
                Verdict::Acknowledged(tally) => return self.acknowledge(parcel, tally).await,
                Verdict::PartlyAcknowledged(tally, rejected) => {
                    return self.partly(parcel, tally, rejected).await;
                }
                // The others may not go now, and a worker that ends has forgotten the names: as if there were none.
                Verdict::RefusedFor(named)
                    if self.asked.is_some() && (named.len() as u64) < parcel.records() =>
                {
                    return self.dissect(parcel.into_batch()).await;
                }
                Verdict::RefusedFor(named) => {
                    let words = named
                        .into_iter()
                        .filter_map(|record| Some(((record.kind?, record.id), record.words)));
                    named_bad.extend(words);
                    parcel = self.prepare(parcel.into_batch(), &named_bad).await?;
                    if parcel.is_empty() {
                        let refused =
                            named_bad.into_iter().map(|(record, words)| (record, Refusal::Named(words)));
                        return self.suspect_all(parcel.into_batch(), refused).await;
                    }
                    (parcel, verdict) = self.exchange(parcel, true).await?;
                    continue;
                }
                Verdict::Unexplained => return self.dissect(parcel.into_batch()).await,
                Verdict::TooLarge => return self.too_large(parcel).await,
                Verdict::LoginExpired if self.refresh_once(self.must_stop(0)).await? => {
                    (parcel, verdict) = self.exchange(parcel, true).await?;
                    continue;
                }
                Verdict::LoginExpired => return self.give_up(ProblemCode::SignInAgain, None).await,
                Verdict::NotAllowed => return self.give_up(ProblemCode::NotAllowed, None).await,
                Verdict::Permanent(cause) => return self.give_up(cause.into(), None).await,
                Verdict::CompressionRefused => {
                    self.send_plain(&mut parcel).await?;
                    (parcel, verdict) = self.exchange(parcel, true).await?;
                    continue;
                }
                Verdict::Shortfall => (ProblemCode::WrongAnswer, None),
                Verdict::Transient { cause, wait } => (cause.into(), wait),
            };
            let asked = wait.max(self.asked);
            let retry = self.note_trouble(problem, wait, Some((&parcel, &verdict))).await?;
            if self.is_to_be_split(&parcel, &verdict) {
                // Its halves wait too.
                self.asked = asked;
                return self.dissect(parcel.into_batch()).await;
            }
            let pause = retry.left(self.engine.clock.now()).unwrap_or(Millis(0));
            let timed_out =
                matches!(verdict, Verdict::Transient { cause: Cause::NoAnswer(NoAnswer::TimedOut), .. });
            self.timeouts += u32::from(timed_out);
            if attempt.max(self.timeouts) >= ATTEMPTS_IN_A_SLICE || !self.has_time_for(pause) {
                return Err(Halt::End(End::Trouble(problem)));
            }
            self.engine.clock.sleep(pause).await;
            if timed_out {
                // A slow line takes less at once: the head is cut anew.
                self.windows.give_back(parcel.into_batch());
                return Ok(());
            }
            (parcel, verdict) = self.exchange(parcel, true).await?;
        }
        Ok(())
    }

    /// Settles a parcel that the server has.
    pub(super) async fn acknowledge(&mut self, parcel: Parcel<S::Body>, tally: Tally) -> Result<(), Halt> {
        let stored = self.land(parcel, tally);
        self.settle_stored(vec![stored]).await
    }

    /// Takes note of what the server has: others may refer to it from now on, though it is still to be settled.
    pub(super) fn land(&mut self, parcel: Parcel<S::Body>, tally: Tally) -> Stored<S::Body> {
        let records = parcel.records();
        self.gzip_is_read |= parcel.is_packed();
        let (fates, staying) = parcel.acknowledged();
        self.windows.give_back(staying);
        self.forget_lower(&fates);
        let acknowledged = fates.page_visits.iter().filter(|(_, fate)| *fate == Fate::Acknowledged);
        self.windows.stored(acknowledged.map(|(row, _)| row.head.id.clone()));
        Stored { fates, records, tally }
    }

    /// Forgets what the server has at a higher revision now.
    pub(super) fn forget_lower(&mut self, fates: &Fates<S::Body>) {
        for kind in Kind::ALL {
            let revised = fates
                .of(kind)
                .iter()
                .filter(|(row, fate)| row.head.revision > 1 && *fate == Fate::Acknowledged);
            let revised: HashMap<_, _> =
                revised.map(|(row, _)| (row.head.id.clone(), row.head.revision)).collect();
            if !revised.is_empty() {
                self.windows.forget_lower(kind, &revised);
            }
        }
    }

    // Something was stored: the server works, so that what failed without its word is to blame itself.
    pub(super) async fn settle_stored(&mut self, all: Vec<Stored<S::Body>>) -> Result<(), Halt> {
        let now = self.engine.clock.now();
        let batches = all.len();
        let records: u64 = all.iter().map(|stored| stored.records).sum();
        let counted = all.iter().any(|stored| stored.tally.counted);
        let mut fates = Fates::<S::Body>::default();
        let mut tallies = Vec::with_capacity(batches);
        for stored in all {
            fates.page_visits.extend(stored.fates.page_visits);
            fates.tab_aggregates.extend(stored.fates.tab_aggregates);
            tallies.push((stored.records, stored.tally));
        }
        let settings = self.engine.settings();
        let origin = self.origin();
        let in_vain = self.preflight.in_vain;
        let retry = self.engine.heeded();
        let settled: HashSet<RowKey> =
            Kind::ALL.into_iter().flat_map(|kind| fates.of(kind).iter().map(|(row, _)| row.key)).collect();
        let mut outlived: Vec<RowKey> = self.doubted().filter(|key| !settled.contains(key)).collect();
        self.settle(
            fates,
            Box::new(|state| {
                // What failed in an earlier slice and was not tried since has been outlived too.
                outlived.extend(state.outlived.iter().filter(|key| !settled.contains(key)));
                order::by_number(&mut outlived, |key| key.packed());
                outlived.dedup();
                outlived.truncate(MOST_OUTLIVED);
                state.outlived = outlived;
                // A comparison beside it may have been asked to wait.
                state.retry = retry;
                state.problem = None;
                state.doubtful &= !in_vain;
                state.undelivered_since = None;
                state.failing = None;
                state.last_attempt_at = Some(now);
                state.last_success_at = Some(now);
                // Another server may have been set meanwhile: that one has not counted.
                state.server.gives_counts |= counted && state.server.origin == origin;
                state.adaptive = (0..batches).fold(state.adaptive, |limit, _| limit.grown(&settings.policy));
                if let Some(progress) = &mut state.progress {
                    progress.done += records;
                }
            }),
        )
        .await?;
        for (records, tally) in tallies {
            self.report.settled(records, tally);
        }
        self.stores += 1;
        self.condemn_suspects().await
    }

    /// Settles what leaves a parcel that sends nothing; the rest waits again.
    pub(super) async fn settle_leaving(&mut self, parcel: Parcel<S::Body>) -> Result<(), Halt> {
        let (fates, staying) = parcel.only_leaving();
        self.windows.give_back(staying);
        self.settle(fates, Box::new(|_| {})).await
    }

    pub(super) async fn settle(&mut self, mut fates: Fates<S::Body>, note: Note<'_>) -> Result<(), Halt> {
        let now = self.engine.clock.now();
        let mut keys = PerKind::<BTreeSet<RowKey>>::default();
        for kind in Kind::ALL {
            let rows = fates.of_mut(kind);
            order::by_number(rows, |(row, _)| row.key.packed());
            for (row, fate) in rows.iter() {
                keys.of_mut(kind).insert(row.key);
                let had_failed = self.failed.remove(&row.key).is_some();
                if had_failed && matches!(fate, Fate::Quarantined(_) | Fate::Archived(_)) {
                    self.report.attempted += 1;
                    self.report.errored += 1;
                }
            }
        }
        let lowest = PerKind {
            page_visits: self.windows.lowest(Kind::PageVisit, &keys.page_visits),
            tab_aggregates: self.windows.lowest(Kind::TabAggregate, &keys.tab_aggregates),
        };
        let news = std::mem::take(&mut self.news);
        let settlement = Settlement { token: self.token, rows: fates, lowest };
        self.state = self
            .engine
            .outbox
            .settle(
                settlement,
                Box::new(|state| {
                    state.alive_at = Some(now);
                    news.tell(state);
                    note(state);
                }),
            )
            .await?;
        for kind in Kind::ALL {
            self.windows.settled(kind, std::mem::take(keys.of_mut(kind)).into_iter());
        }
        self.engine.host.changed();
        Ok(())
    }

    /// Notes something of the sync.
    pub(super) async fn note(&mut self, note: Note<'_>) -> Result<(), Halt> {
        let now = self.engine.clock.now();
        let news = std::mem::take(&mut self.news);
        self.state = self
            .engine
            .outbox
            .note(
                self.token,
                Box::new(|state| {
                    state.alive_at = Some(now);
                    news.tell(state);
                    note(state);
                }),
            )
            .await?;
        self.engine.host.changed();
        Ok(())
    }

    // Notes a failed attempt and the wait after it.
    async fn note_trouble(
        &mut self,
        problem: ProblemCode,
        wait: Option<ServerWait>,
        attempt: Option<(&Parcel<S::Body>, &Verdict)>,
    ) -> Result<Retry, Halt> {
        let now = self.engine.clock.now();
        let random = self.engine.clock.random_u64();
        let wait = wait.max(self.asked.take());
        let mut retry = Retry::after_failure(self.state.retry.as_ref(), wait, now, random);
        // Held in memory too: a disk that fails must not make the server be asked again too early.
        if let Some(wait) = wait {
            self.heed(wait);
        }
        if let Some(holding) = self.engine.holding(Some(retry)) {
            retry = Retry { attempts: retry.attempts, ..holding };
        }
        let failing =
            attempt.and_then(|(parcel, verdict)| failing(self.state.failing.as_ref(), parcel, verdict));
        let timed_out = attempt.filter(|(_, verdict)| {
            matches!(verdict, Verdict::Transient { cause: Cause::NoAnswer(NoAnswer::TimedOut), .. })
        });
        let halved = timed_out.map(|(parcel, _)| Adaptive::halved(parcel.most_records(), parcel.bytes()));
        let origin = self.origin();
        self.note(Box::new(|state| {
            state.last_attempt_at = Some(now);
            // Another server may have been set meanwhile: what this one says is none of that one's business.
            if state.server.origin != origin {
                return;
            }
            state.retry = Some(retry);
            state.failing = failing;
            state.adaptive = halved.unwrap_or(state.adaptive);
            state.trouble(problem, now);
        }))
        .await?;
        Ok(retry)
    }

    fn is_to_be_split(&self, parcel: &Parcel<S::Body>, verdict: &Verdict) -> bool {
        let counted = failing(None, parcel, verdict).is_some();
        let fails = self.state.failing.as_ref().filter(|_| counted);
        fails.is_some_and(|fails| fails.server_faults >= FAILURES_BEFORE_SPLIT || fails.shortfalls >= 2)
    }

    /// Ends the slice with a wait.
    pub(super) async fn give_up(
        &mut self,
        problem: ProblemCode,
        wait: Option<ServerWait>,
    ) -> Result<(), Halt> {
        self.note_trouble(problem, wait, None).await?;
        Err(Halt::End(End::Trouble(problem)))
    }

    /// A batch that fails without a word: its halves are tried, the older first.
    pub(super) async fn dissect(&mut self, batch: Batch<S::Body>) -> Result<(), Halt> {
        match split(batch, None) {
            Ok((older, younger)) => {
                let units: HashSet<&str> = older.iter().map(super::upload::unit_of).collect();
                let piece = Piece::Units(units.len());
                Box::pin(self.compare(older, Some(younger), piece)).await
            }
            Err(single) if self.server_works(&single) => self.condemn(single, Refusal::WithoutAWord).await,
            Err(single) => {
                // Nothing to compare it with here; the next attempt tries it beside the next one.
                self.windows.give_back(single);
                self.note(Box::new(|state| state.unexplained.failed = Some(Piece::Record))).await?;
                self.give_up(ProblemCode::ServerRefuses, None).await
            }
        }
    }
}

fn failing<B: crate::ports::store::Body>(
    earlier: Option<&Failing>,
    parcel: &Parcel<B>,
    verdict: &Verdict,
) -> Option<Failing> {
    let fault = match verdict {
        Verdict::Shortfall => (0, 1),
        Verdict::Transient { cause: Cause::Status(500 | 501 | 505..=599), .. } => (1, 0),
        _ => return earlier.cloned(),
    };
    let head = parcel.sent().map(|row| row.key).min();
    let earlier = earlier.filter(|failing| failing.head == head);
    let (faults, shortfalls) = earlier.map_or((0, 0), |failing| (failing.server_faults, failing.shortfalls));
    Some(Failing { head, server_faults: faults + fault.0, shortfalls: shortfalls + fault.1 })
}
