//! From what happens in the browser to finished visits: pure, without a clock, one event at a time.
//!
//! **Stays.** Only the page in front, that is in the active tab of the window in front, has a stay; there is at most
//! one at a time. It begins when the page comes to the front (navigation, activation, change of window) and ends when
//! another address or another tab takes its place, when its tab closes, or by desertion. The same address reported
//! again, a reload or a second activation doesn't split it; coming back to a tab is a new visit of the same page.
//! A visit is final: it is handed out in the step that ends it, and never again.
//!
//! **Unread pages.** A page loaded in the background has no stay until it is looked at. If its tab was opened from a
//! page and is closed without ever having been in front, it leaves one visit of no duration.
//!
//! **Time** is the sum of the real gaps between events. A gap longer than [`GAP_TOLERANCE`] means that the machine
//! slept or nothing ran, and counts [`HEARTBEAT`], the longest that life can have gone on unseen. What happened after
//! the last sign of life of a browser that was killed is not counted. A clock set back counts nothing.
//!
//! **Active time.** The user attends to the page in front while the browser has the focus and the user is not idle,
//! or is idle while that page makes sound (a film); never with the screen locked. Everything else is an idle period:
//! within the duration, outside the active time. The interval after which the browser calls the user idle is active.
//!
//! **Desertion.** An absence, or a sleep, of [`IDLE_END`] or more ends the stay as of its beginning; coming back
//! begins a new one.
//!
//! **Sources.** A visit comes from the one before it in the same tab; a tab's first visit from the one that was going
//! on in the tab that opened it. A source is always a visit that was handed out before.
//!
//! **Private tabs** leave no trace, here neither; going to one just ends the stay of the page that was in front.

mod engagement;
mod id;
mod iso;
mod state;
mod tab;
mod triage;
mod visit;

#[cfg(test)]
mod tests;

pub use engagement::AggregateDraft;
pub use id::{IdSource, uuid_v7};
pub use iso::iso8601;
pub use state::TrackerState;
pub use tab::{MAX_DOMAINS, MAX_OPEN_AGGREGATES};
pub use triage::web_domain;
pub use visit::{Away, FinishedVisit, IdlePeriod, MAX_IDLE_PERIODS, Resumed};

use crate::words::event::{Happening, TabEvent};
use crate::words::time::{Millis, UnixMillis};
use state::{Focus, Presence};
use tab::{Page, Tab};
use visit::Stay;

/// The longest time between two signs of life while a page is open: the shortest period of an alarm.
pub const HEARTBEAT: Millis = Millis::from_secs(30);
/// A longer gap is a sleep. Half a heartbeat more than one, for alarms that are late on a busy machine.
pub const GAP_TOLERANCE: Millis = Millis::from_secs(45);
/// An absence of this length ends the stay as of its beginning: the limit that web analytics set for a session.
pub const IDLE_END: Millis = Millis::from_secs(30 * 60);

/// What the tracker has to ask its surroundings.
pub struct Rules<'a> {
    /// Whether pages of this address may be recorded; asked when a tab is seen to show it and when a visit begins.
    pub recordable: &'a dyn Fn(&str) -> bool,
}

/// What one event led to: records to be queued, visits before aggregates, in one transaction with the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Visits that are over, in the order in which they may refer to each other.
    pub visits: Vec<FinishedVisit>,
    /// Their aggregates, and the last revisions of those of a tab that was closed.
    pub aggregates: Vec<AggregateDraft>,
}

/// Why recording stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The same account goes on later. What tabs show is forgotten; what was visited in them is kept, so that visits
    /// refer to it and aggregates are revised when tabs close.
    Pause,
    /// Another account, or no consent any more: visits, sources and durations are forgotten, and the aggregates that
    /// were handed out keep `closed_at` null, since a later revision would go to somebody else.
    Final,
}

/// Takes one event, and tells what it ended. Whatever comes, nothing is lost and nothing is told twice; events that
/// overtook each other by moments are taken as simultaneous.
pub fn step(state: &mut TrackerState, event: &TabEvent, ids: &mut dyn IdSource, rules: &Rules<'_>) -> Step {
    let mut turn = Turn { state, ids, rules, now: event.at, step: Step::default() };
    if matches!(event.what, Happening::BrowserStarted) {
        turn.start_browser();
    } else {
        turn.advance();
        turn.hear(&event.what);
        turn.settle();
    }
    let step = turn.step;
    state.trim();
    step
}

/// Recording stops at `at`: the open stay ends and is handed out, with its aggregate. Nothing is counted until an
/// event tells again what is in front, so send an activation of the current tab when recording goes on.
pub fn end_all(state: &mut TrackerState, at: UnixMillis, ids: &mut dyn IdSource, ending: Ending) -> Step {
    let rules = Rules { recordable: &|_| true };
    let mut turn = Turn { state, ids, rules: &rules, now: at, step: Step::default() };
    turn.advance();
    turn.finish(turn.now);
    let step = turn.step;
    let mut tabs = std::mem::take(&mut state.tabs);
    for tab in &mut tabs {
        tab.forget_view();
        if ending == Ending::Final {
            tab.forget_visits();
        }
    }
    *state = TrackerState::starting_anew(state.last_sign, tabs);
    step
}

