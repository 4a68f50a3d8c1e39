//! Saving a batch: everything in one transaction, or nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::{
    Dialect, Store, StoreError, Write,
    group_commit::Saving,
    idempotency::Idempotency,
    record_tables::{Numbers, RecordStatements, RecordTable, Upsert},
    sync_log::SyncLogEntry,
};
use crate::{auth::rate_limit::Usage, policy, time::UnixMillis, validation::Batch};

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

#[derive(Default)]
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
    /// batch can be saved any number of times. With a key, the counts of the first time are given again.
    pub async fn save_batch(
        &self,
        user_id: i64,
        batch: Batch,
        key: Option<Idempotency>,
        now: UnixMillis,
    ) -> Result<SyncCounts, StoreError> {
        let saving = Saving { user_id, batch, key, now };
        match self.dialect {
            Dialect::Sqlite => self.save_in_group(saving).await,
            Dialect::Postgres => self.save_alone(&saving).await,
        }
    }

    /// Saves a batch in a transaction of its own.
    pub(super) async fn save_alone(&self, saving: &Saving) -> Result<SyncCounts, StoreError> {
        let mut attempt = 1;
        loop {
            match self.try_save_all(self.turn().await, &[saving]).await {
                Err(error) if error.is_conflict() && attempt < policy::TRANSACTION_ATTEMPTS => attempt += 1,
                result => return Ok(result?.into_iter().next().unwrap_or_default()),
            }
        }
    }

    /// Saves batches in one transaction: all of them, or none.
    pub(super) async fn try_save_all(
        &self,
        turn: Option<OwnedSemaphorePermit>,
        batches: &[&Saving],
    ) -> Result<Vec<SyncCounts>, StoreError> {
        let mut write = self.begin_write_in(turn).await?;
        let mut counts = Vec::new();
        for saving in batches {
            counts.push(self.save(&mut write, saving).await?);
        }
        write.commit().await?;
        Ok(counts)
    }

    async fn save(&self, write: &mut Write, saving: &Saving) -> Result<SyncCounts, StoreError> {
        let Saving { user_id, batch, key, now } = saving;
        let (user_id, now) = (*user_id, *now);
        let has_erasures = write.take_turn(user_id, now).await?;
        if let Some(key) = key
            && let Some(counts) = write.remembered_counts(user_id, key, now).await?
        {
            return Ok(counts);
        }
        let counts = if has_erasures {
            let kept = self.without_erased(write, user_id, batch).await?;
            self.upsert_records(write, user_id, &kept, now).await?
        } else {
            self.upsert_records(write, user_id, batch, now).await?
        };
        write.log_sync(user_id, &SyncLogEntry::saved(&counts, batch), now).await?;
        if let Some(key) = key {
            write.remember_counts(user_id, key, &counts, now).await?;
        }
        Ok(counts)
    }

    async fn upsert_records(
        &self,
        write: &mut Write,
        user_id: i64,
        batch: &Batch,
        now: UnixMillis,
    ) -> Result<SyncCounts, StoreError> {
        let visits = write.upsert(&self.statements, user_id, &batch.page_visits, now).await?;
        let aggregates = write.upsert(&self.statements, user_id, &batch.tab_aggregates, now).await?;
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

impl Write {
    /// Locks the user's row, so that writes of one user happen one after the other on every database, and counts
    /// the request. Tells whether the user has erased anything.
    pub(super) async fn take_turn(&mut self, user_id: i64, now: UnixMillis) -> Result<bool, StoreError> {
        let (after, before) = Usage::current_starts(self.user_limit, now);
        let has_erasures: Option<i64> = sqlx::query_scalar(
            "update users set last_write_at_ms = $2, \
                 window_requests = case when window_start_ms > $3 and window_start_ms < $4 \
                     then window_requests + 1 else 1 end, \
                 window_start_ms = case when window_start_ms > $3 and window_start_ms < $4 \
                     then window_start_ms else $2 end \
             where id = $1 returning has_erasures",
        )
        .bind(user_id)
        .bind(now.0)
        .bind(after.0)
        .bind(before.0)
        .fetch_optional(&mut *self.transaction)
        .await?;
        has_erasures.map(|flag| flag != 0).ok_or(StoreError::AccountGone)
    }

    /// Writes records of one kind, and counts those that were stored.
    async fn upsert<R: RecordTable>(
        &mut self,
        statements: &RecordStatements,
        user_id: i64,
        records: &[R],
        now: UnixMillis,
    ) -> Result<Stored, StoreError> {
        let mut stored_revisions: Vec<i64> = Vec::with_capacity(records.len());
        match R::upsert(statements) {
            _ if records.is_empty() => {}
            Upsert::Json(statement) => {
                let query =
                    numbers(statement).bind(user_id).bind(now.0).bind(serde_json::to_string(records)?);
                stored_revisions = query.fetch_all(&mut *self.transaction).await?;
            }
            Upsert::Values(by_rows) => {
                let mut rest = records;
                for (rows, statement) in by_rows {
                    while let Some((some, others)) = rest.split_at_checked(*rows) {
                        let query = some.iter().fold(numbers(statement), |query, record| {
                            record.bind(query.bind(user_id).bind(now.0))
                        });
                        stored_revisions.extend(query.fetch_all(&mut *self.transaction).await?);
                        rest = others;
                    }
                }
            }
        }
        let created = stored_revisions.iter().filter(|count| **count == 1).count();
        Ok(Stored { created, updated: stored_revisions.len() - created })
    }
}

fn numbers<'q>(statement: &Arc<str>) -> Numbers<'q> {
    sqlx::query_scalar(AssertSqlSafe(Arc::clone(statement)))
}
