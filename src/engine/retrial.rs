//! What the server has refused is tried once more when the server or this core has another version (rule 5).

use super::slice::Slice;
use super::sync::Halt;
use crate::outbox::Aside;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Store, Table};
use crate::ports::transport::Transport;
use crate::words::key::{KeyRange, RowKey};
use crate::words::policy::MOST_RETRIED;

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Puts the owner's oldest quarantined records back behind the others, at most [`MOST_RETRIED`] of them, where the
    /// versions are not those that they were refused under. That this was done travels with the next write; a worker that
    /// dies before finds them waiting already.
    pub(super) async fn retry_refused(&mut self) -> Result<(), Halt> {
        let learnt = &mut self.state.server.learnt;
        if !learnt.answered {
            return Ok(());
        }
        let versions = learnt.versions();
        let before = learnt.refusals_of.replace(versions);
        if before == Some(versions) {
            return Ok(());
        }
        self.remember_learnt();
        let (Some(_), Some(owner)) = (before, &self.owner) else { return Ok(()) };
        let outbox = &self.engine.outbox;
        let books = outbox.overview().await?.books;
        let mut ids = Vec::new();
        for epoch in books.epochs().iter().filter(|epoch| epoch.owner.as_ref() == Some(owner)) {
            let range = KeyRange::rest_of_epoch(RowKey::first_of(epoch.number));
            let room = MOST_RETRIED.saturating_sub(ids.len());
            let rows = outbox.page(Table::Quarantine, range, room).await?;
            ids.extend(rows.into_iter().map(|row| row.head.id));
        }
        if !ids.is_empty() {
            outbox.put_back(Aside::Quarantine, Some(ids), self.engine.clock.now()).await?;
            self.first_books = None;
        }
        Ok(())
    }
}
