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
    record_tables::{AnyQuery, ForRows, RecordStatements, RecordTable},
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
    /// batch can be saved any number of times. With a key, the counts of the first time are given again.
    pub async fn save_batch(
        &self,
        user_id: i64,
        batch: Batch,
        key: Option<Idempotency>,
        now: UnixMillis,
    ) -> Result<Metered<SyncCounts>, StoreError> {
        let saving = Saving { user_id, batch, key, now };
        match self.dialect {
            Dialect::Sqlite => self.save_in_group(saving).await,
            Dialect::Postgres => self.save_alone(&saving).await,
        }
    }

    /// Saves a batch in a transaction of its own.
    pub(super) async fn save_alone(&self, saving: &Saving) -> Result<Metered<SyncCounts>, StoreError> {
        let mut attempt = 1;
        loop {
            match self.try_save_all(self.turn().await, &[saving]).await {
                Err(error) if error.is_conflict() && attempt < policy::TRANSACTION_ATTEMPTS => attempt += 1,
                result => return result?.pop().ok_or(StoreError::Database(sqlx::Error::RowNotFound)),
            }
        }
    }

    /// Saves batches in one transaction: all of them, or none.
    pub(super) async fn try_save_all(
        &self,
        turn: Option<OwnedSemaphorePermit>,
        batches: &[&Saving],
    ) -> Result<Vec<Metered<SyncCounts>>, StoreError> {
        let mut write = self.begin_write_in(turn).await?;
        let mut counts = Vec::new();
        for saving in batches {
            counts.push(self.save(&mut write, saving).await?);
        }
        write.commit().await?;
        Ok(counts)
    }

    async fn save(&self, write: &mut Write, saving: &Saving) -> Result<Metered<SyncCounts>, StoreError> {
        let Saving { user_id, batch, key, now } = saving;
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
            let kept = self.without_erased(write, user_id, batch).await?;
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

    async fn store_records(
        &self,
        write: &mut Write,
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

impl Write {
    /// Locks the user's row, so that writes of one user happen one after the other on every database, and counts
    /// the request. The count decides: requests at the same time can't slip through together.
    pub(super) async fn take_turn(
        &mut self,
        user_id: i64,
        now: UnixMillis,
    ) -> Result<Metered<Turn>, StoreError> {
        let (after, before) = Usage::current_starts(self.user_limit, now);
        let counted: Option<(i64, i64, i64)> = sqlx::query_as(
            "update users set last_write_at_ms = $2, \
                 window_requests = case when window_start_ms > $3 and window_start_ms < $4 \
                     then window_requests + 1 else 1 end, \
                 window_start_ms = case when window_start_ms > $3 and window_start_ms < $4 \
                     then window_start_ms else $2 end \
             where id = $1 returning has_erasures, window_requests, window_start_ms",
        )
        .bind(user_id)
        .bind(now.0)
        .bind(after.0)
        .bind(before.0)
        .fetch_optional(&mut *self.transaction)
        .await?;
        let (has_erasures, requests, window) = counted.ok_or(StoreError::AccountGone)?;
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
        let writing = R::writing(statements);
        let created = self.execute_for_records(&writing.create, user_id, records, now).await?;
        let updated = if created == records.len() {
            0
        } else {
            // Those that were created a moment ago are of no higher revision than themselves.
            self.execute_for_records(&writing.update, user_id, records, now).await?
        };
        Ok(Stored { created, updated })
    }

    /// Returns the number of rows that were written.
    async fn execute_for_records<R: RecordTable>(
        &mut self,
        statement: &ForRows,
        user_id: i64,
        records: &[R],
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        let mut written = 0;
        match statement {
            _ if records.is_empty() => {}
            ForRows::Json(statement) => {
                let rows = serde_json::to_string(records)?;
                let query = prepared(statement).bind(user_id).bind(now.0).bind(rows);
                written += query.execute(&mut *self.transaction).await?.rows_affected();
            }
            ForRows::Values(by_rows) => {
                let mut rest = records;
                for (rows, statement) in by_rows {
                    while let Some((some, others)) = rest.split_at_checked(*rows) {
                        let query = some.iter().fold(prepared(statement), |query, record| {
                            record.bind(query.bind(user_id).bind(now.0))
                        });
                        written += query.execute(&mut *self.transaction).await?.rows_affected();
                        rest = others;
                    }
                }
            }
        }
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }
}

fn prepared<'q>(statement: &Arc<str>) -> AnyQuery<'q> {
    sqlx::query(AssertSqlSafe(Arc::clone(statement)))
}
