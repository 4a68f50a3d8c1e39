//! The head of the outbox: the next batch, read, cut and made ready.

use super::slice::Slice;
use super::sync::Halt;
use super::upload::{Batch, Named, Obstacles, Parcel};
use crate::decisions::suspects::Refusal;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Row, Store, Table};
use crate::ports::transport::Transport;
use crate::words::hash::HashMap;
use crate::words::key::RowKey;
use crate::words::kind::{Kind, PerKind};

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// The next batch of the head; none when nothing waits.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Batch<S::Body>>, Halt> {
        loop {
            let limits = self.limits();
            self.refill().await?;
            let cut = self.windows.cut(&limits);
            if let Some(kind) = cut.never_fits {
                let mut one = PerKind::default();
                *one.of_mut(kind) = 1;
                let row = self.windows.take(one);
                self.quarantine(row, &Refusal::TooLarge).await?;
            } else if cut.is_empty() {
                return Ok(None);
            } else {
                return Ok(Some(self.windows.take(cut.covered)));
            }
        }
    }

    // Keeps at least one batch of each kind in memory, as long as the epoch has one, then goes on to the next epoch.
    async fn refill(&mut self) -> Result<(), Halt> {
        let limits = self.limits();
        loop {
            if let Some(ranges) = self.windows.wants(&limits) {
                self.read_window(ranges).await?;
                continue;
            }
            if self.windows.anything_waits() {
                return Ok(());
            }
            let books = match self.first_books.take() {
                Some(books) => books,
                None => self.engine.outbox.overview().await?.books,
            };
            let next = self.owner.as_ref().and_then(|owner| books.next_to_send(owner, self.windows.epoch()));
            let Some((epoch, ranges)) = next else { return Ok(()) };
            self.taken = books.taken();
            self.windows.begin(epoch, ranges);
            self.read_window(ranges).await?;
        }
    }

    /// Reads on while requests are out, so that the next one finds its rows in memory.
    pub(super) async fn read_ahead(&mut self) -> Result<(), Halt> {
        match self.windows.wants(&self.limits()) {
            Some(ranges) if !self.must_ask() => self.read_window(ranges).await,
            _ => Ok(()),
        }
    }

    /// Makes a batch ready: looks up what can't be referred to, and cuts what the user excluded. `named` are records
    /// that the server has named as bad.
    pub(super) async fn prepare(
        &mut self,
        batch: Batch<S::Body>,
        named: &Named,
    ) -> Result<Parcel<S::Body>, Halt> {
        let places = first_places(&batch);
        let ahead = |row: &Row<S::Body>, id: &String| match row.head.kind {
            Kind::PageVisit => places.get(id) < places.get(&row.head.id),
            Kind::TabAggregate => true,
        };
        let references = || batch.iter().filter_map(|row| Some((row, row.head.refers_to.as_ref()?)));
        let behind = references().filter(|(row, id)| places.contains_key(*id) && !ahead(row, id));
        let behind = behind.map(|(row, _)| row.key).collect();
        let elsewhere: Vec<(&Row<S::Body>, &String)> =
            references().filter(|(_, id)| !places.contains_key(*id)).collect();
        let unstored =
            elsewhere.iter().map(|(_, id)| *id).filter(|id| self.windows.awaits(id)).cloned().collect();
        let mut obstacles = Obstacles {
            unstored,
            behind,
            named: named.clone(),
            now: self.engine.clock.now(),
            ..Obstacles::default()
        };
        let doubtful: Vec<String> = elsewhere
            .iter()
            .filter(|(row, id)| {
                let elsewhere = row.follows.is_some_and(|place| self.windows.is_elsewhere(place));
                let doubtful = self.withholds || elsewhere || self.leaves_its_reference(row);
                doubtful && !self.windows.is_stored(id)
            })
            .map(|(_, id)| (*id).clone())
            .collect();
        if self.takes_any_order() {
            obstacles.unstored.clear();
            obstacles.behind.clear();
        }
        if !doubtful.is_empty() {
            let found = self.engine.outbox.whereabouts(&doubtful).await?;
            if !self.takes_any_order() {
                let gone = elsewhere
                    .iter()
                    .filter(|(row, id)| self.leaves_its_reference(row) && !found.contains_key(*id));
                obstacles.withheld.extend(gone.map(|(_, id)| ((*id).clone(), Table::Quarantine)));
            }
            for (id, table) in found {
                match table {
                    Table::Outbox(_) if self.takes_any_order() => {}
                    Table::Outbox(_) => {
                        obstacles.unstored.insert(id);
                    }
                    aside => {
                        obstacles.withheld.insert(id, aside);
                    }
                }
            }
        }
        let mut parcel = Parcel::prepare(batch, self.engine.settings(), &obstacles);
        self.withholds |= parcel.withholds_visits();
        self.pack(&mut parcel).await;
        Ok(parcel)
    }

    // Whether what the row refers to was delivered to another server before the row was taken along from there.
    fn leaves_its_reference(&self, row: &Row<S::Body>) -> bool {
        let taken = self.taken.iter().find(|place| place.epoch() == row.key.epoch());
        taken.is_some_and(|taken| row.follows.is_none_or(|place| place < *taken))
    }
}

// Where each page visit of a batch first stands: a later revision takes the place of the first.
fn first_places<B>(batch: &Batch<B>) -> HashMap<String, RowKey> {
    let mut places = HashMap::default();
    for row in batch.iter().filter(|row| row.head.kind == Kind::PageVisit) {
        let place = places.entry(row.head.id.clone()).or_insert(row.key);
        *place = row.key.min(*place);
    }
    places
}
