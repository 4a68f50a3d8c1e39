use super::browser::{A, B, Browser, C};

fn sources(browser: &Browser) -> Vec<Option<usize>> {
    let place = |id: &String| browser.visits.iter().position(|visit| visit.id == *id).unwrap();
    browser.visits.iter().map(|visit| visit.source_page_visit_id.as_ref().map(place)).collect()
}

#[test]
fn a_visit_comes_from_the_visit_before_it_in_the_same_tab() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).navigate(1, B).at(2).navigate(1, C).at(3).close(1);
    assert_eq!(sources(&browser), [None, Some(0), Some(1)]);
}

#[test]
fn coming_back_to_a_tab_refers_to_its_own_last_visit() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).navigate(2, B).at(2).activate(1).at(3).activate(2).at(4).end_of_test();
    assert_eq!(sources(&browser), [None, None, Some(0), Some(1)]);
}

#[test]
fn the_first_visit_of_a_new_tab_comes_from_the_visit_that_opened_it() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).open(2, Some(1), true).navigate(2, B).at(2).end_of_test();
    assert_eq!(sources(&browser), [None, Some(0)]);
}

#[test]
fn a_tab_opened_in_the_background_comes_from_the_visit_of_that_time() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).open(2, Some(1), false).load(2, B, false).at(2).navigate(1, C).at(3);
    browser.activate(2).at(4).end_of_test();
    assert_eq!(browser.stays().iter().map(|stay| stay.0).collect::<Vec<_>>(), [A, C, B]);
    assert_eq!(sources(&browser), [None, Some(0), Some(0)]);
}

#[test]
fn an_unread_page_never_goes_before_the_visit_that_it_came_from() {
    let mut browser = Browser::default();
    browser
        .navigate(1, A)
        .open(2, Some(1), false)
        .load(2, B, false)
        .open(3, Some(1), false)
        .load(3, C, false);
    browser.at(5).close(2).at(6).navigate(1, B).at(7).close(3);
    assert_eq!(browser.stays().iter().map(|stay| stay.0).collect::<Vec<_>>(), [B, A, C]);
    assert_eq!(sources(&browser), [None, None, Some(1)], "the first was closed while its source went on");
}

#[test]
fn an_unread_page_keeps_its_source_when_both_end_with_the_browser() {
    let mut browser = Browser::default();
    browser.navigate(1, A).open(2, Some(1), false).load(2, B, false).activate(1).at(5).start();
    assert_eq!(browser.stays().iter().map(|stay| stay.0).collect::<Vec<_>>(), [A, B]);
    assert_eq!(sources(&browser), [None, Some(0)]);
}

#[test]
fn a_source_is_always_a_visit_that_was_handed_out_before() {
    let mut browser = Browser::default();
    browser.navigate(1, A).at(1).open(2, Some(1), true).navigate(2, "about:blank").at(2).navigate(2, B);
    browser.at(3).open(3, Some(2), false).load(3, C, false).at(4).close(2).activate(3).at(5).start();
    for (place, source) in sources(&browser).into_iter().enumerate() {
        assert!(source.is_none_or(|source| source < place));
    }
    assert_eq!(sources(&browser), [None, Some(0), Some(1)]);
}

impl Browser {
    fn end_of_test(&mut self) {
        self.end_all(crate::decisions::tracker::Ending::Final);
    }
}
