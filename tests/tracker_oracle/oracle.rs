//! The oracle: a plain replay, second by second, of the rules as the tracker's documentation states them.

use std::collections::{BTreeMap, HashMap};

use heyho_sync::words::event::{Happening, IdleState};

use crate::scripts::EXCLUDED;

/// A visit, named by its tab and the second in which it began, in whole seconds since the script's start.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Visit {
    pub tab: i64,
    pub start: i64,
    pub url: String,
    pub end: i64,
    pub total: i64,
    pub active: i64,
    pub idle: Vec<(i64, i64, i64)>,
    pub opened: Option<i64>,
    pub source: Option<(i64, i64)>,
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Aggregate {
    pub tab: i64,
    pub start: i64,
    pub revision: u32,
    pub total: i64,
    pub active: i64,
    pub scroll: Option<f64>,
    pub closed: Option<i64>,
    pub pages: u32,
    pub domains: BTreeMap<String, i64>,
    pub url: String,
}

#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub visits: Vec<Visit>,
    pub aggregates: Vec<Aggregate>,
}

impl Outcome {
    pub fn sorted(mut self) -> Self {
        self.visits.sort_by(|a, b| a.partial_cmp(b).unwrap());
        self.aggregates.sort_by(|a, b| a.partial_cmp(b).unwrap());
        self
    }
}
#[derive(Default)]
struct OracleTab {
    window: i64,
    url: Option<String>,
    url_since: i64,
    audible: bool,
    opened: Option<i64>,
    opener: Option<(i64, i64)>,
    opened_behind: bool,
    /// Everything that was visited in it, in order.
    visits: Vec<OracleVisit>,
}

#[derive(Clone)]
struct OracleVisit {
    start: i64,
    url: String,
    source: Option<(i64, i64)>,
    scroll: Option<f64>,
    end: Option<i64>,
    /// The seconds that count, and whether the user attended in each of them.
    seconds: Vec<(i64, bool)>,
}

impl OracleVisit {
    fn end_at(&mut self, end: i64) {
        self.end = Some(end);
        self.seconds.retain(|(second, _)| *second < end);
    }

    fn total(&self) -> i64 {
        self.seconds.len() as i64
    }

    fn active(&self) -> i64 {
        self.seconds.iter().filter(|(_, attended)| *attended).count() as i64
    }

    /// Start, end and counted seconds of each run of seconds in which nobody attended.
    fn idle(&self) -> Vec<(i64, i64, i64)> {
        let mut runs: Vec<(i64, i64, i64)> = Vec::new();
        let mut in_run = false;
        for &(second, attended) in &self.seconds {
            if attended && in_run {
                runs.last_mut().unwrap().1 = second;
            } else if !attended && !in_run {
                runs.push((second, self.end.unwrap(), 1));
            } else if !attended {
                runs.last_mut().unwrap().2 += 1;
            }
            in_run = !attended;
        }
        runs
    }
}

#[derive(Default)]
pub struct Oracle {
    tabs: BTreeMap<i64, OracleTab>,
    active_tab_of: HashMap<i64, i64>,
    window_in_front: Option<i64>,
    /// None: not told yet.
    focused: Option<bool>,
    idle: bool,
    locked: bool,
    /// The tab with an open visit, which is the last in its list.
    visiting: Option<i64>,
    /// Since when nobody attends.
    nobody_since: Option<i64>,
    outcome: Outcome,
}

impl Oracle {
    /// What the script comes to.
    pub fn replay(script: &[(i64, Happening)]) -> Outcome {
        let mut oracle = Self::default();
        for (number, (at, what)) in script.iter().enumerate() {
            if matches!(what, Happening::BrowserStarted) {
                let last_sign = if number == 0 { *at } else { script[number - 1].0 };
                oracle.browser_gone(last_sign);
            } else {
                oracle.happen(*at, what);
                oracle.look(*at);
            }
            let Some((next, next_what)) = script.get(number + 1) else { break };
            if matches!(next_what, Happening::BrowserStarted) {
                continue;
            }
            let awake = if next - at > 45 { 30 } else { next - at };
            for second in *at..*next {
                oracle.live_through(second, second - at < awake, second - at - awake);
            }
        }
        oracle.outcome.sorted()
    }

