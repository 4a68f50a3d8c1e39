//! Room that is kept for the day on which there is none left.
//!
//! Where the disk is full, browsers refuse every transaction that writes anything, so that nothing could be settled any
//! more, and what waits would stay for ever. A database of its own, which is deleted then, makes room at once: the
//! deleted rows of the other one are cleared away some time later.

use js_sys::Uint8Array;
use rexie::{ObjectStore, Rexie, TransactionMode};

use super::clock::get_random_values;

/// Enough to settle some thousands of records.
const BYTES: u32 = 1 << 20;
/// As many bytes as a browser makes up at once.
const AT_ONCE: u32 = 65_536;
const STORE: &str = "reserve";

fn name_of(database: &str) -> String {
    format!("{database} reserve")
}

/// Sees to it that there is a reserve.
pub async fn keep(database: &str) -> rexie::Result<()> {
    let builder = Rexie::builder(&name_of(database)).version(1);
    let database = builder.add_object_store(ObjectStore::new(STORE)).build().await?;
    let kept = fill(&database).await;
    database.close();
    kept
}

async fn fill(database: &Rexie) -> rexie::Result<()> {
    let transaction = database.transaction(&[STORE], TransactionMode::ReadWrite)?;
    let store = transaction.store(STORE)?;
    if store.count(None).await? == 0 {
        // Random, so that no browser stores it in less.
        let bytes = Uint8Array::new_with_length(BYTES);
        for from in (0..BYTES).step_by(AT_ONCE as usize) {
            get_random_values(&bytes.subarray(from, from + AT_ONCE));
        }
        store.put(&bytes, Some(&STORE.into())).await?;
    }
    transaction.commit().await
}

/// Gives the reserve back. Where there is none, or that fails too, nothing is lost.
pub async fn give_back(database: &str) {
    drop(Rexie::delete(&name_of(database)).await);
}
