//! What the browser tells the tracker.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::time::UnixMillis;

/// One thing that happened in the browser, as the extension's listeners report it (`core.handleEvent`).
#[derive(Clone, PartialEq)]
pub struct TabEvent {
    /// When it happened.
    pub at: UnixMillis,
    /// What happened.
    pub what: Happening,
}

/// The kinds of event. `tabId` and `windowId` are the browser's own numbers, reused after a restart.
#[derive(Clone, PartialEq)]
pub enum Happening {
    /// A tab was opened, with or without an address yet.
    Opened {
        /// The new tab.
        tab_id: i64,
        /// The window that it stands in.
        window_id: i64,
        /// The tab whose page opened it.
        opener_tab_id: Option<i64>,
        /// Whether it is the active tab of its window.
        active: bool,
        /// Whether its window is private; nothing of it is ever recorded.
        incognito: bool,
    },
    /// A tab shows another address (a load or a navigation within a single-page application).
    Navigated {
        /// The tab.
        tab_id: i64,
        /// Its window.
        window_id: i64,
        /// The new address.
        url: String,
        /// The page's title, if known already.
        title: Option<String>,
        /// Whether it is the active tab of its window.
        active: bool,
        /// Whether its window is private.
        incognito: bool,
    },
    /// The title of the page in a tab became known or changed.
    Titled {
        /// The tab.
        tab_id: i64,
        /// The new title.
        title: String,
    },
    /// A tab became the active one of its window. `url` and `title` as far as the browser tells them.
    Activated {
        /// The tab.
        tab_id: i64,
        /// Its window.
        window_id: i64,
        /// Its address.
        url: Option<String>,
        /// Its title.
        title: Option<String>,
        /// Whether its window is private.
        incognito: bool,
    },
    /// A tab was closed.
    Closed {
        /// The tab.
        tab_id: i64,
    },
    /// Another window has the focus.
    WindowFocused {
        /// The window with the focus; null, or the browsers' own -1, when none of theirs has it.
        window_id: Option<i64>,
    },
    /// The user became active or idle, or the screen was locked (`idle.onStateChanged`).
    Idle {
        /// The new state.
        state: IdleState,
    },
    /// A tab began or stopped to make sound.
    Audible {
        /// The tab.
        tab_id: i64,
        /// Whether it makes sound now.
        audible: bool,
    },
    /// How far down the page in a tab was scrolled, 0 to 100.
    Scrolled {
        /// The tab.
        tab_id: i64,
        /// The page that was scrolled, if known: such a word may come after the tab has moved on.
        url: Option<String>,
        /// The deepest point so far, in percent of the page.
        depth_percent: f64,
    },
    /// A sign of life while a page is open, at most 30 s after the last.
    Heartbeat,
    /// The browser was started anew: tabs known from before are gone, their numbers mean nothing now. To be reported
    /// before anything else of the new run.
    BrowserStarted,
}

/// The user's presence, as `chrome.idle` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdleState {
    /// Input within the detection interval.
    Active,
    /// No input for the detection interval.
    Idle,
    /// The screen is locked.
    Locked,
}

// The event as one flat object: a quarter of the code that serde makes of a tagged enum.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    at: UnixMillis,
    r#type: String,
    tab_id: Option<i64>,
    window_id: Option<i64>,
    opener_tab_id: Option<i64>,
    url: Option<String>,
    title: Option<String>,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    incognito: bool,
    state: Option<IdleState>,
    #[serde(default)]
    audible: bool,
    depth_percent: Option<f64>,
}

impl<'de> Deserialize<'de> for TabEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let missing = |field| move || D::Error::missing_field(field);
        let tab_id = wire.tab_id.ok_or_else(missing("tabId"));
        let window_id = wire.window_id.unwrap_or_default();
        let Wire { at, title, active, incognito, audible, .. } = wire;
        let what = match wire.r#type.as_str() {
            "opened" => Happening::Opened {
                tab_id: tab_id?,
                window_id,
                opener_tab_id: wire.opener_tab_id,
                active,
                incognito,
            },
            "navigated" => {
                let url = wire.url.ok_or_else(missing("url"))?;
                Happening::Navigated { tab_id: tab_id?, window_id, url, title, active, incognito }
            }
            "titled" => Happening::Titled { tab_id: tab_id?, title: title.ok_or_else(missing("title"))? },
            "activated" => {
                Happening::Activated { tab_id: tab_id?, window_id, url: wire.url, title, incognito }
            }
            "closed" => Happening::Closed { tab_id: tab_id? },
            "windowFocused" => Happening::WindowFocused { window_id: wire.window_id },
            "idle" => Happening::Idle { state: wire.state.ok_or_else(missing("state"))? },
            "audible" => Happening::Audible { tab_id: tab_id?, audible },
            "scrolled" => {
                let depth_percent = wire.depth_percent.ok_or_else(missing("depthPercent"))?;
                Happening::Scrolled { tab_id: tab_id?, url: wire.url, depth_percent }
            }
            "heartbeat" => Happening::Heartbeat,
            "browserStarted" => Happening::BrowserStarted,
            _ => return Err(D::Error::custom("no such type of event")),
        };
        Ok(Self { at, what })
    }
}

// An event names pages; nothing of it may reach a log (rule 11).
impl std::fmt::Debug for TabEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TabEvent").field("at", &self.at).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Happening(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_event_is_read_as_the_extension_writes_it() {
        let event: TabEvent = serde_json::from_str(
            r#"{"at":1761040000123,"type":"navigated","tabId":7,"windowId":2,"url":"https://a.example/","active":true}"#,
        )
        .unwrap();
        let what = Happening::Navigated {
            tab_id: 7,
            window_id: 2,
            url: "https://a.example/".to_owned(),
            title: None,
            active: true,
            incognito: false,
        };
        assert!(event == TabEvent { at: UnixMillis(1_761_040_000_123), what });
        for json in [
            r#"{"at":1,"type":"windowFocused","windowId":null}"#,
            r#"{"at":1,"type":"idle","state":"locked"}"#,
            r#"{"at":1,"type":"scrolled","tabId":1,"depthPercent":40}"#,
            r#"{"at":1,"type":"heartbeat"}"#,
            r#"{"at":1,"type":"browserStarted"}"#,
        ] {
            assert!(serde_json::from_str::<TabEvent>(json).is_ok(), "{json}");
        }
        assert!(serde_json::from_str::<TabEvent>(r#"{"at":1,"type":"renamed","tabId":1}"#).is_err());
    }

    #[test]
    fn debug_output_names_no_page() {
        let what = Happening::Titled { tab_id: 1, title: "A page".to_owned() };
        let event = TabEvent { at: UnixMillis(1), what };
        assert!(!format!("{event:?} {:?}", event.what).contains("page"));
    }
}
