//! The loop: what happens in the browser is recorded, what was recorded is sent.

mod abilities;
mod blame;
mod deliver;
mod dissect;
mod erasure;
mod find;
mod flight;
mod head;
mod health;
mod login;
mod preflight;
mod record;
mod retention;
mod retrial;
mod settings;
mod slice;
mod sync;
mod transfer;
mod upload;
mod windows;

use std::cell::{Cell, RefCell};

use tokio::sync::Mutex;

pub use find::{Found, Whereabouts};
pub use record::{EngineError, Recorded};
pub use settings::Settings;
pub use sync::RunOptions;
pub use transfer::{Bookmark, Exported, Imported, RefusedLine};

use crate::decisions::backoff::Retry;
use crate::decisions::status::{self, Present, Status};
use crate::decisions::tracker::TrackerState;
use crate::outbox::{Outbox, OutboxError, Overview};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;

/// The engine over its ports.
#[derive(Debug)]
pub struct Engine<S, T, C, H> {
    outbox: Outbox<S>,
    transport: T,
    clock: C,
    host: H,
    settings: RefCell<Settings>,
    changing: Mutex<()>,
    running: Cell<bool>,
    // How often something was erased here.
    erased: Cell<u32>,
    // The last wait, should the database not have taken it.
    heeds: Cell<Option<Retry>>,
    // What the tracker remembers; none before the first event. Events are taken one after another.
    tracker: Mutex<Option<TrackerState>>,
}

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// An engine with everything still to come: no settings, nobody signed in, no consent.
    pub fn new(outbox: Outbox<S>, transport: T, clock: C, host: H) -> Self {
        Self {
            outbox,
            transport,
            clock,
            host,
            settings: RefCell::default(),
            changing: Mutex::new(()),
            running: Cell::new(false),
            erased: Cell::new(0),
            heeds: Cell::new(None),
            tracker: Mutex::new(None),
        }
    }

    /// The buffer.
    pub const fn outbox(&self) -> &Outbox<S> {
        &self.outbox
    }

    /// The extension's side.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// What the popup shows: one read, however large the backlog.
    ///
    /// # Errors
    /// [`OutboxError`] where the database can't be read.
    pub async fn status(&self) -> Result<Status, OutboxError> {
        let Overview { books, state, .. } = self.outbox.overview().await?;
        let settings = self.settings.borrow();
        let present = Present {
            consent: settings.consent,
            paused: settings.paused,
            signed_in: settings.session.is_some(),
            syncing: self.running.get(),
            batch_records: settings.policy.max_records.page_visits,
            now: self.clock.now(),
        };
        Ok(status::status(&books, &state, &present))
    }
}
