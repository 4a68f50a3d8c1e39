//! One tab: what it shows, and what was visited in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::engagement::{AggregateDraft, OpenAggregate};
use super::triage;
use super::visit::{Stay, whole_seconds};
use crate::words::time::UnixMillis;

/// Most aggregates of one tab that are revised when it closes, the latest of them. Older ones keep `closed_at` null.
pub const MAX_OPEN_AGGREGATES: usize = 250;
/// Most domains of one tab whose durations are kept, the longest of them.
pub const MAX_DOMAINS: usize = 32;
/// Longest address that is kept. Well above what the record door lets through, so that what is cut here would be
/// cut there too.
const MAX_URL_BYTES: usize = 4096;
/// Longest title that is kept; the record door clamps at 500 characters.
const MAX_TITLE_BYTES: usize = 2048;

/// A page as a tab shows it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Page {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When the tab was seen to show it.
    pub since: UnixMillis,
}

/// The last visit of a tab that is over.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LastVisit {
    pub id: String,
    pub url: String,
}

/// What the tracker knows of a tab. Private tabs have none.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tab {
    pub id: i64,
    pub window: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub active: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub audible: bool,
    /// Opened in the background from a page, and not looked at since.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unread: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<UnixMillis>,
    /// The visit from which the tab was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opener: Option<String>,
    /// Only web pages that may be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastVisit>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub page_count: u32,
    /// Milliseconds of finished visits by domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<(String, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<OpenAggregate>,
}

impl Tab {
    pub fn new(id: i64, window: i64) -> Self {
        Self {
            id,
            window,
            active: false,
            audible: false,
            unread: false,
            opened_at: None,
            opener: None,
            page: None,
            last: None,
            page_count: 0,
            domains: Vec::new(),
            aggregates: Vec::new(),
        }
    }

    /// The tab stands in `window`; one that was moved is not its active tab until the browser says so.
    pub fn stand_in(&mut self, window: i64) {
        if self.window != window {
            self.window = window;
            self.active = false;
        }
    }

    /// The tab shows `page`. The same address again is the same page, however often it is reported.
    pub fn turn_to(&mut self, page: Option<Page>) {
        match (&mut self.page, page) {
            (Some(shown), Some(page)) if shown.url == page.url => {
                shown.title = page.title.or_else(|| shown.title.take());
            }
            (shown, page) => *shown = page,
        }
    }

    /// The page in the tab has this title.
    pub fn entitle(&mut self, title: &str) {
        if let Some(page) = &mut self.page {
            page.title = kept_title(title);
        }
    }

    /// A stay on the page that the tab shows, which begins at `started`; `None` if it shows none.
    pub fn begin_stay(&mut self, id: String, started: UnixMillis) -> Option<Stay> {
        let page = self.page.as_ref()?;
        let url = page.url.clone();
        if self.last.as_ref().is_none_or(|last| last.url != url) {
            self.page_count = self.page_count.saturating_add(1);
        }
        self.unread = false;
        Some(Stay {
            id,
            tab: self.id,
            title: page.title.clone(),
            url,
            started,
            source: self.last.as_ref().map(|last| last.id.clone()).or_else(|| self.opener.clone()),
            total_ms: 0,
            active_ms: 0,
            scroll: None,
            idle: Vec::new(),
            pause: None,
        })
    }

