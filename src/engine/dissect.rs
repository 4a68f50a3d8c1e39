//! Trouble that nobody explains: is it a record, or is it the server? (rule 5)

use super::slice::Slice;
use super::sync::Halt;
use super::upload::{Batch, Named, split, unit_of};
use crate::decisions::suspects::{Piece, Refusal, Unexplained};
use crate::decisions::sync_state::ProblemCode;
use crate::decisions::verdict::{Cause, Verdict};
use crate::outbox::Aside;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store};
use crate::ports::transport::Transport;
use crate::words::hash::HashSet;
use crate::words::key::KeyRange;
use crate::words::kind::{Kind, PerKind};
use crate::words::policy::{PROBED_WINDOWS, WINDOW_RECORDS};

/// What became of a part that was tried once.
enum Tried<B> {
    /// It is settled; the server works.
    Stored,
    /// Nothing of it could be sent.
    Nothing,
    /// It failed, alone with what the server said of it.
    Failed(Batch<B>, Refusal),
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Tries the two oldest pieces of the head, after an attempt in which nothing was stored.
    pub(super) async fn try_pieces(&mut self, piece: Piece) -> Result<(), Halt> {
        self.keeps_order = true;
        let Some(batch) = self.next_batch().await? else {
            if !self.try_suspects_again().await? {
                self.note(Box::new(|state| state.unexplained = state.unexplained.only_condemned())).await?;
            }
            return Ok(());
        };
        let (older, mut unit, mut rest) = take_piece(batch, piece);
        let Some(older) = self.sendable(older).await? else {
            self.windows.give_back(unit);
            self.windows.give_back(rest.unwrap_or_default());
            return Ok(());
        };
        let of_older: HashSet<String> = older.iter().map(|row| unit_of(row).to_owned()).collect();
        // What it is compared with is of another unit, if one can be sent, be it of another epoch.
        let mut younger = None;
        while younger.is_none() {
            let Some(more) = (if rest.is_some() { rest.take() } else { self.next_batch().await? }) else {
                break;
            };
            let (same, other): (Batch<S::Body>, _) =
                more.into_iter().partition(|row| of_older.contains(unit_of(row)));
            unit.extend(same);
            if !other.is_empty() {
                let (some, its_unit, behind) = take_piece(other, piece);
                self.windows.give_back(its_unit);
                self.windows.give_back(behind.unwrap_or_default());
                younger = self.sendable(some).await?;
            }
        }
        let younger = younger.unwrap_or_else(|| std::mem::take(&mut unit));
        self.windows.give_back(unit);
        let younger = Some(younger).filter(|younger| !younger.is_empty());
        self.compare(older, younger, piece).await
    }

    // The batch, if anything of it can be sent now; what leaves is settled, what must wait is set aside.
    async fn sendable(&mut self, batch: Batch<S::Body>) -> Result<Option<Batch<S::Body>>, Halt> {
        let parcel = self.prepare(batch, &Named::default()).await?;
        if !parcel.is_empty() {
            return Ok(Some(parcel.into_batch()));
        }
        if parcel.anything_leaves() {
            self.settle_leaving(parcel).await?;
        } else {
            self.windows.set_aside(parcel.into_batch());
        }
        Ok(None)
    }

    /// Tries two parts, each once. If one is stored, the other is to blame, and is split further until one record is
    /// left; if nothing is, the server may be sick, and the slice ends with a wait.
    pub(super) async fn compare(
        &mut self,
        older: Batch<S::Body>,
        younger: Option<Batch<S::Body>>,
        piece: Piece,
    ) -> Result<(), Halt> {
        // A part that fails for its order alone would prove something against innocent records.
        self.keeps_order = true;
        let (mut older, mut younger) = (older, younger);
        loop {
            if self.asked.is_some() {
                self.windows.give_back(older);
                self.windows.give_back(younger.unwrap_or_default());
                return self.back_off(piece, None).await;
            }
            let first = self.try_part(older).await?;
            let second = match younger {
                Some(younger) if self.asked.is_none() => self.try_part(younger).await?,
                // It is left to a later attempt. A part that has failed counts as if both had, so as not to be in its way.
                Some(untried) => {
                    self.windows.give_back(untried);
                    match first {
                        Tried::Failed(..) => Tried::Failed(Batch::new(), Refusal::WithoutAWord),
                        _ => Tried::Nothing,
                    }
                }
                None => Tried::Nothing,
            };
            let (to_blame, refusal) = match (first, second) {
                (Tried::Stored | Tried::Nothing, Tried::Stored | Tried::Nothing) => return Ok(()),
                (Tried::Failed(older, refusal), Tried::Failed(younger, _)) if self.server_works(&older) => {
                    self.windows.give_back(younger);
                    (older, refusal)
                }
                (Tried::Failed(older, of_older), Tried::Failed(younger, of_younger)) => {
                    return self.both_failed((older, of_older), (younger, of_younger), piece).await;
                }
                (Tried::Failed(part, refusal), _) | (_, Tried::Failed(part, refusal))
                    if self.server_works(&part) =>
                {
                    (part, refusal)
                }
                (Tried::Failed(part, _), _) | (_, Tried::Failed(part, _)) => {
                    self.windows.give_back(part);
                    return self.back_off(piece, None).await;
                }
            };
            match split(to_blame, None) {
                Ok((one, other)) => (older, younger) = (one, Some(other)),
                Err(single) => return self.condemn(single, refusal).await,
            }
        }
    }

