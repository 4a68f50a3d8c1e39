use super::browser::{A, B, Browser, C};
use crate::decisions::tracker::{Ending, TrackerState, forget_all, forget_pages, web_domain};

#[test]
fn an_aggregate_goes_with_each_visit_and_is_revised_once_when_the_tab_closes() {
    let mut browser = Browser::default();
    browser.navigate(1, A).scroll(1, 33.333).at(10).navigate(1, B).at(14);
    assert_eq!(serde_json::to_value(&browser.aggregates[0]).unwrap()["closed_at"], serde_json::Value::Null);
    browser.close(1);
    let told: Vec<_> = browser
        .aggregates
        .iter()
        .map(|a| (a.page_visit_id == browser.visits[0].id, a.revision, a.closed_at.map(Browser::second)))
        .collect();
    assert_eq!(told, [(true, 1, None), (false, 1, Some(14.0)), (true, 2, Some(14.0))]);
    let (first, last) = (&browser.aggregates[0], &browser.aggregates[2]);
    assert_eq!(first.id, last.id);
    assert_eq!((last.total_time_seconds, last.active_time_seconds), (10, 10));
    assert_eq!((first.scroll_depth_percent, last.scroll_depth_percent), (Some(33.33), Some(33.33)));
}

#[test]
fn an_aggregate_carries_the_account_of_its_tab_until_then() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(1, B).at(14).navigate(2, C).at(20).activate(1).at(21).close(1);
    let json: Vec<_> = browser.aggregates.iter().map(|a| serde_json::to_value(a).unwrap()).collect();
    let account =
        |i: usize| (json[i]["domain_durations"].to_string(), json[i]["page_count"].as_u64().unwrap());
    assert_eq!(account(0), (r#"{"a.example":10}"#.to_owned(), 1));
    assert_eq!(account(1), (r#"{"a.example":10,"b.example":4}"#.to_owned(), 2));
    assert_eq!(account(2), (r#"{"c.example":6}"#.to_owned(), 1), "another tab");
    assert_eq!(
        account(3),
        (r#"{"a.example":10,"b.example":5}"#.to_owned(), 2),
        "the same page is not another"
    );
    assert_eq!(account(4), account(3), "revised with what the tab came to");
    assert_eq!((&json[4]["current_url"], &json[4]["current_domain"]), (&B.into(), &"b.example".into()));
}

#[test]
fn records_have_exactly_the_names_of_the_wire() {
    let mut browser = Browser::default();
    browser.open(1, None, true).at(1).navigate(1, B).title(1, "T").scroll(1, 250.0).at(11).close(1);
    assert_eq!(
        serde_json::to_value(browser.visit()).unwrap(),
        serde_json::json!({
            "id": browser.visit().id,
            "url": "https://www.b.example/path",
            "title": "T",
            "visited_at": "2025-10-21T09:46:41.000Z",
            "opened_at": "2025-10-21T09:46:40.000Z",
            "source_page_visit_id": null,
            "tabId": 1,
            "domain": "b.example",
            "durationSeconds": 10,
            "activeDuration": 10_000,
            "engagementRate": 1.0,
            "idlePeriods": [],
            "lastHeartbeat": 1_761_040_011_000_i64,
            "revision": 1,
        })
    );
    assert_eq!(
        serde_json::to_value(&browser.aggregates[0]).unwrap(),
        serde_json::json!({
            "id": browser.aggregates[0].id,
            "page_visit_id": browser.visit().id,
            "total_time_seconds": 10,
            "active_time_seconds": 10,
            "scroll_depth_percent": 100.0,
            "closed_at": "2025-10-21T09:46:51.000Z",
            "domain_durations": { "b.example": 10 },
            "page_count": 1,
            "current_url": "https://www.b.example/path",
            "current_domain": "b.example",
            "revision": 1,
        })
    );
}

#[test]
fn the_deepest_point_scrolled_to_counts_and_senseless_ones_do_not() {
    let mut browser = Browser::default();
    browser.navigate(1, A).scroll(1, 40.0).scroll(1, 20.0).scroll(1, f64::NAN).scroll(1, -5.0).close(1);
    assert_eq!(browser.aggregates[0].scroll_depth_percent, Some(40.0));
}

#[test]
fn a_page_that_was_left_tells_nothing_of_the_next_ones_depth() {
    let mut browser = Browser::default();
    browser.navigate(1, A).scroll_page(1, A, 30.0).at(5).navigate(1, B).scroll_page(1, A, 90.0).close(1);
    let depths: Vec<_> = browser.aggregates.iter().take(2).map(|a| a.scroll_depth_percent).collect();
    assert_eq!(depths, [Some(30.0), None]);
}

#[test]
fn a_new_run_of_the_browser_ends_everything_at_the_last_sign_of_life() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(2, B).live_until(70).at(50_000).start();
    assert_eq!(browser.stays(), [(A, 10, 10_000), (B, 60, 60_000)]);
    let closed: Vec<_> =
        browser.aggregates.iter().map(|a| (a.revision, a.closed_at.map(Browser::second))).collect();
    assert_eq!(closed, [(1, None), (1, Some(70.0)), (2, Some(70.0))]);
    browser.at(50_010).start();
    assert_eq!((browser.visits.len(), browser.aggregates.len()), (2, 3), "a second start has nothing to end");
}

#[test]
fn a_pause_ends_the_open_visit_and_keeps_what_tabs_are_still_owed() {
    let mut browser = Browser::default();
    browser.open(1, None, true).navigate(1, A).at(10).end_all(Ending::Pause).at(500).end_all(Ending::Pause);
    assert_eq!(browser.stays(), [(A, 10, 10_000)]);
    browser.at(600).live_until(700).activate_in(1, 1, Some(B)).at(705).close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000), (B, 5, 5_000)]);
    assert_eq!(browser.visits[1].source_page_visit_id.as_ref(), Some(&browser.visits[0].id));
    assert_eq!(
        browser.aggregates.last().map(|a| (&a.page_visit_id, a.revision)),
        Some((&browser.visits[0].id, 2))
    );
}

#[test]
fn nothing_is_counted_after_a_pause_until_a_page_is_told_again() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).end_all(Ending::Pause).live_until(200).focus(Some(1)).live_until(300);
    browser.close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000)]);
}

