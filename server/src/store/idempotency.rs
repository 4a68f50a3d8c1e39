//! Answers that are given again when a request comes again.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{StoreError, SyncCounts, Write};
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

impl Write {
    pub(super) async fn remembered_counts(
        &mut self,
        user_id: i64,
        key: &Idempotency,
        now: UnixMillis,
    ) -> Result<Option<SyncCounts>, StoreError> {
        let counts: Option<String> = sqlx::query_scalar(
            "select counts from idempotency_keys \
             where user_id = $1 and key = $2 and body_digest = $3 and created_at_ms > $4",
        )
        .bind(user_id)
        .bind(&key.key)
        .bind(&key.body_digest)
        .bind(now.plus_seconds(-policy::IDEMPOTENCY_SECONDS).0)
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(counts.map(|counts| serde_json::from_str(&counts)).transpose()?)
    }

    pub(super) async fn remember_counts(
        &mut self,
        user_id: i64,
        key: &Idempotency,
        counts: &SyncCounts,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into idempotency_keys (user_id, key, body_digest, counts, created_at_ms) \
             values ($1, $2, $3, $4, $5) \
             on conflict (user_id, key) do update set \
                 body_digest = excluded.body_digest, counts = excluded.counts, created_at_ms = excluded.created_at_ms",
        )
        .bind(user_id)
        .bind(&key.key)
        .bind(&key.body_digest)
        .bind(serde_json::to_string(counts)?)
        .bind(now.0)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}
