//! What the extension has set, and what a change of it means.

use std::rc::Rc;

use super::{Engine, EngineError};
use crate::decisions::tracker::Ending;
use crate::outbox::{Memories, Remembered};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::owner::{self, Owner, Session};
use crate::words::policy::Policy;
use crate::words::record::sites::SiteRules;
use crate::words::time::Millis;

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
        Some(Owner { origin: self.origin()?, account: session.account.clone() })
    }

    pub(super) fn origin(&self) -> Option<String> {
        owner::origin_of(&self.server_url)
    }

    fn remembered(&self) -> Remembered<'_> {
        match (&self.session, self.remembers_session) {
            (_, false) => Remembered::Untouched,
            (None, true) => Remembered::Forget,
            (Some(session), true) => Remembered::Keep(session),
        }
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
    /// Begins with these settings. Where they name no session and a login is to be remembered, the remembered one is
    /// taken. Writes only where another owner or login begins.
    ///
    /// # Errors
    /// [`EngineError`] where the database can't be used.
    pub async fn open(&self, mut settings: Settings) -> Result<(), EngineError> {
        let books = self.sound_books().await?;
        let Memories { session, tracker } = self.outbox.memories().await?;
        let remembered = session.filter(|_| settings.remembers_session);
        let new_login = settings.session.is_some() && settings.session != remembered;
        // A login is worth something at the server that gave it, and is nobody else's business.
        let is_from_here = books
            .owner()
            .is_none_or(|owner| owner::origin_of(&settings.server_url).as_ref() == Some(&owner.origin));
        settings.session = settings.session.or(remembered.filter(|_| is_from_here));
        let owner = settings.owner();
        if books.owner() != owner.as_ref() || (settings.remembers_session && new_login) {
            let (books, state) = self.outbox.hand_to(owner.as_ref(), settings.remembered()).await?;
            self.mirror(&books, &state).await;
        }
        *self.tracker.lock().await = tracker;
        *self.settings.borrow_mut() = Rc::new(settings);
        Ok(())
    }

    /// The settings of now.
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Changes the settings. Visits that go on end where recording ends, under the owner that they began with; then
    /// the owner changes in the database, if it is another one (rule 10).
    ///
    /// # Errors
    /// [`EngineError`] where the database fails; the settings are as before then.
    pub async fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> Result<(), EngineError> {
        // One change after another: each sees what the last one left.
        let _turn = self.changing.lock().await;
        let before = self.settings();
        let mut after = (*before).clone();
        change(&mut after);
        // A login is good for the server that gave it, and is shown to no other (rule 10); so is a wait.
        let server_changes = after.origin() != before.origin();
        if server_changes && after.session == before.session {
            after.session = None;
        }
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
            let (books, state) = self.outbox.hand_to(owner.as_ref(), after.remembered()).await?;
            self.mirror(&books, &state).await;
        }
        *self.settings.borrow_mut() = Rc::new(after);
        if server_changes {
            self.heeds.set(Millis(0));
        }
        self.host.changed();
        Ok(())
    }
}