#[test]
fn another_account_gets_neither_sources_nor_durations_nor_revisions_of_the_one_before() {
    let mut browser = Browser::default();
    browser.open(1, None, true).navigate(1, A).open(2, Some(1), false).load(2, C, false).at(10);
    browser.end_all(Ending::Final);
    let stored = serde_json::to_string(&browser.state).unwrap();
    assert!(!stored.contains("example") && !stored.contains(&browser.visits[0].id), "{stored}");
    browser.activate_in(1, 1, Some(B)).at(12).activate_in(1, 2, Some(C)).at(13).close(1).close(2);
    assert!(browser.visits[1..].iter().all(|visit| visit.source_page_visit_id.is_none()));
    assert!(browser.visits[1].opened_at.is_some(), "when the tab was opened is not the account's");
    assert!(browser.aggregates[1..].iter().all(|a| !a.domain_durations.contains_key("a.example")));
    assert!(browser.aggregates[1..].iter().all(|a| a.page_visit_id != browser.visits[0].id));
}

#[test]
fn forgetting_everything_hands_out_nothing_and_keeps_nothing() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(2, B).at(20);
    forget_all(&mut browser.state);
    assert!(browser.state == TrackerState::default());
    browser.close(2).close(1);
    assert_eq!(browser.visits.len(), 1, "only what was handed out before");
}

#[test]
fn a_forgotten_site_is_gone_from_the_state_and_nothing_refers_to_it() {
    let mut browser = Browser::default();
    browser.navigate(1, B).at(5).navigate(1, A).open(2, Some(1), false).load(2, C, false).at(10);
    let of_host = |domain: &str| domain == "a.example";
    let of_page = |url: &str| web_domain(url).is_some_and(|domain| of_host(&domain));
    forget_pages(&mut browser.state, &of_page, &of_host);
    let stored = serde_json::to_string(&browser.state).unwrap();
    assert!(!stored.contains("a.example") && stored.contains("b.example"), "{stored}");
    browser.live_until(60).activate(2).at(61).close(2).close(1);
    assert_eq!(browser.stays(), [(B, 5, 5_000), (C, 1, 1_000)]);
    assert_eq!(browser.visits[1].source_page_visit_id, None);
}
