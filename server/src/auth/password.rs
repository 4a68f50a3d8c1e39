//! Password hashing with argon2id, off the threads that serve requests.

use std::{sync::LazyLock, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{error::ApiError, policy};

/// Verified against when there is no account, so that the answer takes as long as for one that exists.
static NOBODYS_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash_now("nobody").ok());

/// Hashes a password into a PHC string.
pub async fn hash(slots: &Semaphore, password: String) -> Result<String, ApiError> {
    let _slot = turn(slots).await?;
    tokio::task::spawn_blocking(move || hash_now(&password)).await.map_err(ApiError::internal)?
}

/// Whether the password belongs to the hash. Without a hash the answer is no, and comes as late.
pub async fn verify(slots: &Semaphore, password: String, hash: Option<String>) -> Result<bool, ApiError> {
    let _slot = turn(slots).await?;
    tokio::task::spawn_blocking(move || {
        let exists = hash.is_some();
        let Some(hash) = hash.or_else(|| NOBODYS_HASH.clone()) else { return false };
        let matches = PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
        matches && exists
    })
    .await
    .map_err(ApiError::internal)
}

async fn turn(slots: &Semaphore) -> Result<SemaphorePermit<'_>, ApiError> {
    match timeout(Duration::from_secs(policy::PASSWORD_WAIT_SECONDS), slots.acquire()).await {
        Ok(slot) => slot.map_err(ApiError::internal),
        Err(_) => Err(ApiError::Busy),
    }
}

fn hash_now(password: &str) -> Result<String, ApiError> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(ApiError::internal)?;
    let salt = SaltString::encode_b64(&random).map_err(|error| ApiError::internal(error.to_string()))?;
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| ApiError::internal(error.to_string()))
}
