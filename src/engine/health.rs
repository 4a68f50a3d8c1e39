//! A damaged database is put right; a whole one is counted now and then.

use super::Engine;
use crate::decisions::ledger::Books;
use crate::decisions::sync_state::SyncState;
use crate::outbox::{OutboxError, Overview};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Document, Store, StoreError};
use crate::ports::transport::Transport;
use crate::words::document;
use crate::words::policy::COUNTED_ROWS;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// The books of a database that is whole. One that is damaged, or was lost, is put right first.
    pub(super) async fn sound_books(&self) -> Result<Books, OutboxError> {
        let Overview { books, state, is_new } = self.healed_overview().await?;
        let unfinished = state.health.rebuilds();
        if unfinished || (is_new && self.is_lost().await?) {
            return self.heal().await.map(|overview| overview.books);
        }
        Ok(books)
    }

    /// Books and memory; where they can't be read, the database is put right first.
    pub(super) async fn healed_overview(&self) -> Result<Overview, OutboxError> {
        match self.outbox.overview().await {
            Err(error) => self.healed_after(error).await,
            read => read,
        }
    }

    /// Puts the database right after a failure that tells of damage; any other failure is handed on.
    pub(super) async fn healed_after(&self, failure: OutboxError) -> Result<Overview, OutboxError> {
        match failure {
            OutboxError::Store(StoreError::Broken(_)) => self.outbox.store().rebuild().await?,
            OutboxError::Unreadable(Document::Books | Document::SyncState) => {}
            other => return Err(other),
        }
        self.heal().await
    }

    // A database that is new has lost what the mirror tells of, or what rows without books do.
    async fn is_lost(&self) -> Result<bool, OutboxError> {
        let captured = |(books, _): (Books, SyncState)| {
            books.totals().page_visits.counts.captured > 0
                || books.totals().tab_aggregates.counts.captured > 0
        };
        Ok(self.outbox.holds_anything().await? || self.mirrored(true).await.is_some_and(captured))
    }

    // Every step is a transaction that leaves the next one to whoever comes after this worker's death.
    async fn heal(&self) -> Result<Overview, OutboxError> {
        let is_new = self.outbox.overview().await.is_ok_and(|overview| overview.is_new);
        let known = self.mirrored(is_new && !self.outbox.holds_anything().await?).await;
        let token = self.outbox.mend(known, self.clock.now()).await?;
        let mut overview = self.outbox.overview().await?;
        while self.outbox.count_rows(token, &mut overview, self.clock.now()).await?.is_some() {}
        self.mirror(&overview.books, &overview.state).await;
        self.host.changed();
        Ok(overview)
    }

    /// Counts some rows against the books, where it is time to, and says whether it was; a failure is left to the next
    /// time. `drained` says that nothing was left to be read, `seen` what the database says.
    pub(super) async fn count_some_rows(&self, token: u64, drained: bool, seen: &mut Overview) -> bool {
        let now = self.clock.now();
        let owner = self.settings().owner();
        // What counts as waiting all the same is gone, or can't be read.
        let doubtful = drained
            && owner.is_some_and(|owner| seen.books.pending_of(&owner).total() > 0)
            && seen.state.unexplained.suspects.is_empty();
        let is_time = doubtful || seen.state.health.is_due(now);
        let mut left = if is_time { COUNTED_ROWS } else { 0 };
        while left > 0 {
            let Ok(Some(rows)) = self.outbox.count_rows(token, seen, now).await else { break };
            left = left.saturating_sub(rows.max(1));
        }
        is_time
    }

    /// Writes the books down outside of the database, and what must not be forgotten of the syncer's memory: what servers
    /// have not confirmed to have erased, what they asked for, and whether they count.
    pub(super) async fn mirror(&self, books: &Books, state: &SyncState) {
        let kept = SyncState {
            retry: state.retry,
            server: state.server.clone(),
            erasures: state.erasures.clone(),
            ..SyncState::default()
        };
        if let Ok(text) = serde_json::to_string(&(books, kept)) {
            self.host.save_mirror(text).await;
        }
    }

    async fn mirrored(&self, database_is_new: bool) -> Option<(Books, SyncState)> {
        let text = self.host.load_mirror(database_is_new).await?;
        // Earlier builds wrote the books alone.
        let books_alone = || document::read(&text).ok().map(|books| (books, SyncState::default()));
        document::read(&text).ok().or_else(books_alone)
    }
}
