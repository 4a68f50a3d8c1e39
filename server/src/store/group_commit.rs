//! One commit for all the batches that wait. SQLite has one writer, and waiting for the disk is most of its work: whoever
//! gets the turn saves what the others have brought in the meantime, too.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Idempotency, Metered, Store, StoreError, SyncCounts};
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

/// The batches that wait for the writer.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<Waiting>>);

impl Queue {
    fn add(&self, saving: Saving) -> oneshot::Receiver<Saved> {
        let (saved, answer) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { saving, saved });
        answer
    }

    /// The first of them, without those whose client has gone.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|each| !each.saved.is_closed());
        let count = waiting.len().min(policy::MAX_BATCHES_IN_COMMIT);
        waiting.drain(..count).collect()
    }
}

impl Store {
    /// Saves a batch, together with others that wait. Returns when it is on the disk.
    pub(super) async fn save_in_group(&self, saving: Saving) -> Saved {
        let mut answer = self.queue.add(saving);
        loop {
            tokio::select! {
                biased;
                saved = &mut answer => return saved.unwrap_or(Err(StoreError::Database(sqlx::Error::WorkerCrashed))),
                // A task of its own: the others' batches must not depend on this client's patience.
                turn = self.turn() => drop(tokio::spawn(self.clone().save_waiting(turn))),
            }
        }
    }

    async fn save_waiting(self, turn: Option<OwnedSemaphorePermit>) {
        let group = self.queue.take();
        if group.is_empty() {
            return;
        }
        let together: Vec<&Saving> = group.iter().map(|waiting| &waiting.saving).collect();
        match self.try_save_all(turn, &together).await {
            Ok(counts) => {
                for (waiting, counts) in group.into_iter().zip(counts) {
                    let _ = waiting.saved.send(Ok(counts));
                }
            }
            // One of them is to blame, and only that one shall hear of it.
            Err(_) => {
                for Waiting { saving, saved } in group {
                    let _ = saved.send(self.save_alone(&saving).await);
                }
            }
        }
    }
}