    fn attended(&self) -> bool {
        let sound = self.front().is_some_and(|tab| self.tabs[&tab].audible);
        !self.locked && self.focused != Some(false) && (!self.idle || sound)
    }

    fn front(&self) -> Option<i64> {
        let tab = *self.active_tab_of.get(&self.window_in_front?)?;
        self.tabs.contains_key(&tab).then_some(tab)
    }

    fn live_through(&mut self, second: i64, awake: bool, asleep_for: i64) {
        let attended = self.attended();
        if let Some(tab) = self.visiting {
            let visit = self.tabs.get_mut(&tab).unwrap().visits.last_mut().unwrap();
            if awake {
                visit.seconds.push((second, attended));
            }
            let began = visit.start;
            match self.nobody_since {
                Some(since) if second + 1 - since >= 1800 => self.end_visit(since.max(began), None),
                None if !awake && asleep_for + 1 >= 1800 => self.end_visit(second - asleep_for, None),
                _ => {}
            }
        }
    }

    fn end_visit(&mut self, end: i64, closed: Option<i64>) {
        let Some(id) = self.visiting.take() else { return };
        self.tabs.get_mut(&id).unwrap().visits.last_mut().unwrap().end_at(end);
        self.write_down(id, closed);
    }

    /// The last visit of the tab is over.
    fn write_down(&mut self, id: i64, closed: Option<i64>) {
        let tab = &self.tabs[&id];
        let visit = tab.visits.last().unwrap().clone();
        self.outcome.visits.push(Visit {
            tab: id,
            start: visit.start,
            url: visit.url.clone(),
            end: visit.end.unwrap(),
            total: visit.total(),
            active: visit.active(),
            idle: visit.idle(),
            opened: tab.opened,
            source: visit.source,
        });
        let aggregate = Self::aggregate(id, tab, &visit, 1, closed);
        self.outcome.aggregates.push(aggregate);
    }

    fn aggregate(
        id: i64,
        tab: &OracleTab,
        visit: &OracleVisit,
        revision: u32,
        closed: Option<i64>,
    ) -> Aggregate {
        let mut domains = BTreeMap::new();
        let mut pages = 0;
        let mut page = "";
        for visit in &tab.visits {
            let domain = visit.url.split('/').nth(2).unwrap().to_owned();
            *domains.entry(domain).or_insert(0) += visit.total();
            pages += u32::from(visit.url != page);
            page = &visit.url;
        }
        let url = page.to_owned();
        let (total, active, scroll) = (visit.total(), visit.active(), visit.scroll);
        Aggregate {
            tab: id,
            start: visit.start,
            revision,
            total,
            active,
            scroll,
            closed,
            pages,
            domains,
            url,
        }
    }

    fn close(&mut self, id: i64, at: i64) {
        let mut revised = usize::MAX;
        if self.visiting == Some(id) {
            self.end_visit(at, Some(at));
            revised = self.tabs[&id].visits.len() - 1;
        }
        let visiting = self.visiting.and_then(|tab| Some((tab, self.tabs[&tab].visits.last()?.start)));
        if let Some(tab) = self.tabs.get_mut(&id)
            && let Some(url) = tab.url.clone()
            && tab.opened_behind
            && tab.visits.is_empty()
        {
            let source = tab.opener.filter(|opener| Some(*opener) != visiting);
            let start = tab.url_since;
            let end = Some(start);
            tab.visits.push(OracleVisit { start, url, source, scroll: None, end, seconds: Vec::new() });
            self.write_down(id, Some(at));
            revised = 0;
        }
        if let Some(tab) = self.tabs.remove(&id) {
            for visit in tab.visits.iter().take(revised) {
                self.outcome.aggregates.push(Self::aggregate(id, &tab, visit, 2, Some(at)));
            }
        }
        self.active_tab_of.retain(|_, tab| *tab != id);
    }

    fn browser_gone(&mut self, last_sign: i64) {
        if let Some(tab) = self.visiting {
            self.close(tab, last_sign);
        }
        for tab in self.tabs.keys().copied().collect::<Vec<_>>() {
            self.close(tab, last_sign);
        }
        *self = Self { outcome: std::mem::take(&mut self.outcome), ..Self::default() };
    }

    fn stand(&mut self, id: i64, window: i64) -> &mut OracleTab {
        let tab = self.tabs.entry(id).or_insert_with(|| OracleTab { window, ..OracleTab::default() });
        if tab.window != window {
            tab.window = window;
            self.active_tab_of.retain(|_, active| *active != id);
        }
        tab
    }

