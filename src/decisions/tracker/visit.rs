//! One stay on one page: while it lasts, and as the record that it leaves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{iso, triage};
use crate::words::time::{Millis, UnixMillis};

/// Most idle periods that one visit lists; those beyond are still not counted as active.
pub const MAX_IDLE_PERIODS: usize = 50;

/// Why nobody attends to the page in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Away {
    /// No input for the browser's detection interval, and the page makes no sound.
    Idle,
    /// The screen is locked.
    Locked,
    /// Another program has the focus.
    Unfocused,
}

/// What ended an idle period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    /// The user came back.
    Active,
    /// The page began to make sound while the user was idle.
    Audible,
    /// Nobody came back before the visit ended.
    VisitEnded,
}

/// A stretch of a visit in which nobody attended to it; part of its duration, not of its active time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdlePeriod {
    /// When it began, in milliseconds since the epoch.
    pub start: UnixMillis,
    /// When it ended, in milliseconds since the epoch; never before `start`.
    pub end: UnixMillis,
    /// How long it lasted in milliseconds, without the time that the machine slept.
    pub duration_ms: Millis,
    /// Why it began.
    pub reason: Away,
    /// What ended it.
    pub resume_reason: Resumed,
}

/// A page visit that is over. It is made once, at revision 1, and never again. Serializes to the names of the wire.
#[derive(Clone, PartialEq, Serialize)]
pub struct FinishedVisit {
    /// UUID v7.
    pub id: String,
    /// The address as the browser reported it.
    pub url: String,
    /// The last title that the browser told during the visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When the page came to the front.
    #[serde(serialize_with = "iso::serialize")]
    pub visited_at: UnixMillis,
    /// When the tab was opened, if that was seen.
    #[serde(serialize_with = "iso::serialize_option")]
    pub opened_at: Option<UnixMillis>,
    /// The tab's visit before this one; for a tab's first visit the one that it was opened from.
    pub source_page_visit_id: Option<String>,
    /// The browser's number of the tab.
    #[serde(rename = "tabId")]
    pub tab_id: i64,
    /// The host in lower case, without one leading `www.`.
    pub domain: String,
    /// How long the page was in front, in whole seconds (rounded), without the time that the machine slept.
    #[serde(rename = "durationSeconds")]
    pub duration_seconds: i64,
    /// How long of that the user attended to it, in milliseconds.
    #[serde(rename = "activeDuration")]
    pub active_duration: Millis,
    /// The share of the active time in the duration, 0 to 1, rounded to four decimals.
    #[serde(rename = "engagementRate")]
    pub engagement_rate: f64,
    /// When the user was away.
    #[serde(rename = "idlePeriods")]
    pub idle_periods: Vec<IdlePeriod>,
    /// The end of the visit, in milliseconds since the epoch; never before `visited_at`.
    #[serde(rename = "lastHeartbeat")]
    pub last_heartbeat: UnixMillis,
    /// Always 1.
    pub revision: u32,
}

/// A stay that is going on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stay {
    pub id: String,
    pub tab: i64,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub started: UnixMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub total_ms: i64,
    pub active_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scroll: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<IdlePeriod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// An idle period that is going on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pause {
    pub since: UnixMillis,
    pub counted_ms: i64,
    pub reason: Away,
}

impl Stay {
    /// Adds time since the last sign of life.
    pub fn count(&mut self, ms: i64) {
        self.total_ms += ms;
        match &mut self.pause {
            Some(pause) => pause.counted_ms += ms,
            None => self.active_ms += ms,
        }
    }

    /// Begins or ends an idle period as `away` tells.
    pub fn attend(&mut self, now: UnixMillis, away: Option<Away>, resumed: Resumed) {
        match (away, &self.pause) {
            (Some(reason), None) => self.pause = Some(Pause { since: now, counted_ms: 0, reason }),
            (None, Some(_)) => self.resume(now, resumed),
            _ => {}
        }
    }

    /// Takes back the idle period that is going on, as if the stay had ended with its start; returns that moment.
    pub fn cut_pause(&mut self) -> Option<UnixMillis> {
        let pause = self.pause.take()?;
        self.total_ms -= pause.counted_ms;
        Some(pause.since)
    }

    /// Keeps the deepest of the reported points.
    pub fn scrolled(&mut self, depth_percent: f64) {
        if depth_percent.is_finite() {
            let depth = (depth_percent.clamp(0.0, 100.0) * 100.0).round() / 100.0;
            self.scroll = Some(self.scroll.map_or(depth, |deepest| deepest.max(depth)));
        }
    }

    /// The record of this stay, which ended at `end`.
    pub fn finish(mut self, end: UnixMillis, opened_at: Option<UnixMillis>) -> FinishedVisit {
        self.resume(end, Resumed::VisitEnded);
        FinishedVisit {
            domain: triage::web_domain(&self.url).unwrap_or_default(),
            duration_seconds: whole_seconds(self.total_ms),
            active_duration: Millis(self.active_ms),
            engagement_rate: share(self.active_ms, self.total_ms),
            last_heartbeat: end.max(self.started),
            id: self.id,
            url: self.url,
            title: self.title,
            visited_at: self.started,
            opened_at,
            source_page_visit_id: self.source,
            tab_id: self.tab,
            idle_periods: self.idle,
            revision: 1,
        }
    }

    fn resume(&mut self, now: UnixMillis, resume_reason: Resumed) {
        let Some(pause) = self.pause.take() else { return };
        if pause.counted_ms > 0 && self.idle.len() < MAX_IDLE_PERIODS {
            self.idle.push(IdlePeriod {
                start: pause.since,
                end: now.max(pause.since),
                duration_ms: Millis(pause.counted_ms),
                reason: pause.reason,
                resume_reason,
            });
        }
    }
}

/// Milliseconds in whole seconds, half a second counting as one.
pub(super) const fn whole_seconds(ms: i64) -> i64 {
    (ms + 500) / 1000
}

/// `part / whole`, rounded to four decimals; 0 of nothing.
fn share(part: i64, whole: i64) -> f64 {
    const STEPS: f64 = 10_000.0;
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * STEPS).round() / STEPS }
}

// A visit names a page; nothing of it may reach a log (rule 11).
impl fmt::Debug for FinishedVisit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishedVisit").field("id", &self.id).finish_non_exhaustive()
    }
}
