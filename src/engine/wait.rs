//! The wait that a server has asked this worker for, by a clock that nobody sets (rule 7). The database has it too, by the
//! wall clock, for the workers to come; should a disk have failed at it, this one knows it all the same.

use super::Engine;
use crate::decisions::backoff::{self, AskedBy, Retry, ServerWait};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::policy::LONGEST_SERVER_WAIT;
use crate::words::time::Millis;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// What is left of it.
    pub(super) fn heeded(&self) -> Option<Retry> {
        let left = Millis(self.heeds.get().0.saturating_sub(self.clock.monotonic().0));
        let since = self.clock.now();
        let retry = Retry { attempts: 1, since, not_before: since + left, asked_by: AskedBy::Server };
        (left > Millis(0)).then_some(retry)
    }

    /// The wait that holds where the database knows this one.
    pub(super) fn holding(&self, persisted: Option<Retry>) -> Option<Retry> {
        match self.heeded() {
            Some(heeded) => Some(backoff::heeding(persisted, heeded, heeded.since)),
            None => persisted,
        }
    }

    /// Heeds one that the server of this origin asks for now, unless another server is set by now. Returns its end.
    pub(super) fn heed(&self, origin: &str, wait: ServerWait) -> Millis {
        let wait = wait.0.min(LONGEST_SERVER_WAIT);
        let until = Millis(self.clock.monotonic().0.saturating_add(wait.0));
        if self.settings().origin().as_deref() == Some(origin) {
            self.heeds.set(self.heeds.get().max(until));
        }
        until
    }
}
