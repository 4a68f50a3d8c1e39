//! One commit for all the batches that wait. SQLite has one writer, and waiting for the disk is most of its work: whoever
//! gets the turn saves what the others have brought in the meantime, too.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::TransactionBehavior;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, oneshot},
    task::spawn_blocking,
};

use super::{Dialect, Idempotency, Metered, Store, StoreError, SyncCounts, Write};
use crate::{memory::MemoryShare, policy, time::UnixMillis, validation::Batch};

/// A batch on its way to the disk.
pub(super) struct Saving {
    pub(super) user_id: i64,
    pub(super) batch: Batch,
    pub(super) key: Option<Idempotency>,
    pub(super) now: UnixMillis,
    pub(super) _share: Option<MemoryShare>,
}

type Saved = Result<Metered<SyncCounts>, StoreError>;

struct Waiting {
    saving: Saving,
    saved: oneshot::Sender<Saved>,
}

/// The batches that wait, and the connection that writes them.
pub(super) struct SqliteWriter {
    waiting: Mutex<Vec<Waiting>>,
    connection: Mutex<rusqlite::Connection>,
}

impl SqliteWriter {
    /// Opens a connection like those of the pool.
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(SqliteConnectOptions::from_str(url)?.get_filename())?;
        for setting in Dialect::Sqlite.connection_settings() {
            connection.execute_batch(setting)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { waiting: Mutex::default(), connection: Mutex::new(connection) })
    }

    fn add(&self, saving: Saving) -> Place<'_> {
        let (saved, answer) = oneshot::channel();
        locked(&self.waiting).push(Waiting { saving, saved });
        Place { sqlite: self, answer }
    }

    /// The first of them.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = locked(&self.waiting);
        let count = waiting.len().min(policy::MAX_BATCHES_IN_COMMIT);
        waiting.drain(..count).collect()
    }
}

/// A place in the line. Whoever leaves takes the batch along: it holds memory, and maybe nobody else comes.
struct Place<'a> {
    sqlite: &'a SqliteWriter,
    answer: oneshot::Receiver<Saved>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.answer.close();
        locked(&self.sqlite.waiting).retain(|each| !each.saved.is_closed());
    }
}

/// More than saving a batch has, so that each is prepared once.
const STATEMENTS: usize = 32;

/// A transaction that was given up by a panic was rolled back by it, too.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Saves a batch, together with others that wait. Returns when it is on the disk.
    pub(super) async fn save_in_group(&self, sqlite: &Arc<SqliteWriter>, saving: Saving) -> Saved {
        let mut place = sqlite.add(saving);
        loop {
            tokio::select! {
                biased;
                saved = &mut place.answer => return saved.unwrap_or(Err(StoreError::Database(sqlx::Error::WorkerCrashed))),
                // A thread of its own: the others' batches must not depend on this client's patience.
                turn = self.turn() => {
                    let (store, sqlite) = (self.clone(), Arc::clone(sqlite));
                    drop(spawn_blocking(move || store.save_waiting(&sqlite, turn)));
                }
            }
        }
    }

    fn save_waiting(&self, sqlite: &SqliteWriter, turn: Option<OwnedSemaphorePermit>) {
        let group = sqlite.take();
        if group.is_empty() {
            return;
        }
        let mut connection = locked(&sqlite.connection);
        let together: Vec<&Saving> = group.iter().map(|waiting| &waiting.saving).collect();
        match self.save_together(&mut connection, &together) {
            Ok(counts) => {
                // The next in line may begin while these are told.
                drop((connection, turn));
                for (waiting, counts) in group.into_iter().zip(counts) {
                    let _ = waiting.saved.send(Ok(counts));
                }
            }
            // One of them is to blame, and only that one shall hear of it.
            Err(_) => {
                for Waiting { saving, saved } in group {
                    let _ = saved.send(self.save_by_itself(&mut connection, &saving));
                }
            }
        }
    }

    fn save_by_itself(&self, connection: &mut rusqlite::Connection, saving: &Saving) -> Saved {
        let mut attempt = 1;
        loop {
            match self.save_together(connection, &[saving]) {
                Err(error) if error.is_conflict() && attempt < policy::TRANSACTION_ATTEMPTS => attempt += 1,
                result => return result?.pop().ok_or(StoreError::Database(sqlx::Error::RowNotFound)),
            }
        }
    }

    /// Saves batches in one transaction: all of them, or none.
    fn save_together(
        &self,
        connection: &mut rusqlite::Connection,
        batches: &[&Saving],
    ) -> Result<Vec<Metered<SyncCounts>>, StoreError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut write = Write { transaction, user_limit: self.user_limit, _turn: None };
        let mut counts = Vec::with_capacity(batches.len());
        for saving in batches {
            counts.push(Handle::current().block_on(self.save(&mut write, saving))?);
        }
        write.transaction.commit()?;
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, time::Duration};

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;
    use crate::memory::MemoryBudget;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_holds_its_memory_as_long_as_it_waits() {
        let folder = env::temp_dir().join(format!("heyho-group-commit-{}", Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("test.db").display());
        let store = Store::open(&url, policy::USER_REQUESTS).await.unwrap();
        let budget = MemoryBudget::new();
        let all_of_user = || budget.arrival(1, policy::MAX_BODY_BYTES_OF_USER);
        let is_free = async || timeout(Duration::ZERO, all_of_user()).await.is_ok();
        let save = async || {
            let share = all_of_user().await.ok();
            store.save_batch(1, Batch::default(), None, UnixMillis::now(), share).await
        };

        let turn = store.turn().await;
        let mut leaving = Box::pin(save());
        assert!(timeout(Duration::ZERO, leaving.as_mut()).await.is_err());
        assert!(!is_free().await);
        drop(leaving);
        assert!(is_free().await, "the client has left, and its batch with it");

        let mut waiting = Box::pin(save());
        assert!(timeout(Duration::ZERO, waiting.as_mut()).await.is_err());
        assert!(!is_free().await);
        drop(turn);
        assert!(matches!(waiting.await, Err(StoreError::AccountGone)));
        all_of_user().await.unwrap();
        store.close().await;
        fs::remove_dir_all(folder).unwrap();
    }
}
