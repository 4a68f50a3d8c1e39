//! Counting requests. In the database, because the replicas share the limits.

use super::{Metered, Store, StoreError};
use crate::{
    auth::rate_limit::Usage,
    policy::{self, RateLimit},
    time::UnixMillis,
};

impl Store {
    /// Counts a request of somebody who isn't a user yet.
    pub async fn count_request(
        &self,
        subject: &str,
        limit: RateLimit,
        now: UnixMillis,
    ) -> Result<Usage, StoreError> {
        let (after, before) = Usage::current_starts(limit, now);
        let mut write = self.begin_write().await?;
        let (requests, window): (i64, i64) = sqlx::query_as(
            "insert into rate_limits (subject, window_start_ms, requests) values ($1, $2, 1) \
             on conflict (subject) do update set \
                 requests = case when rate_limits.window_start_ms > $3 and rate_limits.window_start_ms < $4 \
                     then rate_limits.requests + 1 else 1 end, \
                 window_start_ms = case when rate_limits.window_start_ms > $3 and rate_limits.window_start_ms < $4 \
                     then rate_limits.window_start_ms else $2 end \
             returning requests, window_start_ms",
        )
        .bind(subject)
        .bind(now.0)
        .bind(after.0)
        .bind(before.0)
        .fetch_one(&mut *write.transaction)
        .await?;
        write.commit().await?;
        Ok(Usage::of(limit, requests, UnixMillis(window), now))
    }

    /// Starts the count of a subject again.
    pub async fn forget_requests(&self, subject: &str) -> Result<(), StoreError> {
        let mut write = self.begin_write().await?;
        sqlx::query("delete from rate_limits where subject = $1")
            .bind(subject)
            .execute(&mut *write.transaction)
            .await?;
        write.commit().await
    }

    /// Counts a request that makes no transaction of its own.
    pub async fn count_user_request(&self, user_id: i64, now: UnixMillis) -> Result<Metered<()>, StoreError> {
        let mut write = self.begin_write().await?;
        let turn = write.take_turn(user_id, now).await?;
        write.commit().await?;
        Ok(turn.map(drop))
    }

    /// How much of the user's limit is used up; none if the session is revoked or expired.
    pub async fn usage_of_session(
        &self,
        user_id: i64,
        session_id: &str,
        now: UnixMillis,
    ) -> Result<Option<Usage>, StoreError> {
        let counted: Option<(i64, i64)> = sqlx::query_as(
            "select u.window_requests as requests, u.window_start_ms as window_start_ms \
             from sessions s join users u on u.id = s.user_id \
             where s.user_id = $1 and s.id = $2 and s.revoked_at_ms is null and s.expires_at_ms > $3",
        )
        .bind(user_id)
        .bind(session_id)
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(counted.map(|(requests, window)| Usage::of(self.user_limit, requests, UnixMillis(window), now)))
    }

    /// Deletes counts and sign-ups that are over. Nobody's key leads them, so this runs once in a while for all.
    pub async fn forget_what_is_over(&self, now: UnixMillis) -> Result<(), StoreError> {
        let longest_seconds = [
            policy::ADDRESS_REQUESTS,
            policy::LOGIN_ATTEMPTS,
            policy::VERIFY_ATTEMPTS,
            policy::MESSAGES_TO_ADDRESS,
        ]
        .into_iter()
        .map(|limit| limit.seconds)
        .max()
        .unwrap_or_default();
        let mut write = self.begin_write().await?;
        sqlx::query("delete from rate_limits where window_start_ms < $1")
            .bind(now.plus_seconds(-longest_seconds).0)
            .execute(&mut *write.transaction)
            .await?;
        sqlx::query("delete from pending_sign_ups where expires_at_ms < $1")
            .bind(now.0)
            .execute(&mut *write.transaction)
            .await?;
        write.commit().await
    }
}
