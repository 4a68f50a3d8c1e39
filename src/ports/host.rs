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

    /// Something that `status` shows has changed.
    fn changed(&self);
}
