use super::browser::{A, B, Browser, C, EXCLUDED};
use crate::words::event::Happening;

#[test]
fn a_navigation_ends_the_visit_of_the_page_that_it_leaves() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(12).navigate(1, B);
    assert_eq!(browser.stays(), [(A, 12, 12_000)]);
}

#[test]
fn a_navigation_within_a_single_page_application_is_a_visit_of_its_own() {
    let mut browser = Browser::default();
    browser
        .navigate(1, "https://a.example/#/inbox")
        .at(5)
        .navigate(1, "https://a.example/#/sent")
        .at(9)
        .close(1);
    assert_eq!(
        browser.stays(),
        [("https://a.example/#/inbox", 5, 5_000), ("https://a.example/#/sent", 4, 4_000)]
    );
}

#[test]
fn the_same_address_reported_again_does_not_split_a_visit() {
    let mut browser = Browser::default();
    browser.navigate(1, A).title(1, "A page").at(1).navigate(1, A).at(2).activate(1);
    browser.at(3).activate_in(1, 1, Some(A));
    assert!(browser.visits.is_empty());
    browser.at(10).close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000)]);
    assert_eq!(browser.visit().title.as_deref(), Some("A page"));
}

#[test]
fn coming_back_to_a_page_in_the_same_tab_is_another_visit() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).navigate(1, B).at(3).navigate(1, A).at(6).close(1);
    assert_eq!(browser.stays(), [(A, 1, 1_000), (B, 2, 2_000), (A, 3, 3_000)]);
}

#[test]
fn a_change_of_window_ends_the_visit_in_the_window_that_is_left() {
    let mut browser = Browser::default();
    browser.focus(Some(1)).navigate(1, A).at(10).activate_in(2, 7, Some(B));
    assert!(
        browser.visits.is_empty(),
        "a tab activated in a window behind takes nothing from the one in front"
    );
    browser.at(11).focus(Some(2)).at(15).focus(Some(1)).at(18).close(1);
    assert_eq!(browser.stays(), [(A, 11, 11_000), (B, 4, 4_000), (A, 3, 3_000)]);
}

#[test]
fn without_word_of_any_focus_the_last_activated_tab_is_in_front() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(4).activate_in(2, 7, Some(B)).at(6).close(7);
    assert_eq!(browser.stays(), [(A, 4, 4_000), (B, 2, 2_000)]);
}

#[test]
fn a_window_whose_tabs_are_unknown_ends_the_visit_too() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(4).focus(Some(9)).at(20).focus(Some(1)).at(21).close(1);
    assert_eq!(browser.stays(), [(A, 4, 4_000), (A, 1, 1_000)]);
}

#[test]
fn a_tab_dragged_to_another_window_takes_its_page_along() {
    let mut browser = Browser::default();
    browser.focus(Some(1)).navigate(1, A).at(3).activate_in(2, 1, None).focus(Some(2)).at(8).close(1);
    assert_eq!(browser.stays(), [(A, 3, 3_000), (A, 5, 5_000)]);
}

#[test]
fn a_page_of_the_browser_itself_ends_the_visit_and_has_none() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(3).navigate(1, "chrome://settings/").at(50).navigate(1, B).at(51).close(1);
    assert_eq!(browser.stays(), [(A, 3, 3_000), (B, 1, 1_000)]);
}

#[test]
fn an_excluded_page_ends_the_visit_and_leaves_nothing_in_the_state() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(3).navigate(1, EXCLUDED).title(1, "hidden title");
    let stored = serde_json::to_string(&browser.state).unwrap();
    assert!(!stored.contains("excluded.example") && !stored.contains("hidden title"), "{stored}");
    browser.at(9).close(1);
    assert_eq!(browser.stays(), [(A, 3, 3_000)]);
}

#[test]
fn a_private_tab_leaves_no_trace_and_ends_the_visit_that_it_covers() {
    const SECRET: &str = "https://secret.example/";
    let mut browser = Browser::default();
    browser.focus(Some(1)).navigate(1, A).at(10);
    browser.tell(Happening::Opened {
        tab_id: 66,
        window_id: 2,
        opener_tab_id: Some(1),
        active: true,
        incognito: true,
    });
    browser.focus(Some(2)).tell(Happening::Navigated {
        tab_id: 66,
        window_id: 2,
        url: SECRET.to_owned(),
        title: Some("secret title".to_owned()),
        active: true,
        incognito: true,
    });
    browser.tell(Happening::Activated {
        tab_id: 66,
        window_id: 2,
        url: Some(SECRET.to_owned()),
        title: Some("secret title".to_owned()),
        incognito: true,
    });
    browser.title(66, "secret title").audible(66, true).scroll(66, 50.0).live_until(100);
    let stored = serde_json::to_string(&browser.state).unwrap();
    assert!(!stored.contains("secret") && !stored.contains("66"), "{stored}");
    browser.close(66).focus(Some(1)).at(103).close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000), (A, 3, 3_000)]);
}

#[test]
fn a_page_loaded_in_the_background_has_no_visit_until_it_is_looked_at() {
    let mut browser = Browser::default();
    browser.navigate(1, A).open(2, Some(1), false).load(2, B, false).at(8).load(2, C, false);
    assert!(browser.visits.is_empty());
    browser.at(10).activate(2).at(13).close(2);
    assert_eq!(browser.stays(), [(A, 10, 10_000), (C, 3, 3_000)]);
}

#[test]
fn a_page_opened_in_the_background_and_closed_unread_leaves_a_visit_of_no_duration() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(2).open(2, Some(1), false).at(3).load(2, B, false).title(2, "Later");
    browser.at(20).close(2);
    let visit = browser.visit();
    assert_eq!((visit.url.as_str(), visit.duration_seconds, visit.active_duration.0), (B, 0, 0));
    assert_eq!(visit.title.as_deref(), Some("Later"));
    assert!(Browser::second(visit.visited_at) == 3.0 && visit.engagement_rate == 0.0);
    assert_eq!(browser.aggregates.len(), 1);
    assert_eq!(browser.aggregates[0].closed_at.map(Browser::second), Some(20.0));
}

#[test]
fn a_tab_that_was_looked_at_before_its_opening_was_told_is_not_unread() {
    let mut browser = Browser::default();
    browser
        .navigate(1, A)
        .at(2)
        .activate_in(1, 2, Some(B))
        .open(2, Some(1), false)
        .at(5)
        .activate(1)
        .close(2);
    assert_eq!(browser.stays(), [(A, 2, 2_000), (B, 3, 3_000)]);
}

#[test]
fn a_tab_restored_in_the_background_and_never_looked_at_leaves_nothing() {
    let mut browser = Browser::default();
    browser.open(2, None, false).load(2, B, false).at(20).close(2);
    assert!(browser.visits.is_empty() && browser.aggregates.is_empty());
}

#[test]
fn a_visit_keeps_the_last_title_that_its_own_page_had() {
    let mut browser = Browser::default();
    browser.navigate(1, A).title(1, "Loading").at(1).title(1, "A page").at(2).navigate(1, B).title(1, "");
    browser.at(3).close(1);
    let titles: Vec<_> = browser.visits.iter().map(|visit| visit.title.as_deref()).collect();
    assert_eq!(titles, [Some("A page"), None]);
}

#[test]
fn events_about_unknown_tabs_are_without_effect() {
    let mut browser = Browser::default();
    browser
        .title(5, "t")
        .audible(5, true)
        .scroll(5, 10.0)
        .close(5)
        .live_until(60)
        .focus(None)
        .focus(Some(-1));
    assert!(browser.visits.is_empty() && browser.aggregates.is_empty());
}
