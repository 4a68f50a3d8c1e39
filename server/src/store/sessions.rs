//! Sessions: one for each login.

use super::{AuditAction, Store, StoreError};
use crate::{
    auth::{
        AddressDigest,
        session::{RefreshVerdict, judge},
        token::Claims,
    },
    policy,
    time::UnixMillis,
};

/// The moving part of a session: which refresh token came back last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// How many refresh tokens came before the newest that was used, that one included.
    pub used_generation: i64,
    /// Id of the newest refresh token that was used.
    pub used_token_id: String,
}

impl Store {
    /// Opens a session.
    pub async fn open_session(
        &self,
        user_id: i64,
        session_id: &str,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        sqlx::query(
            "insert into sessions (user_id, id, used_generation, used_token_id, created_at_ms, expires_at_ms) \
             values ($1, $2, 0, '', $3, $4)",
        )
        .bind(user_id)
        .bind(session_id)
        .bind(now.0)
        .bind(now.plus_seconds(policy::SESSION_SECONDS).0)
        .execute(&mut *write.transaction)
        .await?;
        write.audit(user_id, AuditAction::LoggedIn, address, now).await?;
        write.sweep(user_id, now).await?;
        write.commit().await
    }

    /// Uses a refresh token that is signed and unexpired. False if it is worth nothing: the session is over then,
    /// or is ended because of it.
    pub async fn use_refresh_token(
        &self,
        user_id: i64,
        token: &Claims,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_write().await?;
        // Extending comes first: it locks the row, so that two refreshes at once are judged one after the other.
        let used: Option<(i64, String)> = sqlx::query_as(
            "update sessions set expires_at_ms = $4 \
             where user_id = $1 and id = $2 and revoked_at_ms is null and expires_at_ms > $3 \
             returning used_generation, used_token_id",
        )
        .bind(user_id)
        .bind(&token.session_id)
        .bind(now.0)
        .bind(now.plus_seconds(policy::SESSION_SECONDS).0)
        .fetch_optional(&mut *write.transaction)
        .await?;
        let Some((used_generation, used_token_id)) = used else { return Ok(false) };
        let verdict = judge(&Session { used_generation, used_token_id }, token);
        if verdict == RefreshVerdict::Reused {
            write.audit(user_id, AuditAction::RefreshTokenReused, address, now).await?;
            write.revoke_sessions(user_id, &token.session_id, Which::This, now).await?;
        } else {
            sqlx::query(
                "update sessions set used_generation = $3, used_token_id = $4 where user_id = $1 and id = $2",
            )
            .bind(user_id)
            .bind(&token.session_id)
            .bind(token.generation)
            .bind(&token.token_id)
            .execute(&mut *write.transaction)
            .await?;
            write.sweep(user_id, now).await?;
        }
        write.commit().await?;
        Ok(verdict != RefreshVerdict::Reused)
    }

    /// Ends a session; its access tokens are worth nothing from now on.
    pub async fn end_session(
        &self,
        user_id: i64,
        session_id: &str,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        write.revoke_sessions(user_id, session_id, Which::This, now).await?;
        write.audit(user_id, AuditAction::LoggedOut, address, now).await?;
        write.commit().await
    }

    /// Sets a new password and ends every session but the one that asked.
    pub async fn change_password(
        &self,
        user_id: i64,
        session_id: &str,
        password_hash: &str,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        sqlx::query("update users set password_hash = $2 where id = $1")
            .bind(user_id)
            .bind(password_hash)
            .execute(&mut *write.transaction)
            .await?;
        write.revoke_sessions(user_id, session_id, Which::Others, now).await?;
        write.audit(user_id, AuditAction::PasswordChanged, address, now).await?;
        write.commit().await
    }

    /// Remembers that somebody tried a wrong password. Where there is no account, as much is written and nothing kept:
    /// the time that it takes tells nobody who has one.
    pub async fn login_failed(
        &self,
        user_id: Option<i64>,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        write.audit(user_id.unwrap_or(NOBODY), AuditAction::LoginFailed, address, now).await?;
        sqlx::query("delete from audit_log where user_id = $1")
            .bind(NOBODY)
            .execute(&mut *write.transaction)
            .await?;
        write.commit().await
    }
}

/// No account has this id.
const NOBODY: i64 = -1;

#[derive(Clone, Copy)]
enum Which {
    This,
    Others,
}

impl super::Write {
    async fn revoke_sessions(
        &mut self,
        user_id: i64,
        session_id: &str,
        which: Which,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let statement = match which {
            Which::This => "update sessions set revoked_at_ms = $3 where user_id = $1 and id = $2",
            Which::Others => "update sessions set revoked_at_ms = $3 where user_id = $1 and id <> $2",
        };
        sqlx::query(statement)
            .bind(user_id)
            .bind(session_id)
            .bind(now.0)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
