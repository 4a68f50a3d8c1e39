//! What the core asks of the extension around it.

use crate::words::time::UnixMillis;

/// The extension's side: alarms and the one lock of all its contexts.
pub trait Host {
    /// Held by the one syncer of this database among all contexts; released by its drop, or by the worker's death.
    type Lock;

    /// Takes the lock if nobody holds it, or from whoever holds it if `steals`.
    fn try_lock(&self, steals: bool) -> impl Future<Output = Option<Self::Lock>>;

    /// Arms the one-shot alarm for this moment, or clears it.
    fn arm_retry(&self, at: Option<UnixMillis>);

    /// Keeps a small text outside of the database, in place of the one before. Best effort.
    fn save_mirror(&self, text: String) -> impl Future<Output = ()>;

    /// What was last given to [`Host::save_mirror`]. None also where the database is new and the mirror can't tell one
    /// that was lost from one that was deleted on purpose.
    fn load_mirror(&self, database_is_new: bool) -> impl Future<Output = Option<String>>;

    /// Something that `status` shows has changed.
    fn changed(&self);
}