    // Sends a part once; what the server names in it is left out, and the rest sent again.
    async fn try_part(&mut self, mut batch: Batch<S::Body>) -> Result<Tried<S::Body>, Halt> {
        let mut named_bad = Named::default();
        loop {
            let parcel = self.prepare(batch, &named_bad).await?;
            if parcel.is_empty() {
                if named_bad.is_empty() && parcel.anything_leaves() {
                    self.settle_leaving(parcel).await?;
                    return Ok(Tried::Nothing);
                }
                if named_bad.is_empty() {
                    self.windows.give_back(parcel.into_batch());
                    return Ok(Tried::Nothing);
                }
                let refusal = match named_bad.len() {
                    1 => named_bad.into_values().next().map_or(Refusal::WithoutAWord, Refusal::Named),
                    _ => Refusal::WithoutAWord,
                };
                return Ok(Tried::Failed(parcel.into_batch(), refusal));
            }
            if !named_bad.is_empty() && self.asked.is_some() {
                // The rest may not go now: the part has failed.
                return Ok(Tried::Failed(parcel.into_batch(), Refusal::WithoutAWord));
            }
            let (parcel, verdict) = self.exchange(parcel, true).await?;
            if !matches!(verdict, Verdict::Acknowledged(_)) {
                self.note_failed(&parcel, &verdict);
            }
            if let Verdict::Transient { cause: Cause::Status(500 | 501 | 505..=599), wait: Some(wait) } =
                verdict
            {
                self.must_wait(wait);
            }
            match verdict {
                Verdict::Acknowledged(tally) => {
                    self.acknowledge(parcel, tally).await?;
                    return Ok(Tried::Stored);
                }
                Verdict::PartlyAcknowledged(tally, rejected)
                    if (rejected.len() as u64) < parcel.records() =>
                {
                    Box::pin(self.partly(parcel, tally, rejected)).await?;
                    return Ok(Tried::Stored);
                }
                Verdict::RefusedFor(named) | Verdict::PartlyAcknowledged(_, named) => {
                    let words = named
                        .into_iter()
                        .filter_map(|record| Some(((record.kind?, record.id), record.words)));
                    named_bad.extend(words);
                    batch = parcel.into_batch();
                }
                Verdict::Unexplained
                | Verdict::Shortfall
                | Verdict::Transient { cause: Cause::Status(500 | 501 | 505..=599), .. } => {
                    return Ok(Tried::Failed(parcel.into_batch(), Refusal::WithoutAWord));
                }
                Verdict::TooLarge if parcel.records() == 1 && !self.state.unexplained.may_condemn() => {
                    return Ok(Tried::Failed(parcel.into_batch(), Refusal::TooLarge));
                }
                verdict => {
                    Box::pin(self.deliver(parcel, verdict)).await?;
                    return Ok(Tried::Stored);
                }
            }
        }
    }

    // Nothing of either was stored. The next attempt goes one split further; records that can't be split are suspects.
    async fn both_failed(
        &mut self,
        (older, of_older): (Batch<S::Body>, Refusal),
        (younger, of_younger): (Batch<S::Body>, Refusal),
        piece: Piece,
    ) -> Result<(), Halt> {
        let mut unexplained = self.state.unexplained.clone();
        if piece == Piece::Record && !unexplained.refuses_all {
            for (rows, refusal) in [(&older, of_older), (&younger, of_younger)] {
                for row in rows {
                    unexplained.suspect(row.head.kind, &row.head.id, refusal.clone());
                }
            }
        }
        self.windows.give_back(younger);
        self.windows.hold(older, &unexplained);
        if unexplained.is_doubtful() || unexplained.refuses_all {
            self.note(Box::new(|state| state.unexplained = unexplained)).await?;
            return self.probe_forward().await;
        }
        self.back_off(piece, Some(unexplained)).await
    }

    async fn back_off(&mut self, piece: Piece, unexplained: Option<Unexplained>) -> Result<(), Halt> {
        self.note(Box::new(|state| {
            state.unexplained = unexplained.unwrap_or_else(|| state.unexplained.clone());
            state.unexplained.failed = Some(piece);
        }))
        .await?;
        self.give_up(ProblemCode::ServerRefuses, None).await
    }

