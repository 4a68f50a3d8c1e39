//! The loop: what happens in the browser is recorded, what was recorded is sent.

mod abilities;
mod blame;
mod condemn;
mod deliver;
mod dissect;
mod erasure;
mod find;
mod flight;
mod head;
mod health;
mod login;
mod preflight;
mod reconcile;
mod record;
mod retention;
mod retrial;
mod settings;
mod slice;
mod sync;
mod transfer;
mod upload;
mod wait;
mod windows;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Mutex;

pub use find::{Found, Whereabouts};
pub use record::{EngineError, Recorded};
pub use settings::Settings;
pub use sync::RunOptions;
pub use transfer::{Bookmark, Exported, Imported, RefusedLine};

use crate::decisions::status::{self, Present, Status};
use crate::decisions::sync_state::{Problem, ProblemCode};
use crate::decisions::tracker::TrackerState;
use crate::outbox::{Outbox, OutboxError, Overview};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Store, StoreError};
use crate::ports::transport::Transport;
use crate::words::time::{Millis, UnixMillis};

/// The engine over its ports.
#[derive(Debug)]
pub struct Engine<S, T, C, H> {
    outbox: Outbox<S>,
    transport: T,
    clock: C,
    host: H,
    settings: RefCell<Rc<Settings>>,
    changing: Mutex<()>,
    // One at a time: a refresh token may be good for one time only.
    refreshing: Mutex<()>,
    running: Cell<bool>,
    // How often something was erased here.
    erased: Cell<u32>,
    // Since when the database has kept nothing, as far as this worker knows: that can't be written down there.
    unkept: Cell<Option<UnixMillis>>,
    // Until when, by the monotonic clock, a server has asked to be left alone.
    heeds: Cell<Millis>,
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
            refreshing: Mutex::new(()),
            running: Cell::new(false),
            erased: Cell::new(0),
            unkept: Cell::new(None),
            heeds: Cell::new(Millis(0)),
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
        let Overview { books, mut state, .. } = self.outbox.overview().await?;
        if let Some(since) = self.unkept.get() {
            state.problem = Some(Problem { code: ProblemCode::Storage, since });
        }
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

    // Tells of a database that takes nothing any more, and of its taking something again.
    fn noticing<R>(&self, written: Result<R, OutboxError>) -> Result<R, OutboxError> {
        let unkept = match &written {
            Ok(_) => None,
            Err(OutboxError::Store(StoreError::QuotaExceeded | StoreError::Failed(_))) => {
                self.unkept.get().or_else(|| Some(self.clock.now()))
            }
            Err(_) => self.unkept.get(),
        };
        if self.unkept.replace(unkept) != unkept {
            self.host.changed();
        }
        written
    }
}
