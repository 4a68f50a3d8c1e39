use super::browser::{A, B, Browser};
use crate::decisions::tracker::{Away, Resumed};
use crate::words::event::Happening::Heartbeat;
use crate::words::event::IdleState::{Active, Idle, Locked};

/// Duration in seconds and active milliseconds of the only visit.
fn times(browser: &Browser) -> (i64, i64) {
    (browser.visit().duration_seconds, browser.visit().active_duration.0)
}

#[test]
fn a_page_is_active_until_the_user_is_idle_and_again_afterwards() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(60).user(Idle).live_until(100).user(Active).at(110).close(1);
    assert_eq!(times(&browser), (110, 70_000));
    let visit = browser.visit();
    assert_eq!(visit.engagement_rate, 0.6364);
    let idle = &visit.idle_periods[0];
    assert_eq!((Browser::second(idle.start), Browser::second(idle.end)), (60.0, 100.0));
    assert_eq!(serde_json::to_value(idle).unwrap()["durationMs"], 40_000);
    assert_eq!((idle.reason, idle.resume_reason), (Away::Idle, Resumed::Active));
}

#[test]
fn an_idle_user_attends_to_a_page_that_makes_sound() {
    let mut browser = Browser::default();
    browser.navigate(1, A).audible(1, true).at(30).user(Idle).live_until(90).audible(1, false).at(100);
    browser.audible(1, true).at(120).close(1);
    assert_eq!(times(&browser), (120, 110_000));
    assert_eq!(browser.visit().idle_periods[0].resume_reason, Resumed::Audible);
}

#[test]
fn sound_from_another_tab_makes_nobody_attend() {
    let mut browser = Browser::default();
    browser.load(2, B, false).audible(2, true).navigate(1, A).user(Idle).live_until(60).close(1);
    assert_eq!(times(&browser), (60, 0));
}

#[test]
fn a_locked_screen_is_never_active_even_with_sound() {
    let mut browser = Browser::default();
    browser.navigate(1, A).audible(1, true).at(10).user(Locked).live_until(70).user(Active).at(75).close(1);
    assert_eq!(times(&browser), (75, 15_000));
    assert_eq!(browser.visit().idle_periods[0].reason, Away::Locked);
}

#[test]
fn a_browser_without_the_focus_is_not_active_but_the_stay_goes_on() {
    let mut browser = Browser::default();
    browser.focus(Some(1)).navigate(1, A).at(10).focus(None).live_until(40).focus(Some(1)).at(45).close(1);
    assert_eq!(times(&browser), (45, 15_000));
    assert_eq!(browser.visit().idle_periods[0].reason, Away::Unfocused);
}

#[test]
fn the_browsers_own_number_for_no_window_is_no_window() {
    let mut browser = Browser::default();
    browser.focus(Some(1)).navigate(1, A).at(10).focus(Some(-1)).at(40).close(1);
    assert_eq!(times(&browser), (40, 10_000));
}

#[test]
fn an_idle_period_that_nobody_ended_ends_with_the_visit() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).user(Idle).at(30).close(1);
    assert_eq!(browser.visit().idle_periods[0].resume_reason, Resumed::VisitEnded);
    assert_eq!(Browser::second(browser.visit().idle_periods[0].end), 30.0);
}

#[test]
fn a_long_absence_ends_the_visit_as_of_its_beginning_and_coming_back_begins_another() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(100).user(Idle).live_until(100 + 1799);
    assert!(browser.visits.is_empty(), "half an hour less a second is not long");
    browser.live_until(100 + 1800);
    assert_eq!(times(&browser), (100, 100_000));
    assert_eq!(Browser::second(browser.visit().last_heartbeat), 100.0);
    assert!(browser.visit().idle_periods.is_empty(), "the absence is not a part of the visit");
    browser.live_until(9000).user(Active).at(9010).close(1);
    assert_eq!(browser.stays(), [(A, 100, 100_000), (A, 10, 10_000)]);
    assert_eq!(Browser::second(browser.visits[1].visited_at), 9000.0);
}

#[test]
fn an_absence_is_long_also_when_the_machine_slept_through_it() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(10).user(Locked).at(10 + 7200).user(Active).at(7220).close(1);
    assert_eq!(browser.stays(), [(A, 10, 10_000), (A, 10, 10_000)]);
}

#[test]
fn pages_that_change_by_themselves_have_no_visits_once_the_user_is_gone_for_long() {
    let mut browser = Browser::default();
    browser.navigate(1, A).user(Locked);
    for minute in 1..600 {
        browser.live_until(minute * 60).navigate(1, &format!("{A}?minute={minute}"));
    }
    assert_eq!(browser.visits.len(), 30);
    assert!(browser.visits.iter().all(|visit| visit.active_duration.0 == 0));
}

#[test]
fn hours_of_sleep_are_not_counted() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(60).at(60 + 8 * 3600).tell(Heartbeat);
    assert_eq!(times(&browser), (90, 90_000), "a heartbeat's length at most");
    browser.live_until(8 * 3600 + 70).close(1);
    assert_eq!(browser.stays(), [(A, 90, 90_000), (A, 10, 10_000)]);
}

#[test]
fn a_short_sleep_is_not_counted_and_does_not_end_the_visit() {
    let mut browser = Browser::default();
    browser.navigate(1, A).live_until(60).at(660).tell(Heartbeat).at(670).close(1);
    assert_eq!(times(&browser), (100, 100_000));
}

#[test]
fn a_heartbeat_that_is_late_is_counted_in_full() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(44).live_until(45).at(90).close(1);
    assert_eq!(times(&browser), (90, 90_000));
}

#[test]
fn a_clock_that_is_set_back_gives_no_negative_numbers() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(40).user(Idle).at(-3600).user(Active).at(-3590).close(1);
    assert_eq!(times(&browser), (50, 50_000));
    let visit = browser.visit();
    assert!(visit.last_heartbeat >= visit.visited_at && visit.idle_periods.is_empty());
}

#[test]
fn an_idle_period_during_which_the_clock_is_set_back_does_not_end_before_it_began() {
    let mut browser = Browser::default();
    browser
        .navigate(1, A)
        .user(Idle)
        .at(30)
        .live_until(40)
        .at(-3600)
        .tell(Heartbeat)
        .at(-3590)
        .user(Active)
        .close(1);
    let idle = &browser.visit().idle_periods[0];
    assert!(idle.end >= idle.start && idle.duration_ms.0 == 50_000, "{idle:?}");
}

#[test]
fn events_that_overtook_each_other_count_no_time_twice() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at_ms(10_000).scroll(1, 5.0).at_ms(9_990).scroll(1, 6.0).at_ms(10_020).close(1);
    assert_eq!(browser.visit().active_duration.0, 10_020);
}

#[test]
fn time_is_counted_in_milliseconds_and_rounded_once() {
    let mut browser = Browser::default();
    for tenth in 0..20 {
        browser.at_ms(tenth * 123).navigate(1, A);
    }
    browser.at_ms(2_499).close(1);
    assert_eq!(times(&browser), (2, 2_499));
    assert_eq!((browser.aggregates[0].total_time_seconds, browser.aggregates[0].active_time_seconds), (2, 2));
}

#[test]
fn half_a_second_counts_as_one() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at_ms(1_500).close(1);
    assert_eq!(times(&browser), (2, 1_500));
}

#[test]
fn a_visit_of_no_duration_has_numbers_all_the_same() {
    let mut browser = Browser::default();
    browser.navigate(1, A).close(1);
    assert_eq!(times(&browser), (0, 0));
    assert_eq!(browser.visit().engagement_rate, 0.0);
}