    fn come_to_front_of(&mut self, id: i64, window: i64) {
        self.active_tab_of.insert(window, id);
        if self.focused != Some(true) {
            self.window_in_front = Some(window);
        }
    }

    fn show_url(&mut self, id: i64, url: &str, at: i64) {
        let web = url.starts_with("https://") && !url.starts_with(EXCLUDED);
        let tab = self.tabs.get_mut(&id).unwrap();
        if tab.url.as_deref() != Some(url) {
            tab.url = web.then(|| url.to_owned());
            tab.url_since = at;
        }
    }

    fn happen(&mut self, at: i64, what: &Happening) {
        match what {
            Happening::Opened { tab_id, window_id, active, incognito: true, .. }
            | Happening::Navigated { tab_id, window_id, active, incognito: true, .. } => {
                if *active {
                    self.come_to_front_of(*tab_id, *window_id);
                }
            }
            Happening::Activated { tab_id, window_id, incognito: true, .. } => {
                self.come_to_front_of(*tab_id, *window_id);
            }
            Happening::Opened { tab_id, window_id, opener_tab_id, active, .. } => {
                let opener = opener_tab_id.and_then(|id| self.tabs.get(&id).map(|tab| (id, tab)));
                let opener = opener.and_then(|(id, tab)| Some((id, tab.visits.last()?.start)));
                let tab = self.stand(*tab_id, *window_id);
                tab.opened = Some(at);
                tab.opener = opener;
                tab.opened_behind = opener_tab_id.is_some() && !active;
                if *active {
                    self.come_to_front_of(*tab_id, *window_id);
                }
            }
            Happening::Navigated { tab_id, window_id, url, active, .. } => {
                self.stand(*tab_id, *window_id);
                self.show_url(*tab_id, url, at);
                if *active {
                    self.come_to_front_of(*tab_id, *window_id);
                }
            }
            Happening::Activated { tab_id, window_id, url, .. } => {
                self.stand(*tab_id, *window_id);
                if let Some(url) = url {
                    self.show_url(*tab_id, url, at);
                }
                self.come_to_front_of(*tab_id, *window_id);
            }
            Happening::Closed { tab_id } => self.close(*tab_id, at),
            Happening::WindowFocused { window_id: Some(window) } => {
                self.focused = Some(true);
                self.window_in_front = Some(*window);
            }
            Happening::WindowFocused { window_id: None } => self.focused = Some(false),
            Happening::Idle { state } => {
                self.idle = *state == IdleState::Idle;
                self.locked = *state == IdleState::Locked;
            }
            Happening::Audible { tab_id, audible } => {
                if let Some(tab) = self.tabs.get_mut(tab_id) {
                    tab.audible = *audible;
                }
            }
            Happening::Scrolled { tab_id, depth_percent, .. } => {
                if self.visiting == Some(*tab_id) {
                    let visit = self.tabs.get_mut(tab_id).unwrap().visits.last_mut().unwrap();
                    visit.scroll = Some(visit.scroll.unwrap_or(0.0).max(*depth_percent));
                }
            }
            Happening::Titled { .. } | Happening::Heartbeat | Happening::BrowserStarted => {}
        }
    }

    /// After an event: which page is in front now?
    fn look(&mut self, at: i64) {
        let gone_for_long = self.nobody_since.is_some_and(|since| at - since >= 1800);
        if self.attended() {
            self.nobody_since = None;
        } else {
            self.nobody_since.get_or_insert(at);
        }
        let page = self.front().and_then(|id| Some((id, self.tabs[&id].url.clone()?)));
        let visited = self.visiting.map(|id| (id, self.tabs[&id].visits.last().unwrap().url.clone()));
        if page == visited {
            return;
        }
        self.end_visit(at, None);
        let Some((id, url)) = page.filter(|_| self.nobody_since.is_none() || !gone_for_long) else { return };
        let tab = self.tabs.get_mut(&id).unwrap();
        let source = tab.visits.last().map(|visit| (id, visit.start)).or(tab.opener);
        tab.visits.push(OracleVisit { start: at, url, source, scroll: None, end: None, seconds: Vec::new() });
        self.visiting = Some(id);
    }
}
