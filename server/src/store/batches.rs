//! Saving a batch: everything in one transaction, or nothing.

use serde::{Deserialize, Serialize};
use sqlx::SqlSafeStr;
use utoipa::ToSchema;

use super::{
    Store, StoreError, Write,
    connection::Connection,
    group_commit::Saving,
    idempotency::Idempotency,
    record_tables::{ForRows, RecordStatements, RecordTable, Writing},
    sync_log::SyncLogEntry,
};
use crate::{auth::rate_limit::Usage, memory::MemoryShare, policy, time::UnixMillis, validation::Batch};

/// What became of a batch that was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncCounts {
    /// Page visits stored, created and updated together.
    pub page_visits_synced: usize,
    /// Tab aggregates stored, created and updated together.
    pub tab_aggregates_synced: usize,
    /// Records that changed nothing: the same or a higher revision is held already, or the user has erased them.
    pub ignored_records_count: usize,
    /// Always 0 in a 200: a batch with a record to refuse is refused as a whole.
    pub rejected_records_count: usize,
    /// Records whose id was new.
    pub created: usize,
    /// Records that replaced an older revision.
    pub updated: usize,
}

/// What became of a request that counts towards its user's limit: done, or one too many.
pub type Metered<T> = Result<T, Usage>;

/// The user's row is locked.
pub(super) struct Turn {
    /// Whether the user has erased anything.
    has_erasures: bool,
}

struct Stored {
    created: usize,
    updated: usize,
}

impl Stored {
    fn total(&self) -> usize {
        self.created + self.updated
    }
}

impl Store {
    /// Saves the batch of one user in one transaction.
    ///
    /// A record is stored if its revision is higher than the one held, whatever the order of arrival; so the same
    /// batch can be saved any number of times. With a key, the counts of the first time are given again. The share of
    /// the memory is given back when the batch needs it no more.
    pub async fn save_batch(
        &self,
        user_id: i64,
        batch: Batch,
        key: Option<Idempotency>,
        now: UnixMillis,
        share: Option<MemoryShare>,
    ) -> Result<Metered<SyncCounts>, StoreError> {
        let saving = Saving { user_id, batch, key, now, _share: share };
        match &self.sqlite {
            Some(sqlite) => self.save_in_group(sqlite, saving).await,
            None => self.save_alone(&saving).await,
        }
    }

    /// Saves a batch in a transaction of its own.
    async fn save_alone(&self, saving: &Saving) -> Result<Metered<SyncCounts>, StoreError> {
        let mut attempt = 1;
        loop {
            match self.try_save(saving).await {
                Err(error) if error.is_conflict() && attempt < policy::TRANSACTION_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_save(&self, saving: &Saving) -> Result<Metered<SyncCounts>, StoreError> {
        let mut write = self.begin_write().await?;
        let counts = self.save(&mut write, saving).await?;
        write.commit().await?;
        Ok(counts)
    }

    /// Saves a batch in a transaction that others commit.
    pub(super) async fn save<C: Connection>(
        &self,
        write: &mut Write<C>,
        saving: &Saving,
    ) -> Result<Metered<SyncCounts>, StoreError> {
        let Saving { user_id, batch, key, now, .. } = saving;
        let (user_id, now) = (*user_id, *now);
        let has_erasures = match write.take_turn(user_id, now).await? {
            Ok(turn) => turn.has_erasures,
            Err(usage) => return Ok(Err(usage)),
        };
        if let Some(key) = key
            && let Some(counts) = write.remembered_counts(user_id, key, now).await?
        {
            return Ok(Ok(counts));
        }
        let counts = if has_erasures {
            let kept = self.without_erased(write, user_id, batch, now).await?;
            self.store_records(write, user_id, &kept, now).await?
        } else {
            self.store_records(write, user_id, batch, now).await?
        };
        write.log_sync(user_id, &SyncLogEntry::saved(&counts, batch), now).await?;
        if let Some(key) = key {
            write.remember_counts(user_id, key, &counts, now).await?;
        }
        Ok(Ok(counts))
    }

    async fn store_records<C: Connection>(
        &self,
        write: &mut Write<C>,
        user_id: i64,
        batch: &Batch,
        now: UnixMillis,
    ) -> Result<SyncCounts, StoreError> {
        let visits = write.store_records(&self.statements, user_id, &batch.page_visits, now).await?;
        let aggregates = write.store_records(&self.statements, user_id, &batch.tab_aggregates, now).await?;
        Ok(SyncCounts {
            page_visits_synced: visits.total(),
            tab_aggregates_synced: aggregates.total(),
            ignored_records_count: batch.sent.saturating_sub(visits.total() + aggregates.total()),
            rejected_records_count: 0,
            created: visits.created + aggregates.created,
            updated: visits.updated + aggregates.updated,
        })
    }
}

impl<C: Connection> Write<C> {
    /// Locks the user's row, so that writes of one user happen one after the other on every database, and counts
    /// the request. The count decides: requests at the same time can't slip through together.
    pub(super) async fn take_turn(
        &mut self,
        user_id: i64,
        now: UnixMillis,
    ) -> Result<Metered<Turn>, StoreError> {
        let (after, before) = Usage::current_starts(self.user_limit, now);
        let counted: Vec<(i64, i64, i64)> = self
            .transaction
            .rows(
                "update users set last_write_at_ms = $2, \
                     window_requests = case when window_start_ms > $3 and window_start_ms < $4 \
                         then window_requests + 1 else 1 end, \
                     window_start_ms = case when window_start_ms > $3 and window_start_ms < $4 \
                         then window_start_ms else $2 end \
                 where id = $1 returning has_erasures, window_requests, window_start_ms"
                    .into_sql_str(),
                &[(&user_id).into(), (&now.0).into(), (&after.0).into(), (&before.0).into()],
            )
            .await?;
        let (has_erasures, requests, window) = *counted.first().ok_or(StoreError::AccountGone)?;
        let usage = Usage::of(self.user_limit, requests, UnixMillis(window), now);
        Ok(if usage.is_exceeded() { Err(usage) } else { Ok(Turn { has_erasures: has_erasures != 0 }) })
    }

    /// Writes records of one kind, and counts those that were stored.
    async fn store_records<R: RecordTable>(
        &mut self,
        statements: &RecordStatements,
        user_id: i64,
        records: &[R],
        now: UnixMillis,
    ) -> Result<Stored, StoreError> {
        let Writing { create, update } = R::writing(statements);
        let mut write = async |statements: &ForRows| -> Result<usize, StoreError> {
            let written = self.transaction.write_records(statements, user_id, now, records).await?;
            Ok(usize::try_from(written).unwrap_or(usize::MAX))
        };
        let created = write(create).await?;
        // Those that were created a moment ago are of no higher revision than themselves.
        let updated = if created == records.len() { 0 } else { write(update).await? };
        Ok(Stored { created, updated })
    }
}