/// Forgets everything, and hands out nothing: the open stay is gone too (the user erases everything).
pub fn forget_all(state: &mut TrackerState) {
    *state = TrackerState::default();
}

/// Forgets pages, and hands out nothing: an open stay on one, those that tabs show, and the durations of a host. `of_page`
/// is asked with addresses as the browser names them, `of_host` with domains (see [`web_domain`]).
pub fn forget_pages(
    state: &mut TrackerState,
    of_page: &dyn Fn(&str) -> bool,
    of_host: &dyn Fn(&str) -> bool,
) {
    let dropped = state.stay.take_if(|stay| of_page(&stay.url));
    for tab in &mut state.tabs {
        tab.page.take_if(|page| of_page(&page.url));
        tab.last.take_if(|last| of_page(&last.url));
        tab.opener.take_if(|opener| dropped.as_ref().is_some_and(|stay| stay.id == *opener));
        tab.domains.retain(|(domain, _)| !of_host(domain));
    }
}

/// One event being worked on.
struct Turn<'a> {
    state: &'a mut TrackerState,
    ids: &'a mut dyn IdSource,
    rules: &'a Rules<'a>,
    now: UnixMillis,
    step: Step,
}

impl Turn<'_> {
    /// Counts the time since the last sign of life for what was so until now, and ends a stay that was deserted.
    fn advance(&mut self) {
        let last = self.state.last_sign.unwrap_or(self.now);
        let gap = self.now.since(last).0;
        if (-GAP_TOLERANCE.0..0).contains(&gap) {
            self.now = last;
        }
        self.state.last_sign = Some(self.now);
        let gap = gap.max(0);
        let counted = if gap <= GAP_TOLERANCE.0 { gap } else { HEARTBEAT.0 };
        let attended = self.state.away().is_none();
        if !attended {
            self.state.absent_ms = self.state.absent_ms.saturating_add(gap);
        }
        let deserted = self.state.is_deserted();
        let Some(stay) = &mut self.state.stay else { return };
        stay.count(counted);
        if attended && gap - counted >= IDLE_END.0 {
            self.finish(last + Millis(counted));
        } else if deserted && let Some(since) = stay.cut_pause() {
            self.finish(since);
        }
    }

    /// Takes note of what happened.
    fn hear(&mut self, what: &Happening) {
        match what {
            Happening::Opened { tab_id, window_id, active, incognito: true, .. }
            | Happening::Navigated { tab_id, window_id, active, incognito: true, .. } => {
                self.state.show_private(*tab_id, *window_id, *active);
            }
            Happening::Activated { tab_id, window_id, incognito: true, .. } => {
                self.state.show_private(*tab_id, *window_id, true);
            }
            Happening::Opened { tab_id, window_id, opener_tab_id, active, .. } => {
                self.open_tab(*tab_id, *window_id, *opener_tab_id, *active);
            }
            Happening::Navigated { tab_id, window_id, url, title, active, .. } => {
                let page = self.page(url, title.as_deref());
                self.state.with(*tab_id, *window_id, |tab| tab.turn_to(page));
                if *active {
                    self.state.show(*tab_id, *window_id);
                }
            }
            Happening::Activated { tab_id, window_id, url, title, .. } => {
                let page = url.as_deref().map(|url| self.page(url, title.as_deref()));
                self.state.with(*tab_id, *window_id, |tab| match page {
                    Some(page) => tab.turn_to(page),
                    None => title.iter().for_each(|title| tab.entitle(title)),
                });
                self.state.show(*tab_id, *window_id);
            }
            Happening::Titled { tab_id, title } => self.state.with_known(*tab_id, |tab| tab.entitle(title)),
            Happening::Closed { tab_id } => self.close_tab(*tab_id, self.now),
            Happening::WindowFocused { window_id: Some(window) } if *window >= 0 => {
                self.state.focus = Focus::Here;
                self.state.window = Some(*window);
            }
            Happening::WindowFocused { .. } => self.state.focus = Focus::Elsewhere,
            Happening::Idle { state } => self.state.presence = Presence(*state),
            Happening::Audible { tab_id, audible } => {
                self.state.with_known(*tab_id, |tab| tab.audible = *audible);
            }
            Happening::Scrolled { tab_id, url, depth_percent } => {
                let url = url.as_deref().map(tab::kept_url);
                let is_it = |stay: &&mut Stay| stay.tab == *tab_id && url.is_none_or(|url| url == stay.url);
                if let Some(stay) = self.state.stay.as_mut().filter(is_it) {
                    stay.scrolled(*depth_percent);
                }
            }
            Happening::Heartbeat | Happening::BrowserStarted => {}
        }
    }

    /// Ends the stay whose page is no longer in front, begins that of the page which is, and sees who attends to it.
    fn settle(&mut self) {
        let away = self.state.away();
        if away.is_none() {
            self.state.absent_ms = 0;
        }
        let goes_on = self.state.stay.as_ref().zip(self.state.front_page());
        if goes_on.is_none_or(|(stay, (tab, page))| stay.tab != tab || stay.url != page.url) {
            self.finish(self.now);
            self.begin();
        }
        let resumed = self.state.resumed();
        let title = self.state.front_page().and_then(|(_, page)| page.title.clone());
        if let Some(stay) = &mut self.state.stay {
            stay.attend(self.now, away, resumed);
            stay.title = title;
        }
    }

    fn begin(&mut self) {
        if self.state.is_deserted() {
            return;
        }
        let Some((front, page)) = self.state.front_page() else { return };
        if !(self.rules.recordable)(&page.url) {
            return;
        }
        let id = self.ids.uuid_v7(self.now);
        let mut stay = None;
        self.state.with_known(front, |tab| stay = tab.begin_stay(id, self.now));
        self.state.stay = stay;
    }

    /// The open stay ended at `end`, and its tab goes on.
    fn finish(&mut self, end: UnixMillis) {
        let Some(stay) = self.state.stay.take() else { return };
        let mut tab = self.state.take(stay.tab).unwrap_or_else(|| Tab::new(stay.tab, 0));
        self.hand_out(&mut tab, stay, end, None);
        self.state.tabs.push(tab);
    }

    fn hand_out(&mut self, tab: &mut Tab, stay: Stay, end: UnixMillis, closed_at: Option<UnixMillis>) {
        let aggregate = tab.settle_stay(&stay, self.ids.uuid_v7(self.now), closed_at);
        self.step.visits.push(stay.finish(end, tab.opened_at));
        self.step.aggregates.push(aggregate);
    }

    fn open_tab(&mut self, id: i64, window: i64, opener_tab: Option<i64>, active: bool) {
        let known = self.state.tabs.iter().find(|tab| tab.id == id);
        if known.is_some_and(|tab| tab.opened_at.is_some_and(|opened| opened != self.now)) {
            // The number is used again, and the end of the tab before was missed.
            self.close_tab(id, self.now);
        }
        let stay = self.state.stay.as_ref();
        let opener = opener_tab.filter(|opener| *opener != id).and_then(|opener| {
            let going_on = stay.filter(|stay| stay.tab == opener).map(|stay| stay.id.clone());
            let tab = self.state.tabs.iter().find(|tab| tab.id == opener);
            going_on.or_else(|| tab?.last.as_ref().map(|last| last.id.clone()))
        });
        self.state.with(id, window, |tab| {
            tab.opened_at = Some(self.now);
            tab.opener = opener;
            tab.unread = opener_tab.is_some() && !active && tab.page_count == 0;
        });
        if active {
            self.state.show(id, window);
        }
    }

    fn close_tab(&mut self, id: i64, at: UnixMillis) {
        let stay = self.state.stay.take_if(|stay| stay.tab == id);
        let Some(mut tab) = self.state.take(id) else { return };
        if let Some(stay) = stay {
            self.hand_out(&mut tab, stay, at, Some(at));
        } else if tab.unread {
            self.hand_out_unread(&mut tab, at);
        }
        self.step.aggregates.extend(tab.close(at));
    }

    fn hand_out_unread(&mut self, tab: &mut Tab, closed_at: UnixMillis) {
        let Some(page) = &tab.page else { return };
        let since = page.since;
        if !(self.rules.recordable)(&page.url) {
            return;
        }
        // The visit that it came from may be going on still, and nothing goes before what it refers to (rule 6).
        tab.opener.take_if(|opener| self.state.stay.as_ref().is_some_and(|stay| stay.id == *opener));
        if let Some(stay) = tab.begin_stay(self.ids.uuid_v7(self.now), since) {
            self.hand_out(tab, stay, since, Some(closed_at));
        }
    }

    /// The tabs of before are gone since the last sign of life, and the stay with them; their numbers mean nothing now.
    fn start_browser(&mut self) {
        let started = self.now;
        let end = self.state.last_sign.unwrap_or(started);
        self.now = end;
        if let Some(stay) = &self.state.stay {
            self.close_tab(stay.tab, end);
        }
        while let Some(tab) = self.state.tabs.first() {
            self.close_tab(tab.id, end);
        }
        *self.state = TrackerState::starting_anew(Some(started), Vec::new());
    }

    /// The page that an address stands for, if it is one of the web and may be recorded.
    fn page(&self, url: &str, title: Option<&str>) -> Option<Page> {
        let url = tab::kept_url(url);
        web_domain(&url)?;
        (self.rules.recordable)(&url).then(|| Page {
            url,
            title: title.and_then(tab::kept_title),
            since: self.now,
        })
    }
}
