use super::browser::{A, B, Browser};
use crate::decisions::tracker::tab::Tab;
use crate::decisions::tracker::{MAX_IDLE_PERIODS, MAX_OPEN_AGGREGATES, TrackerState};
use crate::words::event::IdleState;

const MAX_STATE_BYTES: usize = 100 * 1024;

fn stored(state: &TrackerState) -> String {
    serde_json::to_string(state).unwrap()
}

/// Bytes of a tab in the serialized state, with the comma after it.
fn stored_tab(tab: &Tab) -> usize {
    serde_json::to_string(tab).unwrap().len() + 1
}

#[test]
fn sixty_tabs_in_ordinary_use_take_far_less_than_the_bound() {
    let mut browser = Browser::default();
    for tab in 0..60 {
        browser.open(tab, None, true);
        for page in 0..3 {
            browser.at(browser.now_ms / 1000 + 20);
            browser.navigate(tab, &format!("https://site-{tab}.example/articles/{page}?from=overview"));
            browser.title(tab, "An article of usual length, with its site");
        }
    }
    let bytes = stored(&browser.state).len();
    assert!(bytes < 40 * 1024, "{bytes} bytes");
}

#[test]
fn the_state_is_bounded_whatever_the_browser_reports() {
    let mut browser = Browser::default();
    let long = "\"\\\u{1}é".repeat(2_000);
    for tab in 0..60_i64 {
        browser.at(tab * 10).open(i64::MAX - tab, Some(1), true);
        browser
            .navigate(i64::MAX - tab, &format!("https://{tab}.example/?{long}"))
            .title(i64::MAX - tab, &long);
        let bytes = stored(&browser.state).len();
        assert!(bytes < MAX_STATE_BYTES, "{bytes} bytes after {tab} tabs");
    }
    for page in 0..300_i64 {
        browser.at_ms(4_000_000 + page * 1000);
        browser.navigate(7, &format!("https://{page}{}.example/{long}", "d".repeat(200))).title(7, &long);
        let bytes = stored(&browser.state).len();
        assert!(bytes < MAX_STATE_BYTES, "{bytes} bytes after {page} pages");
    }
}

#[test]
fn a_tab_never_takes_more_than_it_weighs() {
    let mut browser = Browser::default();
    let tab = i64::MIN;
    browser.open(7, None, true).navigate(7, A).at(1).open(tab, Some(7), true);
    for page in 0..5 {
        browser
            .navigate(tab, &format!("https://{page}.example/\"\\"))
            .title(tab, "a \"title\"")
            .at(100 + page);
        browser.audible(tab, true).scroll(tab, 33.33);
        for tab in &browser.state.tabs {
            assert!(stored_tab(tab) <= tab.weight(), "{} > {}", stored_tab(tab), tab.weight());
        }
    }
}

#[test]
fn only_the_latest_aggregates_of_a_tab_are_revised() {
    let mut browser = Browser::default();
    let pages = MAX_OPEN_AGGREGATES + 50;
    for page in 0..pages {
        browser.at_ms(page as i64 * 1000).navigate(1, &format!("{A}{page}"));
    }
    browser.navigate(2, B);
    let before = browser.aggregates.len();
    assert_eq!(before, pages, "each visit has its aggregate");
    browser.close(1);
    assert_eq!(browser.aggregates.len() - before, MAX_OPEN_AGGREGATES);
    assert_eq!(browser.aggregates[before].page_visit_id, browser.visits[50].id);
}

#[test]
fn idle_periods_beyond_the_bound_are_not_listed_and_still_not_active() {
    let mut browser = Browser::default();
    browser.navigate(1, A);
    for round in 0..100 {
        browser.at(round * 2 + 1).user(IdleState::Idle).at(round * 2 + 2).user(IdleState::Active);
    }
    browser.close(1);
    assert_eq!(browser.visit().idle_periods.len(), MAX_IDLE_PERIODS);
    assert_eq!(browser.stays(), [(A, 200, 100_000)]);
}

#[test]
fn a_state_of_another_version_is_refused() {
    let current = stored(&TrackerState::default());
    assert!(serde_json::from_str::<TrackerState>(&current).is_ok());
    let other = current.replace("\"version\":1", "\"version\":2");
    assert_ne!(current, other);
    assert!(serde_json::from_str::<TrackerState>(&other).is_err());
}

#[test]
fn debug_output_names_no_page() {
    let mut browser = Browser::default();
    browser.navigate(1, A).title(1, "A page").at(3).navigate(1, B);
    let (visit, aggregate) = (&browser.visits[0], &browser.aggregates[0]);
    let debug = format!("{:?} {visit:?} {aggregate:?}", browser.state);
    assert!(!debug.contains("example") && !debug.contains("A page"), "{debug}");
}
