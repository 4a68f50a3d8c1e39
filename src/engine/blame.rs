//! A 200 that names records: the others are stored, and the blamed are tried.

use super::deliver::Stored;
use super::slice::Slice;
use super::sync::Halt;
use super::upload::{Batch, Named, Parcel};
use crate::decisions::protocol::NamedRecord;
use crate::decisions::suspects::Refusal;
use crate::decisions::verdict::{Tally, Verdict};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store};
use crate::ports::transport::Transport;
use crate::words::hash::HashSet;
use crate::words::kind::Kind;

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    // A 200 that names records: the others are stored. The published backend blames innocent records after a bad one,
    // so that the first is tried alone, and the rest together.
    pub(super) async fn partly(
        &mut self,
        parcel: Parcel<S::Body>,
        tally: Tally,
        rejected: Vec<NamedRecord>,
    ) -> Result<(), Halt> {
        let mut blamed = rejected;
        let mut rest = self.settle_but(parcel, tally, &blamed).await?;
        while let Some((first, others)) = first_of(std::mem::take(&mut rest), &blamed) {
            rest = others;
            let named = first.first().map(|row| (row.head.kind, row.head.id.clone()));
            if let Some((kind, id)) = named {
                self.try_blamed(first, words_on(&blamed, kind, &id), &mut rest).await?;
            }
            if rest.is_empty() {
                break;
            }
            let parcel = self.prepare(std::mem::take(&mut rest), &Named::default()).await?;
            if parcel.is_empty() {
                return self.settle_leaving(parcel).await;
            }
            let (parcel, verdict) = self.exchange(parcel, true).await?;
            match verdict {
                Verdict::PartlyAcknowledged(tally, named) => {
                    rest = self.settle_but(parcel, tally, &named).await?;
                    blamed = named;
                }
                Verdict::RefusedFor(_) | Verdict::Unexplained => {
                    self.note_failed(&parcel, &verdict);
                    rest = parcel.into_batch();
                }
                verdict => return Box::pin(self.deliver(parcel, verdict)).await,
            }
        }
        Ok(())
    }

    // Settles all but the rejected; these, and what waits for them, are returned.
    async fn settle_but(
        &mut self,
        parcel: Parcel<S::Body>,
        tally: Tally,
        rejected: &[NamedRecord],
    ) -> Result<Batch<S::Body>, Halt> {
        self.note_failed(&parcel, &Verdict::Unexplained);
        self.gzip_is_read |= parcel.is_packed();
        let named: HashSet<(Kind, String)> =
            rejected.iter().filter_map(|record| Some((record.kind?, record.id.clone()))).collect();
        let stored = parcel.records() - named.len() as u64;
        let (fates, staying) = parcel.settled(&named);
        self.forget_lower(&fates);
        if stored > 0 {
            self.settle_stored(vec![Stored { fates, records: stored, tally }]).await?;
        } else {
            self.settle(fates, Box::new(|_| {})).await?;
        }
        Ok(staying)
    }

    // Sends a blamed record alone: the server takes it, or it is to blame. Where it is the server that is to be doubted,
    // the others wait at the head again: they may be what is tried next.
    async fn try_blamed(
        &mut self,
        record: Batch<S::Body>,
        words: String,
        others: &mut Batch<S::Body>,
    ) -> Result<(), Halt> {
        let parcel = self.prepare(record, &Named::default()).await?;
        if parcel.is_empty() {
            return self.settle_leaving(parcel).await;
        }
        let (parcel, verdict) = self.exchange(parcel, true).await?;
        match verdict {
            Verdict::RefusedFor(_) | Verdict::Unexplained | Verdict::PartlyAcknowledged(..) => {
                self.note_failed(&parcel, &verdict);
                if !self.state.unexplained.may_condemn() {
                    self.windows.give_back(std::mem::take(others));
                }
                self.condemn(parcel.into_batch(), Refusal::Named(words)).await
            }
            verdict => Box::pin(self.deliver(parcel, verdict)).await,
        }
    }
}

// The rows of the first rejected record, visits before aggregates, and the others.
fn first_of<B>(rest: Batch<B>, rejected: &[NamedRecord]) -> Option<(Batch<B>, Batch<B>)> {
    let is_named = |row: &Row<B>| {
        rejected.iter().any(|named| named.kind == Some(row.head.kind) && named.id == row.head.id)
    };
    let first = rest.iter().filter(|row| is_named(row)).min_by_key(|row| (row.head.kind, row.key));
    let first = first.or_else(|| rest.iter().min_by_key(|row| (row.head.kind, row.key)))?;
    let (kind, id) = (first.head.kind, first.head.id.clone());
    Some(rest.into_iter().partition(|row| row.head.kind == kind && row.head.id == id))
}

fn words_on(named: &[NamedRecord], kind: Kind, id: &str) -> String {
    let it = named.iter().find(|record| record.kind == Some(kind) && record.id == id);
    it.map(|record| record.words.clone()).unwrap_or_default()
}
