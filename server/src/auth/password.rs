//! Password hashing with argon2id, off the threads that serve requests.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{error::ApiError, policy};

/// Verified against when there is no account, so that the answer takes as long as for one that exists.
static NOBODYS_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash_now("nobody").ok());

/// Hashes a password into a PHC string.
pub async fn hash(slots: &Arc<Semaphore>, password: String) -> Result<String, ApiError> {
    in_a_slot(slots, move || hash_now(&password)).await?
}

/// Whether the password belongs to the hash. Without a hash the answer is no, and comes as late.
pub async fn verify(
    slots: &Arc<Semaphore>,
    password: String,
    hash: Option<String>,
) -> Result<bool, ApiError> {
    in_a_slot(slots, move || {
        let exists = hash.is_some();
        let Some(hash) = hash.or_else(|| NOBODYS_HASH.clone()) else { return false };
        let matches = PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
        matches && exists
    })
    .await
}

/// The slot is the work's, which goes on when the client has left.
async fn in_a_slot<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let wait = Duration::from_secs(policy::PASSWORD_WAIT_SECONDS);
    let slot = timeout(wait, Arc::clone(slots).acquire_owned())
        .await
        .map_err(|_| ApiError::Busy)?
        .map_err(ApiError::internal)?;
    spawn_blocking(move || {
        let _slot = slot;
        work()
    })
    .await
    .map_err(ApiError::internal)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_client_that_leaves_frees_no_slot_before_its_work_is_done() {
        let slots = Arc::new(Semaphore::new(1));
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let leaving = {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move {
                let work = move || {
                    begin.send(()).unwrap();
                    let _ = ended.recv();
                };
                in_a_slot(&slots, work).await
            })
        };
        begun.await.unwrap();
        leaving.abort();
        assert!(leaving.await.is_err());
        assert_eq!(slots.available_permits(), 0);
        drop(end);
        let _slot = slots.acquire().await.unwrap();
    }
}
