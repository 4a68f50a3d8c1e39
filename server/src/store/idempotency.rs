//! Answers that are given again when a request comes again.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use sqlx::SqlSafeStr;

use super::{StoreError, SyncCounts, Write, connection::Connection};
use crate::{policy, time::UnixMillis};

/// The client's name for a batch, with a digest of the batch.
pub struct Idempotency {
    key: String,
    body_digest: String,
}

impl Idempotency {
    /// Ties the key to this body: the same key with another body is another batch.
    pub fn new(key: String, body: &[u8]) -> Self {
        let mut body_digest = String::with_capacity(64);
        for byte in Sha256::digest(body) {
            let _ = write!(body_digest, "{byte:02x}");
        }
        Self { key, body_digest }
    }
}

impl<C: Connection> Write<C> {
    pub(super) async fn remembered_counts(
        &mut self,
        user_id: i64,
        key: &Idempotency,
        now: UnixMillis,
    ) -> Result<Option<SyncCounts>, StoreError> {
        let since = now.plus_seconds(-policy::IDEMPOTENCY_SECONDS);
        let counts: Vec<(String,)> = self
            .transaction
            .rows(
                "select counts from idempotency_keys \
                 where user_id = $1 and key = $2 and body_digest = $3 and created_at_ms > $4"
                    .into_sql_str(),
                &[(&user_id).into(), (&key.key).into(), (&key.body_digest).into(), (&since.0).into()],
            )
            .await?;
        Ok(counts.first().map(|(counts,)| serde_json::from_str(counts)).transpose()?)
    }

    pub(super) async fn remember_counts(
        &mut self,
        user_id: i64,
        key: &Idempotency,
        counts: &SyncCounts,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let counts = serde_json::to_string(counts)?;
        self.transaction
            .execute(
                "insert into idempotency_keys (user_id, key, body_digest, counts, created_at_ms) \
                 values ($1, $2, $3, $4, $5) \
                 on conflict (user_id, key) do update set \
                     body_digest = excluded.body_digest, counts = excluded.counts, \
                     created_at_ms = excluded.created_at_ms"
                    .into_sql_str(),
                &[
                    (&user_id).into(),
                    (&key.key).into(),
                    (&key.body_digest).into(),
                    (&counts).into(),
                    (&now.0).into(),
                ],
            )
            .await?;
        Ok(())
    }
}
