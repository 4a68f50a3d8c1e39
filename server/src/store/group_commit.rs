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
use crate::{policy, time::UnixMillis, validation::Batch};

/// A batch on its way to the disk.
pub(super) struct Saving {
    pub(super) user_id: i64,
    pub(super) batch: Batch,
    pub(super) key: Option<Idempotency>,
    pub(super) now: UnixMillis,
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

    fn add(&self, saving: Saving) -> oneshot::Receiver<Saved> {
        let (saved, answer) = oneshot::channel();
        locked(&self.waiting).push(Waiting { saving, saved });
        answer
    }

    /// The first of them, without those whose client has gone.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = locked(&self.waiting);
        waiting.retain(|each| !each.saved.is_closed());
        let count = waiting.len().min(policy::MAX_BATCHES_IN_COMMIT);
        waiting.drain(..count).collect()
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
        let mut answer = sqlite.add(saving);
        loop {
            tokio::select! {
                biased;
                saved = &mut answer => return saved.unwrap_or(Err(StoreError::Database(sqlx::Error::WorkerCrashed))),
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
