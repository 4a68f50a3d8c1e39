//! A browser that tells the tracker what happens in it. Between two events the state is written out and read back, as
//! if the worker had been killed.

use crate::decisions::tracker::{
    AggregateDraft, Ending, FinishedVisit, IdSource, Rules, Step, TrackerState, end_all, step, uuid_v7,
};
use crate::words::event::{Happening, IdleState, TabEvent};
use crate::words::time::UnixMillis;

/// 2025-10-21T09:46:40Z, second 0 of every test.
pub const START_MS: i64 = 1_761_040_000_000;

pub const A: &str = "https://a.example/";
pub const B: &str = "https://www.b.example/path";
pub const C: &str = "https://c.example/";
pub const EXCLUDED: &str = "https://excluded.example/";

#[derive(Default)]
pub struct Numbered(u128);

impl IdSource for Numbered {
    fn uuid_v7(&mut self, at: UnixMillis) -> String {
        self.0 += 1;
        uuid_v7(at, self.0.to_be_bytes())
    }
}

#[derive(Default)]
pub struct Browser {
    pub state: TrackerState,
    pub ids: Numbered,
    pub now_ms: i64,
    pub visits: Vec<FinishedVisit>,
    pub aggregates: Vec<AggregateDraft>,
}

impl Browser {
    /// The moment of what follows, in seconds since the start.
    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.at_ms(seconds * 1000)
    }

    pub fn at_ms(&mut self, ms: i64) -> &mut Self {
        self.now_ms = ms;
        self
    }

    pub fn tell(&mut self, what: Happening) -> &mut Self {
        let stored = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&stored).unwrap();
        let event = TabEvent { at: UnixMillis(START_MS + self.now_ms), what };
        let rules = Rules { recordable: &|url| !url.starts_with(EXCLUDED) };
        let step = step(&mut self.state, &event, &mut self.ids, &rules);
        self.keep(step)
    }

    fn keep(&mut self, step: Step) -> &mut Self {
        self.visits.extend(step.visits);
        self.aggregates.extend(step.aggregates);
        self
    }

    pub fn end_all(&mut self, ending: Ending) -> &mut Self {
        let step = end_all(&mut self.state, UnixMillis(START_MS + self.now_ms), &mut self.ids, ending);
        self.keep(step)
    }

    pub fn open(&mut self, tab_id: i64, opener_tab_id: Option<i64>, active: bool) -> &mut Self {
        self.tell(Happening::Opened { tab_id, window_id: 1, opener_tab_id, active, incognito: false })
    }

    /// Shows a page in the active tab of window 1.
    pub fn navigate(&mut self, tab_id: i64, url: &str) -> &mut Self {
        self.load(tab_id, url, true)
    }

    pub fn load(&mut self, tab_id: i64, url: &str, active: bool) -> &mut Self {
        let url = url.to_owned();
        self.tell(Happening::Navigated { tab_id, window_id: 1, url, title: None, active, incognito: false })
    }

    pub fn title(&mut self, tab_id: i64, title: &str) -> &mut Self {
        self.tell(Happening::Titled { tab_id, title: title.to_owned() })
    }

    pub fn activate(&mut self, tab_id: i64) -> &mut Self {
        self.activate_in(1, tab_id, None)
    }

    pub fn activate_in(&mut self, window_id: i64, tab_id: i64, url: Option<&str>) -> &mut Self {
        let url = url.map(str::to_owned);
        self.tell(Happening::Activated { tab_id, window_id, url, title: None, incognito: false })
    }

    pub fn close(&mut self, tab_id: i64) -> &mut Self {
        self.tell(Happening::Closed { tab_id })
    }

    pub fn focus(&mut self, window_id: Option<i64>) -> &mut Self {
        self.tell(Happening::WindowFocused { window_id })
    }

    pub fn user(&mut self, state: IdleState) -> &mut Self {
        self.tell(Happening::Idle { state })
    }

    pub fn audible(&mut self, tab_id: i64, audible: bool) -> &mut Self {
        self.tell(Happening::Audible { tab_id, audible })
    }

    pub fn scroll(&mut self, tab_id: i64, depth_percent: f64) -> &mut Self {
        self.tell(Happening::Scrolled { tab_id, url: None, depth_percent })
    }

    pub fn scroll_page(&mut self, tab_id: i64, url: &str, depth_percent: f64) -> &mut Self {
        self.tell(Happening::Scrolled { tab_id, url: Some(url.to_owned()), depth_percent })
    }

    pub fn start(&mut self) -> &mut Self {
        self.tell(Happening::BrowserStarted)
    }

    /// Heartbeats every 30 s from now until `seconds`, the last of them then.
    pub fn live_until(&mut self, seconds: i64) -> &mut Self {
        while self.now_ms < seconds * 1000 {
            self.now_ms = (self.now_ms + 30_000).min(seconds * 1000);
            self.tell(Happening::Heartbeat);
        }
        self
    }

    /// Address, duration in seconds and active milliseconds of the finished visits.
    pub fn stays(&self) -> Vec<(&str, i64, i64)> {
        self.visits.iter().map(|v| (v.url.as_str(), v.duration_seconds, v.active_duration.0)).collect()
    }

    /// The only visit.
    pub fn visit(&self) -> &FinishedVisit {
        assert_eq!(self.visits.len(), 1, "one visit");
        &self.visits[0]
    }

    /// Seconds since the start, of a moment in a record.
    pub fn second(at: UnixMillis) -> f64 {
        (at.0 - START_MS) as f64 / 1000.0
    }
}
