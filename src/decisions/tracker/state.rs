//! What the tracker remembers between two events.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::IDLE_END;
use super::tab::{Page, Tab};
use super::visit::{Away, Resumed, Stay};
use crate::words::event::IdleState;
use crate::words::time::UnixMillis;

/// Most bytes that the tabs take in the serialized state. The tabs that were touched longest ago are forgotten for
/// it: their aggregates are not revised any more, and they are new when they are seen again.
const MAX_TAB_BYTES: usize = 80 * 1024;

/// Everything the tracker remembers between two events: a small JSON document, stored in one transaction with what
/// the step produced. It takes 300 to 400 bytes for each open tab in ordinary use, and never more than 100 KB.
///
/// A document of another version is refused by serde; start from the default then.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrackerState {
    version: Version,
    /// When the last event happened.
    pub(super) last_sign: Option<UnixMillis>,
    pub(super) presence: Presence,
    pub(super) focus: Focus,
    /// The window in front: the one with the focus, or the last that had it.
    pub(super) window: Option<i64>,
    /// Milliseconds since anybody attended to the page in front.
    pub(super) absent_ms: i64,
    pub(super) stay: Option<Stay>,
    /// Those touched longest ago come first.
    pub(super) tabs: Vec<Tab>,
}

impl TrackerState {
    /// Whether a visit is going on: only then are signs of life needed.
    pub const fn is_watching(&self) -> bool {
        self.stay.is_some()
    }
}

/// The layout of the document.
#[derive(Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl Version {
    const NUMBER: u32 = 1;
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        Version::NUMBER
    }
}

impl TryFrom<u32> for Version {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if number == Self::NUMBER { Ok(Self) } else { Err("tracker state of another version") }
    }
}

/// The user's presence; active until the browser says otherwise.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Presence(pub IdleState);

impl Default for Presence {
    fn default() -> Self {
        Self(IdleState::Active)
    }
}

/// Whether the browser has the focus.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Focus {
    /// The browser hasn't told yet; taken for yes, and the window in front is that of the last activation.
    #[default]
    Unknown,
    /// One of its windows has it.
    Here,
    /// Another program has it. The window in front is the last that had it, or that of a later activation.
    Elsewhere,
}

impl TrackerState {
    /// Nothing is known of the user and the windows, and these tabs.
    pub(super) fn starting_anew(last_sign: Option<UnixMillis>, tabs: Vec<Tab>) -> Self {
        Self { last_sign, tabs, ..Self::default() }
    }

    /// The tab in front, if it is known and not private.
    pub(super) fn front(&self) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.active && Some(tab.window) == self.window)
    }

    /// The page in front, and the number of its tab.
    pub(super) fn front_page(&self) -> Option<(i64, &Page)> {
        let tab = self.front()?;
        Some((tab.id, tab.page.as_ref()?))
    }

    /// Why nobody attends to the page in front; `None` if somebody does.
    pub(super) fn away(&self) -> Option<Away> {
        match self.presence.0 {
            IdleState::Locked => Some(Away::Locked),
            IdleState::Idle if !self.front().is_some_and(|tab| tab.audible) => Some(Away::Idle),
            _ if self.focus == Focus::Elsewhere => Some(Away::Unfocused),
            _ => None,
        }
    }

    /// What brought attention back, where there is some.
    pub(super) fn resumed(&self) -> Resumed {
        if self.presence.0 == IdleState::Idle { Resumed::Audible } else { Resumed::Active }
    }

    /// The user has been away so long that no stay goes on, and none begins.
    pub(super) fn is_deserted(&self) -> bool {
        self.absent_ms >= IDLE_END.0
    }

    /// Takes a tab out of the memory.
    pub(super) fn take(&mut self, id: i64) -> Option<Tab> {
        let place = self.tabs.iter().position(|tab| tab.id == id)?;
        Some(self.tabs.remove(place))
    }

    /// Changes a tab that is known.
    pub(super) fn with_known(&mut self, id: i64, change: impl FnOnce(&mut Tab)) {
        if let Some(tab) = self.tabs.iter_mut().find(|tab| tab.id == id) {
            change(tab);
        }
    }

    /// Changes a tab, known until now or not, which stands in `window`; it is the one touched last.
    pub(super) fn with(&mut self, id: i64, window: i64, change: impl FnOnce(&mut Tab)) {
        let mut tab = self.take(id).unwrap_or_else(|| Tab::new(id, window));
        tab.stand_in(window);
        change(&mut tab);
        self.tabs.push(tab);
    }

    /// The tab is the active one of its window. While no window is known to have the focus, this is the one in front.
    pub(super) fn show(&mut self, id: i64, window: i64) {
        for tab in self.tabs.iter_mut().filter(|tab| tab.window == window) {
            tab.active = tab.id == id;
        }
        if self.focus != Focus::Here {
            self.window = Some(window);
        }
    }

    /// A private tab: whatever was known under its number is gone, and if it is shown, nothing else is.
    pub(super) fn show_private(&mut self, id: i64, window: i64, active: bool) {
        self.take(id);
        if active {
            self.show(id, window);
        }
    }

    /// Keeps the document within its bounds. The tab in front stays.
    pub(super) fn trim(&mut self) {
        let mut weight: usize = self.tabs.iter().map(Tab::weight).sum();
        let window = self.window;
        self.tabs.retain(|tab| {
            let in_front = tab.active && Some(tab.window) == window;
            let kept = weight <= MAX_TAB_BYTES || in_front;
            if !kept {
                weight -= tab.weight();
            }
            kept
        });
    }
}

// The state names pages; nothing of them may reach a log (rule 11).
impl fmt::Debug for TrackerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerState").field("tabs", &self.tabs.len()).finish_non_exhaustive()
    }
}
