//! The log of a user's syncs, and what can be told from it.

use serde::Serialize;
use sqlx::{FromRow, Row, SqlSafeStr, any::AnyRow};

use super::{Metered, Store, StoreError, SyncCounts, Write, connection::Connection};
use crate::{policy, time::UnixMillis, validation::Batch};

/// One sync: how many records, and what became of them.
#[derive(Clone, Debug, Serialize)]
pub struct SyncLogEntry {
    /// When it ended.
    pub at_ms: i64,
    /// `saved` or `refused`.
    pub outcome: String,
    /// Records in the request.
    pub sent: i64,
    /// Records whose id was new.
    pub created: i64,
    /// Records that replaced an older revision.
    pub updated: i64,
    /// Records that changed nothing.
    pub ignored: i64,
    /// Records that broke a rule.
    pub refused: i64,
    /// Browser and extension.
    pub client: Option<String>,
}

impl SyncLogEntry {
    pub(super) fn saved(counts: &SyncCounts, batch: &Batch) -> Self {
        Self {
            at_ms: 0,
            outcome: "saved".to_owned(),
            sent: as_count(batch.sent),
            created: as_count(counts.created),
            updated: as_count(counts.updated),
            ignored: as_count(counts.ignored_records_count),
            refused: 0,
            client: batch.client.clone(),
        }
    }

    /// A batch of `sent` records that was refused because of some of them.
    pub fn refused(sent: usize, refused: usize, client: Option<String>) -> Self {
        Self {
            at_ms: 0,
            outcome: "refused".to_owned(),
            sent: as_count(sent),
            created: 0,
            updated: 0,
            ignored: 0,
            refused: as_count(refused),
            client,
        }
    }
}

fn as_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl<'r> FromRow<'r, AnyRow> for SyncLogEntry {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            at_ms: row.try_get("at_ms")?,
            outcome: row.try_get("outcome")?,
            sent: row.try_get("sent")?,
            created: row.try_get("created")?,
            updated: row.try_get("updated")?,
            ignored: row.try_get("ignored")?,
            refused: row.try_get("refused")?,
            client: row.try_get("client")?,
        })
    }
}

/// What the server can tell a user about the syncs so far.
#[derive(Clone, Debug, Serialize)]
pub struct SyncStatus {
    /// When the last batch was saved, in ms since the epoch.
    pub last_saved_at_ms: Option<i64>,
    /// Page visits held.
    pub page_visits: i64,
    /// Tab aggregates held.
    pub tab_aggregates: i64,
    /// Share of the records sent lately that broke no rule, in percent.
    pub data_quality_score: f64,
    /// The last syncs, newest first.
    pub recent: Vec<SyncLogEntry>,
}

impl Store {
    /// Adds a refused batch to the log.
    pub async fn log_refused(
        &self,
        user_id: i64,
        entry: &SyncLogEntry,
        now: UnixMillis,
    ) -> Result<Metered<()>, StoreError> {
        let mut write = self.begin_write().await?;
        let turn = write.take_turn(user_id, now).await?;
        if turn.is_ok() {
            write.log_sync(user_id, entry, now).await?;
        }
        write.commit().await?;
        Ok(turn.map(drop))
    }

    /// What this user's syncs have come to.
    pub async fn sync_status(&self, user_id: i64) -> Result<SyncStatus, StoreError> {
        let mut recent: Vec<SyncLogEntry> = sqlx::query_as(
            "select at_ms, outcome, sent, created, updated, ignored, refused, client from sync_log \
             where user_id = $1 order by id desc limit $2",
        )
        .bind(user_id)
        .bind(policy::QUALITY_SYNCS)
        .fetch_all(&self.pool)
        .await?;
        let sent: i64 = recent.iter().map(|entry| entry.sent).sum();
        let refused: i64 = recent.iter().map(|entry| entry.refused).sum();
        let last_saved_at_ms = recent.iter().find(|entry| entry.outcome == "saved").map(|entry| entry.at_ms);
        recent.truncate(usize::try_from(policy::STATUS_SYNCS).unwrap_or(usize::MAX));
        Ok(SyncStatus {
            last_saved_at_ms,
            page_visits: self.count("select count(*) from page_visits where user_id = $1", user_id).await?,
            tab_aggregates: self
                .count("select count(*) from tab_aggregates where user_id = $1", user_id)
                .await?,
            data_quality_score: percent(sent - refused, sent),
            recent,
        })
    }

    async fn count(&self, sql: &'static str, user_id: i64) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(sql).bind(user_id).fetch_one(&self.pool).await?)
    }
}

/// Two digits after the point; of nothing, all was good.
#[expect(clippy::cast_precision_loss, reason = "counts of a hundred batches are far below 2^53")]
fn percent(part: i64, whole: i64) -> f64 {
    if whole == 0 { 100.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 100.0 }
}

impl<C: Connection> Write<C> {
    pub(super) async fn log_sync(
        &mut self,
        user_id: i64,
        entry: &SyncLogEntry,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let id = uuid::Uuid::now_v7().to_string();
        self.transaction
            .execute(
                "insert into sync_log \
                     (user_id, id, at_ms, outcome, sent, created, updated, ignored, refused, client) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
                    .into_sql_str(),
                &[
                    (&user_id).into(),
                    (&id).into(),
                    (&now.0).into(),
                    (&entry.outcome).into(),
                    (&entry.sent).into(),
                    (&entry.created).into(),
                    (&entry.updated).into(),
                    (&entry.ignored).into(),
                    (&entry.refused).into(),
                    (&entry.client).into(),
                ],
            )
            .await?;
        Ok(())
    }
}
