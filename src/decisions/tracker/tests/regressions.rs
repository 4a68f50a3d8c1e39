//! Defects of the extension's first generation that must not return.

use std::collections::BTreeSet;

use super::browser::{A, B, Browser, C};
use crate::words::event::{Happening, IdleState};

#[test]
fn switching_tabs_ends_the_visit_of_the_tab_left_instead_of_losing_it() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(7).activate_in(1, 2, Some(B)).at(9).activate(1).at(12).activate(2);
    assert_eq!(browser.stays(), [(A, 7, 7_000), (B, 2, 2_000), (A, 3, 3_000)]);
}

#[test]
fn a_visit_is_handed_out_once_and_not_again_in_every_cycle() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(3000);
    assert!(
        browser.visits.is_empty() && browser.aggregates.is_empty(),
        "a visit that goes on is not a record"
    );
    browser.close(1);
    assert_eq!((browser.visits.len(), browser.aggregates.len()), (1, 1));
    browser.live_until(6000).close(1).start().live_until(9000);
    assert_eq!((browser.visits.len(), browser.aggregates.len()), (1, 1));
}

#[test]
fn page_counts_and_durations_do_not_double_with_time() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(1, B).live_until(3000).close(1);
    for aggregate in &browser.aggregates[1..] {
        assert_eq!((aggregate.page_count, aggregate.domain_durations["a.example"]), (2, 10));
    }
}

#[test]
fn an_aggregate_that_changes_is_told_again_under_a_higher_revision() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(1, B).at(20).close(1);
    let first = &browser.aggregates[0];
    let again: Vec<_> = browser.aggregates.iter().filter(|a| a.id == first.id).map(|a| a.revision).collect();
    assert_eq!(again, [1, 2]);
}

#[test]
fn a_closed_tab_looks_closed() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).navigate(1, B).at(20).activate_in(1, 2, Some(C)).at(30).close(1);
    let open: BTreeSet<_> = browser.aggregates.iter().map(|a| &a.id).collect();
    let closed: BTreeSet<_> = browser
        .aggregates
        .iter()
        .filter(|a| a.closed_at.map(Browser::second) == Some(30.0))
        .map(|a| &a.id)
        .collect();
    assert_eq!(open, closed);
}

#[test]
fn active_time_is_measured_and_not_a_fixed_step_for_each_heartbeat() {
    let mut browser = Browser::default();
    browser.navigate(1, A);
    for second in 1..=10 {
        browser.at(second).tell(Happening::Heartbeat);
    }
    browser.close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000)]);
    assert_eq!(browser.visit().engagement_rate, 1.0);
}

#[test]
fn time_in_which_the_browser_was_off_is_not_counted_after_a_restart() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(90).at(90 + 12 * 3600).start();
    assert_eq!(browser.stays(), [(A, 90, 90_000)]);
    assert_eq!(Browser::second(browser.visit().last_heartbeat), 90.0);
}

#[test]
fn tab_numbers_that_a_new_run_uses_again_do_not_mix() {
    let mut browser = Browser::default();
    browser.open(1, None, true).navigate(1, A).at(10).navigate(1, B).at(20).start();
    browser.at(100).navigate(1, C).at(105).close(1);
    let visit = &browser.visits[2];
    assert_eq!((visit.url.as_str(), &visit.source_page_visit_id, visit.opened_at), (C, &None, None));
    let aggregate = browser.aggregates.last().unwrap();
    assert_eq!((aggregate.page_count, aggregate.domain_durations.len()), (1, 1));
}

#[test]
fn a_tab_number_used_again_after_a_missed_close_does_not_mix() {
    let mut browser = Browser::default();
    browser.open(1, None, true).navigate(1, A).at(10).open(1, None, true).navigate(1, C).at(15).close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000), (C, 5, 5_000)]);
    assert_eq!(browser.visits[1].source_page_visit_id, None);
    assert_eq!(browser.aggregates[1].page_count, 1);
}

#[test]
fn coming_back_to_a_tab_does_not_lose_its_title() {
    let mut browser = Browser::default();
    browser
        .navigate(1, A)
        .title(1, "A page")
        .at(1)
        .activate_in(1, 2, Some(B))
        .at(2)
        .activate(1)
        .at(3)
        .close(1);
    assert_eq!(browser.visits[2].title.as_deref(), Some("A page"));
}

#[test]
fn visits_of_one_tab_within_one_millisecond_have_ids_of_their_own() {
    let mut browser = Browser::default();
    browser.navigate(1, A).navigate(1, B).navigate(1, C).close(1);
    let ids: BTreeSet<_> =
        browser.visits.iter().map(|v| &v.id).chain(browser.aggregates.iter().map(|a| &a.id)).collect();
    assert_eq!(ids.len(), 6);
}

#[test]
fn a_site_whose_name_contains_that_of_a_browser_page_is_a_site() {
    let mut browser = Browser::default();
    browser.navigate(1, "https://newtab-dashboard.com/").at(4).close(1);
    assert_eq!(browser.visit().domain, "newtab-dashboard.com");
}

#[test]
fn addresses_of_other_schemes_are_not_recorded_whatever_list_they_are_missing_from() {
    let mut browser = Browser::default();
    for url in ["ftp://a.example/", "javascript:void(0)", "brave://wallet/", "ws://a.example/"] {
        browser.navigate(1, url).tell(Happening::Heartbeat);
    }
    browser.close(1);
    assert!(browser.visits.is_empty());
}

#[test]
fn durations_by_domain_follow_the_visits_and_do_not_stay_near_zero() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(300).user(IdleState::Idle).live_until(360).close(1);
    assert_eq!(browser.aggregates[0].domain_durations["a.example"], 360);
}