    /// Takes a stay that is over into the tab's own account, and makes its aggregate.
    pub fn settle_stay(&mut self, stay: &Stay, id: String, closed_at: Option<UnixMillis>) -> AggregateDraft {
        self.last = Some(LastVisit { id: stay.id.clone(), url: stay.url.clone() });
        if let Some(domain) = triage::web_domain(&stay.url) {
            match self.domains.iter_mut().find(|(known, _)| *known == domain) {
                Some((_, ms)) => *ms = ms.saturating_add(stay.total_ms),
                None => self.domains.push((domain, stay.total_ms)),
            }
            if self.domains.len() > MAX_DOMAINS {
                let shortest = self.domains.iter().enumerate().min_by_key(|(_, (_, ms))| *ms).map(|(i, _)| i);
                shortest.map(|i| self.domains.remove(i));
            }
        }
        let total_s = whole_seconds(stay.total_ms);
        let open = OpenAggregate(id, stay.id.clone(), total_s, whole_seconds(stay.active_ms), stay.scroll);
        if closed_at.is_none() {
            if self.aggregates.len() >= MAX_OPEN_AGGREGATES {
                self.aggregates.remove(0);
            }
            self.aggregates.push(open.clone());
        }
        self.aggregate(open, closed_at, 1)
    }

    /// The last revisions of the aggregates that were made while the tab was open.
    pub fn close(mut self, at: UnixMillis) -> Vec<AggregateDraft> {
        let open = std::mem::take(&mut self.aggregates);
        open.into_iter().map(|open| self.aggregate(open, Some(at), 2)).collect()
    }

    fn aggregate(&self, open: OpenAggregate, closed_at: Option<UnixMillis>, revision: u32) -> AggregateDraft {
        let OpenAggregate(id, page_visit_id, total_time_seconds, active_time_seconds, scroll_depth_percent) =
            open;
        let mut domain_durations = BTreeMap::new();
        domain_durations.extend(self.domains.iter().map(|(domain, ms)| (domain.clone(), whole_seconds(*ms))));
        let current_url = self.last.as_ref().map(|last| last.url.clone());
        AggregateDraft {
            id,
            page_visit_id,
            total_time_seconds,
            active_time_seconds,
            scroll_depth_percent,
            closed_at,
            domain_durations,
            page_count: self.page_count,
            current_domain: current_url.as_deref().and_then(triage::web_domain),
            current_url,
            revision,
        }
    }

    /// The tab's pages and visits are forgotten; that it exists is not.
    pub fn forget_visits(&mut self) {
        *self = Self { opened_at: self.opened_at, ..Self::new(self.id, self.window) };
    }

    /// What the tab shows is forgotten, since it may change unseen; what was visited in it is not.
    pub fn forget_view(&mut self) {
        self.active = false;
        self.audible = false;
        self.unread = false;
        self.page = None;
    }

    /// At least as many bytes as the tab takes in the serialized state.
    pub fn weight(&self) -> usize {
        const BARE: usize = 125;
        const FLAG: usize = 15;
        const OPENER: usize = 50;
        const PAGE: usize = 60;
        const LAST: usize = 65;
        const LISTS: usize = 30;
        const DOMAIN: usize = 24;
        const AGGREGATE: usize = 108;
        let flags = [self.active, self.audible, self.unread].iter().filter(|flag| **flag).count();
        let page = self
            .page
            .as_ref()
            .map_or(0, |page| PAGE + json_len(&page.url) + page.title.as_deref().map_or(0, json_len));
        let domains: usize = self.domains.iter().map(|(domain, _)| DOMAIN + json_len(domain)).sum();
        BARE + LISTS
            + flags * FLAG
            + self.opener.as_ref().map_or(0, |_| OPENER)
            + page
            + self.last.as_ref().map_or(0, |last| LAST + json_len(&last.url))
            + domains
            + self.aggregates.len() * AGGREGATE
    }
}

/// An address as it is kept.
pub(super) fn kept_url(url: &str) -> String {
    clip(url, MAX_URL_BYTES)
}

/// A title as it is kept: none if it is empty, so that the server names the page by its host.
pub(super) fn kept_title(title: &str) -> Option<String> {
    Some(clip(title, MAX_TITLE_BYTES)).filter(|title| !title.is_empty())
}

/// At most `max_bytes` of `text`, without control characters (no server keeps them, and each would take six bytes).
fn clip(text: &str, max_bytes: usize) -> String {
    let clipped = text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text);
    clipped.chars().filter(|c| !c.is_control()).collect()
}

/// How long a text without control characters is within JSON.
fn json_len(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
