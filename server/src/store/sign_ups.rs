//! Sign-ups: accounts at once, or after their address was proved.

use super::{AuditAction, NewAccount, Store, StoreError, Write};
use crate::{auth::AddressDigest, policy, time::UnixMillis};

impl Store {
    /// Makes an account that can log in at once. False if the address has one already, which stays as it is.
    pub async fn create_account(
        &self,
        new: &NewAccount,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_write().await?;
        let created = write.insert_user(new, address, now).await?;
        write.commit().await?;
        Ok(created)
    }

    /// Keeps a sign-up until somebody proves the address with this code. False if the address has an account: then as
    /// much is written and nothing kept, so that the time that it takes tells nobody.
    pub async fn await_proof(
        &self,
        new: &NewAccount,
        code_digest: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_write().await?;
        sqlx::query(
            "insert into pending_sign_ups \
                 (email, id, code_digest, password_hash, first_name, last_name, expires_at_ms) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&new.email)
        .bind(uuid::Uuid::now_v7().to_string())
        .bind(code_digest)
        .bind(&new.password_hash)
        .bind(new.first_name.clone())
        .bind(new.last_name.clone())
        .bind(now.plus_seconds(policy::SIGN_UP_SECONDS).0)
        .execute(&mut *write.transaction)
        .await?;
        let of_an_account = sqlx::query(
            "delete from pending_sign_ups where email = $1 and exists (select 1 from users where email = $1)",
        )
        .bind(&new.email)
        .execute(&mut *write.transaction)
        .await?;
        write.commit().await?;
        Ok(of_an_account.rows_affected() == 0)
    }

    /// Gives the newest sign-up of this address another code. False if there is none.
    pub async fn renew_code(
        &self,
        email: &str,
        code_digest: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_write().await?;
        let renewed = sqlx::query(
            "update pending_sign_ups set code_digest = $2, expires_at_ms = $3 \
             where email = $1 and id = (select max(id) from pending_sign_ups where email = $1)",
        )
        .bind(email)
        .bind(code_digest)
        .bind(now.plus_seconds(policy::SIGN_UP_SECONDS).0)
        .execute(&mut *write.transaction)
        .await?;
        write.commit().await?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Makes the account of the sign-up with this code. False if there is none.
    pub async fn prove_address(
        &self,
        email: &str,
        code_digest: &str,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_write().await?;
        let pending: Option<(String, Option<String>, Option<String>)> = sqlx::query_as(
            "select password_hash, first_name, last_name from pending_sign_ups \
             where email = $1 and code_digest = $2 and expires_at_ms > $3",
        )
        .bind(email)
        .bind(code_digest)
        .bind(now.0)
        .fetch_optional(&mut *write.transaction)
        .await?;
        let Some((password_hash, first_name, last_name)) = pending else { return Ok(false) };
        let new = NewAccount { email: email.to_owned(), password_hash, first_name, last_name };
        write.insert_user(&new, address, now).await?;
        sqlx::query("delete from pending_sign_ups where email = $1")
            .bind(email)
            .execute(&mut *write.transaction)
            .await?;
        write.commit().await?;
        Ok(true)
    }
}

impl Write {
    async fn insert_user(
        &mut self,
        new: &NewAccount,
        address: &AddressDigest,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let user_id = random_user_id()?;
        let created = sqlx::query(
            "insert into users \
                 (id, email, password_hash, first_name, last_name, verified_at_ms, created_at_ms, last_write_at_ms) \
             values ($1, $2, $3, $4, $5, $6, $6, $6) \
             on conflict (email) do nothing",
        )
        .bind(user_id)
        .bind(&new.email)
        .bind(&new.password_hash)
        .bind(new.first_name.clone())
        .bind(new.last_name.clone())
        .bind(now.0)
        .execute(&mut *self.transaction)
        .await?
        .rows_affected();
        if created == 1 {
            self.audit(user_id, AuditAction::AccountCreated, address, now).await?;
        }
        Ok(created == 1)
    }
}

/// 53 random bits: exact in JavaScript, short in an index, and without a counter that replicas would share.
fn random_user_id() -> Result<i64, StoreError> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random)?;
    Ok(i64::from_be_bytes(random) & ((1 << 53) - 1))
}
