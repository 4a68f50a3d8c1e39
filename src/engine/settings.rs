//! What the extension has set, and what a change of it means.

use super::{Engine, EngineError};
use crate::decisions::tracker::Ending;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::owner::{self, Owner, Session};
use crate::words::policy::Policy;
use crate::words::record::sites::SiteRules;

/// What the extension has set; it may change at any moment, also while a sync runs.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The base of the server's routes.
    pub server_url: String,
    /// The user has agreed to recording and sending.
    pub consent: bool,
    /// The user has paused it.
    pub paused: bool,
    /// Sites that are neither recorded nor sent.
    pub excluded: SiteRules,
    /// The login; none when signed out.
    pub session: Option<Session>,
    /// Whether the login is kept in the database, for the next start.
    pub remembers_session: bool,
    /// Limits.
    pub policy: Policy,
}

impl Settings {
    /// Whose records are captured and sent now.
    pub fn owner(&self) -> Option<Owner> {
        let session = self.session.as_ref()?;
        let origin = owner::origin_of(&self.server_url)?;
        Some(Owner { origin, account: session.account.clone() })
    }

    /// Whether anything may be recorded now.
    pub const fn records(&self) -> bool {
        self.consent && !self.paused
    }
}

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// A copy of the settings of now.
    pub fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Changes the settings. Visits that go on end where recording ends, under the owner that they began with; then
    /// the owner changes in the database, if it is another one (rule 10).
    ///
    /// # Errors
    /// [`EngineError`] where the database fails; the settings are as before then.
    pub async fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> Result<(), EngineError> {
        let before = self.settings();
        let mut after = before.clone();
        change(&mut after);
        let owner = after.owner();
        let owner_changes = self.outbox.overview().await?.books.owner() != owner.as_ref();
        if before.records() && !after.consent {
            self.forget_open_visits().await?;
        } else if before.records() && owner_changes {
            self.end_open_visits(Ending::Final).await?;
        } else if before.records() && after.paused {
            self.end_open_visits(Ending::Pause).await?;
        }
        if owner_changes || before.session != after.session {
            let remembered = after.session.as_ref().filter(|_| after.remembers_session);
            self.outbox.hand_to(owner.as_ref(), remembered).await?;
        }
        *self.settings.borrow_mut() = after;
        self.host.changed();
        Ok(())
    }
}
