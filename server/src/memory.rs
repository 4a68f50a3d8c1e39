//! What the bodies and answers of all clients may take of the memory together.
//!
//! A body takes its shares in one order: its user's, one of what arrives, one of what is worked on. Whoever holds a
//! later one never waits for an earlier one, so nobody waits for each other; and all waits end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{error::ApiError, policy};

const KIB: usize = 1024;

/// More than half of it, and room is left for a body.
const OF_USER_FOR_A_PAGE: usize = policy::MAX_BODY_BYTES_OF_USER - policy::MAX_BODY_BYTES;

/// Bounds what bodies take of the memory, however many requests there are at a time. Counts in KiB.
#[derive(Clone)]
pub struct MemoryBudget {
    arriving: Arc<Semaphore>,
    working: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    /// Of those that hold or await a share.
    users: Arc<Mutex<HashMap<i64, Weak<Semaphore>>>>,
}

/// The part of a body or an answer; given back when it is dropped.
pub struct MemoryShare {
    of_user: OwnedSemaphorePermit,
    arriving: Option<OwnedSemaphorePermit>,
    working: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// The budget of one server.
    pub fn new() -> Self {
        Self {
            arriving: Arc::new(Semaphore::new(policy::MAX_BODY_BYTES_ARRIVING / KIB)),
            working: Arc::new(Semaphore::new(policy::MAX_BODY_BYTES_IN_WORK / KIB)),
            pages: Arc::new(Semaphore::new(policy::MAX_PAGE_BYTES_LEAVING / KIB)),
            users: Arc::default(),
        }
    }

    /// Room for a body of this user to arrive in.
    ///
    /// # Errors
    /// There is none after a while.
    pub async fn arrival(&self, user_id: i64, bytes: usize) -> Result<MemoryShare, ApiError> {
        let user = self.of_user(user_id);
        in_time(async {
            let of_user = permits(user, bytes).await?;
            let arriving = Some(permits(Arc::clone(&self.arriving), bytes).await?);
            Ok(MemoryShare { of_user, arriving, working: None })
        })
        .await
    }

    /// Room to unpack and judge a body that has arrived, whatever comes out of it.
    ///
    /// # Errors
    /// There is none after a while.
    pub async fn work(&self, share: &mut MemoryShare) -> Result<(), ApiError> {
        let working = permits(Arc::clone(&self.working), policy::MAX_BODY_BYTES);
        share.working = Some(in_time(working).await?);
        Ok(())
    }

    /// Room for a page of records of this user, until it has left. One at a time, if it is long.
    ///
    /// # Errors
    /// There is none after a while.
    pub async fn page(&self, user_id: i64) -> Result<MemoryShare, ApiError> {
        let user = self.of_user(user_id);
        in_time(async {
            let of_user = permits(user, OF_USER_FOR_A_PAGE).await?;
            let working = Some(permits(Arc::clone(&self.pages), policy::MAX_PAGE_BYTES).await?);
            Ok(MemoryShare { of_user, arriving: None, working })
        })
        .await
    }

    fn of_user(&self, user_id: i64) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = users.get(&user_id).and_then(Weak::upgrade) {
            return user;
        }
        users.retain(|_, user| user.strong_count() > 0);
        let user = Arc::new(Semaphore::new(policy::MAX_BODY_BYTES_OF_USER / KIB));
        users.insert(user_id, Arc::downgrade(&user));
        user
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryShare {
    /// Gives back all but what a judged body, or a finished answer, still takes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.arriving = None;
        for held in [Some(&mut self.of_user), self.working.as_mut()].into_iter().flatten() {
            drop(held.split(held.num_permits().saturating_sub(kibibytes(bytes))));
        }
    }
}

fn kibibytes(bytes: usize) -> usize {
    bytes.div_ceil(KIB).max(1)
}

async fn permits(semaphore: Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let permits = u32::try_from(kibibytes(bytes)).map_err(ApiError::internal)?;
    semaphore.acquire_many_owned(permits).await.map_err(ApiError::internal)
}

async fn in_time<T>(waiting: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    timeout(Duration::from_secs(policy::BODY_WAIT_SECONDS), waiting).await.unwrap_or(Err(ApiError::Busy))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const ALL_OF_WORK: usize = policy::MAX_BODY_BYTES_IN_WORK / KIB;

    #[tokio::test]
    async fn one_user_leaves_room_for_the_others() {
        let budget = MemoryBudget::new();
        let mut held = Vec::new();
        for _ in 0..policy::MAX_BODY_BYTES_OF_USER / policy::MAX_BODY_BYTES {
            held.push(budget.arrival(1, policy::MAX_BODY_BYTES).await.ok().unwrap());
        }
        let mut one_more = pin!(budget.arrival(1, policy::MAX_BODY_BYTES));
        assert!(timeout(Duration::ZERO, one_more.as_mut()).await.is_err());
        assert!(budget.arrival(2, policy::MAX_BODY_BYTES).await.is_ok());
        held.pop();
        assert!(one_more.await.is_ok());
    }

    #[tokio::test]
    async fn one_user_has_one_long_page_at_a_time_and_still_room_to_send() {
        let budget = MemoryBudget::new();
        let mut page = budget.page(1).await.ok().unwrap();
        page.shrink_to(policy::MAX_PAGE_BYTES);
        let mut another = pin!(budget.page(1));
        assert!(timeout(Duration::ZERO, another.as_mut()).await.is_err());
        assert!(budget.page(2).await.is_ok());
        page.shrink_to(KIB);
        assert!(another.await.is_ok());
        let _another = budget.page(1).await.ok().unwrap();
        assert!(timeout(Duration::ZERO, budget.arrival(1, 2 * policy::MAX_BODY_BYTES)).await.is_err());
        assert!(budget.arrival(1, policy::MAX_BODY_BYTES - KIB).await.is_ok());
    }

    #[tokio::test]
    async fn users_who_hold_nothing_are_forgotten() {
        let budget = MemoryBudget::new();
        for user_id in 0..100 {
            assert!(budget.arrival(user_id, 1).await.is_ok());
        }
        assert_eq!(budget.users.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_judged_body_keeps_what_it_takes_and_all_comes_back() {
        let budget = MemoryBudget::new();
        let mut share = budget.arrival(1, 300 * KIB).await.ok().unwrap();
        budget.work(&mut share).await.unwrap();
        assert_eq!(budget.working.available_permits(), ALL_OF_WORK - policy::MAX_BODY_BYTES / KIB);
        share.shrink_to(100 * KIB);
        assert_eq!(budget.arriving.available_permits(), policy::MAX_BODY_BYTES_ARRIVING / KIB);
        assert_eq!(budget.working.available_permits(), ALL_OF_WORK - 100);
        share.shrink_to(policy::MAX_BODY_BYTES);
        assert_eq!(budget.working.available_permits(), ALL_OF_WORK - 100);
        drop(share);
        assert_eq!(budget.working.available_permits(), ALL_OF_WORK);
    }
}