    /// So many fail that the server is to be doubted: one record of each of the next windows is tried, and the newest.
    /// If one is stored, the suspects are condemned by that; if none is, they are as good as all others again, and only
    /// the newest is tried beside the oldest from then on: what is recorded later may be good.
    pub(super) async fn probe_forward(&mut self) -> Result<(), Halt> {
        let stores = self.stores;
        let mut ranges = self.windows.unread().filter(|_| !self.state.unexplained.refuses_all);
        for _ in 0..PROBED_WINDOWS {
            let Some(some) = ranges else { break };
            let found = self.engine.outbox.window(some, WINDOW_RECORDS).await?;
            ranges = behind(some, &found);
            self.probe(found.page_visits.into_iter().next()).await?;
            if self.stores > stores {
                return Ok(());
            }
        }
        let books = self.engine.outbox.overview().await?.books;
        for kind in Kind::ALL {
            let owner = self.engine.settings().owner();
            let Some(range) = owner.and_then(|owner| books.newest(kind, &owner)) else { continue };
            let newest = self.engine.outbox.newest(kind, range).await?;
            self.probe(newest).await?;
            if self.stores > stores {
                return Ok(());
            }
        }
        let condemned = std::mem::take(&mut self.state.unexplained.condemned);
        if !condemned.is_empty() {
            let now = self.engine.clock.now();
            self.engine.outbox.put_back(Aside::Quarantine, Some(condemned), now).await?;
        }
        let refuses_all = Unexplained { refuses_all: true, ..Unexplained::default() };
        self.windows.hold(Vec::new(), &refuses_all);
        self.note(Box::new(|state| state.unexplained = refuses_all)).await?;
        self.give_up(ProblemCode::ServerRefuses, None).await
    }

    // Tries one record out of turn, without its source if that is not on the server yet. If it fails, it stays where it is.
    async fn probe(&mut self, row: Option<Row<S::Body>>) -> Result<(), Halt> {
        // A server that wants to be left alone is probed no further.
        let Some(row) = row.filter(|_| self.asked.is_none()) else { return Ok(()) };
        if self.windows.holds(&row) && !self.windows.take_waiting(&row) {
            return Ok(());
        }
        if let Tried::Failed(batch, _) = self.try_part(vec![row]).await? {
            self.windows.give_back(batch);
        }
        Ok(())
    }

    /// Something was stored since they failed: the suspects are to blame. Their aggregates follow them in their turn.
    pub(super) async fn condemn_suspects(&mut self) -> Result<(), Halt> {
        if self.state.unexplained.is_empty() {
            return Ok(());
        }
        let mut held = self.windows.take_held();
        for suspect in std::mem::take(&mut self.state.unexplained).suspects {
            let is_it = |row: &Row<S::Body>| row.head.kind == suspect.kind && row.head.id == suspect.id;
            let (condemned, others): (Batch<S::Body>, _) = held.into_iter().partition(is_it);
            held = others;
            if !condemned.is_empty() {
                self.quarantine(condemned, &suspect.refusal).await?;
            }
        }
        self.windows.give_back(held);
        self.note(Box::new(|state| state.unexplained = Unexplained::default())).await
    }

    /// Nothing but suspects is left: they are tried again, beside each other, unless that was just done. Whether there
    /// were any. One that is alone stays pending, and is shown.
    pub(super) async fn try_suspects_again(&mut self) -> Result<bool, Halt> {
        let held = self.windows.take_held();
        if held.is_empty() {
            return Ok(false);
        }
        let requests = self.report.requests;
        let fresh = held.iter().any(|row| self.failed.contains_key(&row.key))
            || self.suspects_tried_at.replace(requests) == Some(requests);
        self.windows.give_back(held);
        self.note(Box::new(|state| {
            let failed = Some(Piece::Record);
            state.unexplained = Unexplained { failed, ..state.unexplained.only_condemned() };
        }))
        .await?;
        if fresh {
            self.give_up(ProblemCode::ServerRefuses, None).await?;
        }
        Ok(true)
    }
}

fn behind<B>(ranges: PerKind<KeyRange>, found: &PerKind<Vec<Row<B>>>) -> Option<PerKind<KeyRange>> {
    let last = found.page_visits.last().filter(|_| found.page_visits.len() >= WINDOW_RECORDS)?;
    let from = last.key.next();
    Some(PerKind { page_visits: KeyRange { from, ..ranges.page_visits }, ..ranges })
}

// The oldest piece, the other records of its unit where the piece is a record, and what is behind.
fn take_piece<B>(batch: Batch<B>, piece: Piece) -> (Batch<B>, Batch<B>, Option<Batch<B>>) {
    let units = match piece {
        Piece::Units(units) => units,
        Piece::Record => 1,
    };
    let all_units = batch.iter().map(unit_of).collect::<HashSet<_>>().len();
    let (first, rest) = match (all_units > units).then_some(units) {
        None => (batch, None),
        some => match split(batch, some) {
            Ok((first, rest)) => (first, Some(rest)),
            Err(batch) => (batch, None),
        },
    };
    match piece {
        Piece::Units(_) => (first, Vec::new(), rest),
        Piece::Record => match split(first, Some(1)) {
            Ok((record, others)) => (record, others, rest),
            Err(record) => (record, Vec::new(), rest),
        },
    }
}
