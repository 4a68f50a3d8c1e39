//! Sessions: one for each login.

use super::{Store, StoreError};
use crate::time::UnixMillis;

/// The moving part of a session: which refresh token came back last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// How many refresh tokens came before the newest that was used.
    pub used_generation: i64,
    /// Id of the newest refresh token that was used.
    pub used_token_id: String,
    /// After this it needs a new login.
    pub expires_at: UnixMillis,
}

impl Store {
    /// Opens a session.
    pub async fn open_session(
        &self,
        user_id: i64,
        session_id: &str,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        sqlx::query(
            "insert into sessions (user_id, id, used_generation, used_token_id, created_at_ms, expires_at_ms) \
             values ($1, $2, 0, '', $3, $4)",
        )
        .bind(user_id)
        .bind(session_id)
        .bind(now.0)
        .bind(expires_at.0)
        .execute(&mut *write.transaction)
        .await?;
        write.commit().await
    }

    /// Whether the session is neither revoked nor expired.
    pub async fn session_is_open(
        &self,
        user_id: i64,
        session_id: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let open: Option<i64> = sqlx::query_scalar(
            "select user_id from sessions \
             where user_id = $1 and id = $2 and revoked_at_ms is null and expires_at_ms > $3",
        )
        .bind(user_id)
        .bind(session_id)
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(open.is_some())
    }
}
