//! Erasing where a client's clock and the server's differ.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::helpers::{TestApp, aggregate, on_every_database, visit, with};

on_every_database! {
    an_erase_without_an_end_takes_whatever_is_held,
    what_is_made_after_an_erase_by_a_clock_ahead_is_kept_once_that_is_put_right,
    what_was_on_its_way_from_a_clock_ahead_stays_away,
    a_repeated_erase_takes_nothing_that_was_made_since_the_first,
}

const HOUR: i64 = 3_600_000;

/// By this machine's clock, which is the server's as well.
fn in_hours(hours: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    i64::try_from(now).unwrap() + hours * HOUR
}

fn made(id: &str, at_ms: i64) -> Value {
    with(visit(id), json!({ "visited_at": at_ms }))
}

fn closed(id: &str, at_ms: i64) -> Value {
    with(aggregate(id, "unknown"), json!({ "closed_at": at_ms }))
}

async fn an_erase_without_an_end_takes_whatever_is_held(app: TestApp) {
    let user = app.user("a@example.com").await;
    let naming = json!({ "current_url": "https://docs.example/x" });
    for form in [
        json!({ "scope": "all" }),
        json!({ "scope": "site", "site": "docs.example" }),
        json!({ "scope": "range", "from": in_hours(-1) }),
    ] {
        let elsewhere =
            with(made("other", in_hours(5)), json!({ "url": "https://o.example", "domain": null }));
        let aggregates = [aggregate("b", "ahead"), with(closed("c", in_hours(5)), naming.clone())];
        let held = user.sync(&[made("ahead", in_hours(5)), elsewhere], &aggregates).await;
        assert_eq!(held.count("created"), 4, "{form}");
        let erased = user.post("/data/erase", &form).await;
        let is_site = form["scope"] == "site";
        assert_eq!(erased.count("page_visits_erased"), if is_site { 1 } else { 2 }, "{form}");
        assert_eq!(app.number("select count(*) from tab_aggregates where current_url is not null").await, 0);
        for table in ["page_visits", "tab_aggregates", "erased_visits", "erasures"] {
            app.execute(format!("delete from {table}")).await;
        }
    }
}

async fn what_is_made_after_an_erase_by_a_clock_ahead_is_kept_once_that_is_put_right(app: TestApp) {
    let user = app.user("a@example.com").await;
    for (form, hours) in [
        (json!({ "scope": "all" }), 5),
        (json!({ "scope": "all" }), 365 * 24),
        (json!({ "scope": "site", "site": "docs.example" }), 5),
    ] {
        let erased = user.post("/data/erase", &with(form, json!({ "to": in_hours(hours) }))).await;
        assert_eq!(erased.status, 200, "{}", erased.body);
    }
    app.execute(format!("update erasures set erased_at_ms = erased_at_ms - 2 * {HOUR}")).await;
    let new =
        user.sync(&[made("1", in_hours(-1)), made("2", in_hours(0))], &[closed("a", in_hours(-1))]).await;
    assert_eq!((new.count("created"), new.count("ignored_records_count")), (3, 0));
    let of_before = user.sync(&[made("3", in_hours(-3))], &[closed("b", in_hours(-3))]).await;
    assert_eq!((of_before.count("created"), of_before.count("ignored_records_count")), (0, 2));
}

async fn what_was_on_its_way_from_a_clock_ahead_stays_away(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[made("held", in_hours(4))], &[]).await;
    user.post("/data/erase", &json!({ "scope": "all", "to": in_hours(5) })).await;
    let late = [made("held", in_hours(4)), made("late", in_hours(4)), made("of a right clock", in_hours(-1))];
    for _ in 0..2 {
        let answer = user.sync(&late, &[aggregate("a", "held"), closed("b", in_hours(4))]).await;
        assert_eq!((answer.count("ignored_records_count"), answer.count("created")), (5, 0));
    }
    assert_eq!(user.sync(&[made("new", in_hours(6))], &[]).await.count("created"), 1);

    user.post("/data/erase", &json!({ "scope": "all", "to": in_hours(365 * 24) })).await;
    let beyond_belief = user.sync(&[made("far", in_hours(27))], &[]).await;
    assert_eq!(beyond_belief.count("created"), 1);
}

async fn a_repeated_erase_takes_nothing_that_was_made_since_the_first(app: TestApp) {
    let user = app.user("a@example.com").await;
    let form = json!({ "scope": "all", "to": in_hours(5) });
    user.post("/data/erase", &form).await;
    app.execute(format!("update erasures set erased_at_ms = erased_at_ms - 2 * {HOUR}")).await;
    // Its answer was lost; meanwhile the clock was put right and a page was visited.
    user.post("/data/erase", &form).await;
    assert_eq!(user.sync(&[made("1", in_hours(-1))], &[]).await.count("created"), 1);
}
