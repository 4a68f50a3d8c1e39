//! Accounts.

use sqlx::{FromRow, Row, any::AnyRow};

use super::{Store, StoreError};
use crate::time::UnixMillis;

/// An account as the server knows it. No `Debug`: it carries a name, an address and a hash.
#[derive(Clone)]
pub struct Account {
    /// Leads every key of the account's data.
    pub id: i64,
    /// In lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// As given.
    pub first_name: Option<String>,
    /// As given.
    pub last_name: Option<String>,
    /// When the address was proved; null before.
    pub verified_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
}

impl<'r> FromRow<'r, AnyRow> for Account {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            password_hash: row.try_get("password_hash")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            verified_at: row.try_get::<Option<i64>, _>("verified_at_ms")?.map(UnixMillis),
            created_at: UnixMillis(row.try_get("created_at_ms")?),
        })
    }
}

const COLUMNS_BY_EMAIL: &str = "select id, email, password_hash, first_name, last_name, verified_at_ms, created_at_ms \
     from users where email = $1";
const COLUMNS_BY_ID: &str = "select id, email, password_hash, first_name, last_name, verified_at_ms, created_at_ms \
     from users where id = $1";

/// What a sign-up form becomes.
pub struct NewAccount {
    /// In lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// As given.
    pub first_name: Option<String>,
    /// As given.
    pub last_name: Option<String>,
}

impl Store {
    /// The account with this address (in lower case).
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        Ok(sqlx::query_as(COLUMNS_BY_EMAIL).bind(email).fetch_optional(&self.pool).await?)
    }

    /// The account with this id.
    pub async fn account_by_id(&self, user_id: i64) -> Result<Option<Account>, StoreError> {
        Ok(sqlx::query_as(COLUMNS_BY_ID).bind(user_id).fetch_optional(&self.pool).await?)
    }
}
