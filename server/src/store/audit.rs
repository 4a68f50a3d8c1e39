//! Who did what to an account, without payloads; and sweeping out what a user's tables don't need any more.

use super::{StoreError, Write};
use crate::{auth::AddressDigest, policy, time::UnixMillis};

/// What is worth remembering about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AuditAction {
    AccountCreated,
    LoggedIn,
    LoginFailed,
    LoggedOut,
    RefreshTokenReused,
    PasswordChanged,
    Erased,
}

impl AuditAction {
    fn word(self) -> &'static str {
        match self {
            Self::AccountCreated => "account_created",
            Self::LoggedIn => "logged_in",
            Self::LoginFailed => "login_failed",
            Self::LoggedOut => "logged_out",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::PasswordChanged => "password_changed",
            Self::Erased => "erased",
        }
    }
}

impl Write {
    pub(super) async fn audit(
        &mut self,
        user_id: i64,
        action: AuditAction,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into audit_log (user_id, id, at_ms, action, address_digest) values ($1, $2, $3, $4, $5)",
        )
        .bind(user_id)
        .bind(uuid::Uuid::now_v7().to_string())
        .bind(now.0)
        .bind(action.word())
        .bind(&address.0)
        .execute(&mut *self.transaction)
        .await?;
        tracing::info!(user_id, action = action.word(), "account");
        Ok(())
    }

    /// Deletes what has outlived its use. Done with each login and refresh, so that it never becomes much.
    pub(super) async fn sweep(&mut self, user_id: i64, now: UnixMillis) -> Result<(), StoreError> {
        for (statement, before) in [
            (
                "delete from idempotency_keys where user_id = $1 and created_at_ms < $2",
                now.plus_seconds(-policy::IDEMPOTENCY_SECONDS),
            ),
            (
                "delete from sync_log where user_id = $1 and at_ms < $2",
                now.plus_seconds(-policy::SYNC_LOG_SECONDS),
            ),
            (
                "delete from audit_log where user_id = $1 and at_ms < $2",
                now.plus_seconds(-policy::AUDIT_SECONDS),
            ),
            ("delete from sessions where user_id = $1 and expires_at_ms < $2", now),
        ] {
            sqlx::query(statement).bind(user_id).bind(before.0).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}
