//! What is in flight: up to three requests that hold nothing of one another.

use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::deliver::Stored;
use super::slice::Slice;
use super::sync::{End, Halt};
use super::upload::{Batch, Named, Parcel, candidate};
use crate::decisions::backoff::ServerWait;
use crate::decisions::batch::{self, Candidate};
use crate::decisions::protocol::Answer;
use crate::decisions::verdict::{Cause, NoAnswer, Verdict};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Body, Row, Store};
use crate::ports::transport::Transport;
use crate::words::key::RowKey;
use crate::words::kind::Kind;
use crate::words::order;

/// A request under way, with its parcel.
pub(super) type Flight<'a, B> = Pin<Box<dyn Future<Output = (Parcel<B>, Result<Answer, NoAnswer>)> + 'a>>;

impl<'a, S, T, C, H> Slice<'a, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    // Keeps requests in flight until nothing is left (none) or one fails; then what is in flight is waited for, and
    // the oldest failure is returned with its rows. What else failed waits at the head again. While requests are out, the
    // next rows are read, and what has landed is settled.
    pub(super) async fn fly(
        &mut self,
        flights: &mut FuturesUnordered<Flight<'a, S::Body>>,
    ) -> Result<Option<(Parcel<S::Body>, Verdict)>, Halt> {
        let mut in_flight: Vec<(String, Vec<Identity>)> = Vec::new();
        let mut failures = Vec::new();
        let mut landed = Vec::new();
        let mut stop = None;
        loop {
            // What asks the database where records are must find it up to date.
            if self.withholds || self.must_ask() {
                self.settle_landed(&mut landed).await?;
            }
            while failures.is_empty() && stop.is_none() && flights.len() < self.width {
                if !flights.is_empty() && self.must_ask() {
                    break;
                }
                let Some(batch) = self.next_batch().await? else { break };
                let others = in_flight.iter().flat_map(|(_, identities)| identities);
                if !independent(&batch, others, self.takes_any_order()) {
                    self.windows.give_back(batch);
                    break;
                }
                let parcel = self.prepare(batch, &Named::default()).await?;
                if !parcel.is_empty() {
                    // It is sent.
                } else if parcel.anything_leaves() {
                    self.settle_leaving(parcel).await?;
                    continue;
                } else {
                    self.windows.set_aside(parcel.into_batch());
                    continue;
                }
                in_flight.push((parcel.id().to_owned(), parcel.sent().map(identity).collect()));
                // A request begins with its first poll.
                let mut flight = match self.start(parcel, false, (flights.len() + landed.len()) as u64) {
                    Ok(flight) => flight,
                    Err(Halt::End(End::Stopped(why))) => {
                        stop = Some(why);
                        break;
                    }
                    Err(halt) => return Err(halt),
                };
                match poll_fn(|context| Poll::Ready(flight.as_mut().poll(context))).await {
                    Poll::Pending => flights.push(flight),
                    Poll::Ready(landed) => flights.push(Box::pin(ready(landed))),
                }
            }
            if !flights.is_empty() && failures.is_empty() && stop.is_none() {
                self.read_ahead().await?;
            }
            if self.settle_landed(&mut landed).await? && flights.is_empty() {
                // What was held for it may go now.
                continue;
            }
            let Some(first) = flights.next().await else { break };
            let mut next = Some(first);
            while let Some((parcel, outcome)) = next {
                in_flight.retain(|(id, _)| id != parcel.id());
                match self.judge(&parcel, outcome) {
                    Verdict::Acknowledged(tally) => {
                        landed.push(self.land(parcel, tally));
                        self.width = (self.width + 1).min(self.engine.settings().policy.max_in_flight);
                    }
                    verdict => {
                        if is_congestion(&verdict) {
                            self.width = 1;
                        }
                        if let Verdict::Transient { wait: Some(wait), .. } = verdict {
                            self.heed(wait);
                        }
                        // What was stored before is no proof against what failed after it.
                        self.settle_landed(&mut landed).await?;
                        self.note_failed(&parcel, &verdict);
                        failures.push((parcel, verdict));
                    }
                }
                next = flights.next().now_or_never().flatten();
            }
        }
        order::by_number(&mut failures, |(parcel, _)| {
            parcel.sent().map(|row| row.key.packed()).min().unwrap_or_default()
        });
        // A wait that the server asks for holds for all of them (rule 7).
        order::by_number(&mut failures, |(_, verdict)| u64::MAX - asked_wait_ms(verdict));
        let mut failures = failures.into_iter();
        let oldest = failures.next();
        for (parcel, _) in failures {
            self.windows.give_back(parcel.into_batch());
        }
        match (oldest, stop) {
            (None, Some(stop)) => Err(Halt::End(End::Stopped(stop))),
            (oldest, _) => Ok(oldest),
        }
    }

    // Before anything is settled: a disk that fails at it must not make the server be asked again too early.
    pub(super) fn heed(&mut self, wait: ServerWait) {
        self.heeds = self.heeds.max(self.engine.heed(&self.origin(), wait));
    }

    // Says whether there was anything to settle.
    async fn settle_landed(&mut self, landed: &mut Vec<Stored<S::Body>>) -> Result<bool, Halt> {
        let landed = std::mem::take(landed);
        let anything = !landed.is_empty();
        if anything {
            self.settle_stored(landed).await?;
        }
        Ok(anything)
    }
}

fn asked_wait_ms(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Transient { wait: Some(wait), .. } => u64::try_from(wait.0.0).unwrap_or_default(),
        _ => 0,
    }
}

fn is_congestion(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Transient { cause: Cause::Status(429 | 503) | Cause::NoAnswer(NoAnswer::TimedOut), .. }
    )
}

type Identity = (Kind, RowKey, String, Option<RowKey>);

fn identity<B>(row: &Row<B>) -> Identity {
    (row.head.kind, row.key, row.head.id.clone(), row.follows)
}

// Whether a batch may fly beside those that are out (rule 6).
fn independent<'i, B: Body>(
    batch: &Batch<B>,
    others: impl Iterator<Item = &'i Identity>,
    any_order: bool,
) -> bool {
    let others: Vec<(Kind, Candidate<'_>)> = others
        .map(|(kind, key, id, follows)| {
            let follows = if any_order { None } else { *follows };
            (*kind, Candidate { key: *key, id, revision: 1, bytes: 0, follows })
        })
        .collect();
    let mine: Vec<(Kind, Candidate<'_>)> = batch
        .iter()
        .map(|row| {
            (row.head.kind, Candidate { follows: row.follows.filter(|_| !any_order), ..candidate(row) })
        })
        .collect();
    others.is_empty() || batch::independent(&mine, &others)
}
