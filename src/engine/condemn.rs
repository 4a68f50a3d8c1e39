//! Records that the server refuses: condemned, or suspects until something proves that it is they (rule 5).

use super::slice::Slice;
use super::sync::Halt;
use super::upload::{self, Batch, Fates, Parcel};
use crate::decisions::limits::Adaptive;
use crate::decisions::suspects::Refusal;
use crate::decisions::sync_state::SyncState;
use crate::outbox::Fate;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store};
use crate::ports::transport::Transport;
use crate::words::kind::Kind;

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Sets rows aside that the server refuses or that no request can carry.
    pub(super) async fn quarantine(&mut self, batch: Batch<S::Body>, refusal: &Refusal) -> Result<(), Halt> {
        let fates = self.quarantined(batch, refusal);
        self.settle(fates, Box::new(|_| {})).await
    }

    /// The same with a record that failed, and nothing was stored since: if that goes on, it is the server that is to be
    /// doubted.
    pub(super) async fn condemn(&mut self, record: Batch<S::Body>, refusal: Refusal) -> Result<(), Halt> {
        let id = record.first().map(|row| (row.head.kind, row.head.id.clone()));
        if self.state.unexplained.may_condemn() {
            let fates = self.quarantined(record, &refusal);
            let condemned = Box::new(|state: &mut SyncState| {
                state.unexplained.condemned.extend(id.map(|(_, id)| id));
            });
            return self.settle(fates, condemned).await;
        }
        self.suspect_all(record, id.map(|id| (id, refusal)).into_iter()).await
    }

    fn quarantined(&mut self, batch: Batch<S::Body>, refusal: &Refusal) -> Fates<S::Body> {
        self.withholds |= batch.iter().any(|row| row.head.kind == Kind::PageVisit);
        let (reason, words) = refusal.told();
        let note = upload::note(reason, words, self.engine.clock.now());
        let mut fates = Fates::<S::Body>::default();
        for row in batch {
            fates.of_mut(row.head.kind).push((row, Fate::Quarantined(note.clone())));
        }
        fates
    }

    /// Half as much at once; a single record that is too large goes to quarantine, unless that is said of so many that
    /// something between here and the server may say it of all.
    pub(super) async fn too_large(&mut self, parcel: Parcel<S::Body>) -> Result<(), Halt> {
        if parcel.records() == 1 {
            let id = parcel.sent().map(|row| (row.head.kind, row.head.id.clone())).next();
            let (leaving, staying) = parcel.only_leaving();
            let is_it = |row: &Row<S::Body>| {
                id.as_ref().is_some_and(|(kind, id)| row.head.kind == *kind && row.head.id == *id)
            };
            let (record, others): (Batch<S::Body>, _) = staying.into_iter().partition(is_it);
            self.windows.give_back(others);
            self.settle(leaving, Box::new(|_| {})).await?;
            return self.condemn(record, Refusal::TooLarge).await;
        }
        let halved = Adaptive::halved(parcel.most_records(), parcel.bytes());
        self.note(Box::new(|state| state.adaptive = halved)).await?;
        self.windows.give_back(parcel.into_batch());
        Ok(())
    }

    /// Every record of a batch is named: no confirmation of the others can make it stand. They wait for proof.
    pub(super) async fn suspect_all(
        &mut self,
        batch: Batch<S::Body>,
        refused: impl Iterator<Item = ((Kind, String), Refusal)>,
    ) -> Result<(), Halt> {
        let mut unexplained = self.state.unexplained.clone();
        for ((kind, id), refusal) in refused {
            unexplained.suspect(kind, &id, refusal);
        }
        self.windows.hold(batch, &unexplained);
        let doubtful = unexplained.is_doubtful();
        self.note(Box::new(|state| state.unexplained = unexplained)).await?;
        if doubtful { self.probe_forward().await } else { Ok(()) }
    }
}
