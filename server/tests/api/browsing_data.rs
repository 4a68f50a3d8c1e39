//! Reading one's own records back, and erasing them for good.

use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, User, aggregate, on_every_database, visit, with};

on_every_database! {
    pages_go_from_new_to_old_and_show_every_record_once,
    nobody_sees_the_records_of_another,
    a_record_comes_back_as_it_was_sent,
    pages_that_are_none_are_refused,
    erasing_all_removes_every_record_of_this_user_only,
    what_was_erased_stays_away_however_late_it_comes,
    a_late_aggregate_follows_its_erased_visit,
    a_late_aggregate_whose_visit_nobody_knows_falls_under_its_own_moment,
    erasing_a_site_leaves_the_others_without_its_name,
    erasing_a_span_of_time_leaves_the_rest,
    what_is_made_after_an_erase_is_kept,
    an_erase_that_says_nothing_clear_is_refused,
    an_erasure_takes_the_place_of_those_it_includes,
    erasures_are_bounded_and_a_wider_one_is_always_taken,
}

fn at(id: &str, hour: u32) -> Value {
    with(visit(id), json!({ "visited_at": format!("2025-10-21T{hour:02}:00:00Z") }))
}

fn of_site(id: &str, host: &str) -> Value {
    with(visit(id), json!({ "url": format!("https://{host}/x"), "domain": Value::Null }))
}

fn ids(records: &Value) -> Vec<&str> {
    records.as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap()).collect()
}

async fn erase(user: &User<'_>, form: Value) -> Answer {
    let answer = user.post("/data/erase", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

async fn visit_ids(user: &User<'_>) -> Vec<String> {
    let mut ids: Vec<String> = ids(&user.get("/browsing_data").await.body["data"]["page_visits"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    ids.sort();
    ids
}

async fn pages_go_from_new_to_old_and_show_every_record_once(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(
        &[at("old", 1), at("new", 3), at("middle", 2)],
        &[aggregate("a", "old"), aggregate("b", "none")],
    )
    .await;
    let first = user.get("/browsing_data?page=1&per_page=2").await;
    assert_eq!(ids(&first.body["data"]["page_visits"]), ["new", "middle"]);
    assert_eq!(ids(&first.body["data"]["tab_aggregates"]), ["b", "a"]);
    assert_eq!(first.body["data"]["pagination"], json!({ "page": 1, "per_page": 2, "next_page": 2 }));
    let second = user.get("/browsing_data?page=2&per_page=2").await;
    assert_eq!(ids(&second.body["data"]["page_visits"]), ["old"]);
    assert_eq!(second.body["data"]["pagination"]["next_page"], Value::Null);
}

async fn nobody_sees_the_records_of_another(app: TestApp) {
    let anna = app.user("anna@example.com").await;
    let bert = app.user("bert@example.com").await;
    anna.sync(&[visit("1")], &[aggregate("a", "1")]).await;
    let answer = bert.get("/browsing_data?email=anna@example.com").await;
    let data = &answer.body["data"];
    assert_eq!((&data["page_visits"], &data["tab_aggregates"]), (&json!([]), &json!([])));
}

async fn a_record_comes_back_as_it_was_sent(app: TestApp) {
    let user = app.user("a@example.com").await;
    let fields =
        json!({ "metadata": { "b": 1, "a": [null] }, "idlePeriods": [], "mood": "good", "title": "🦀" });
    user.sync(
        &[with(visit("1"), fields)],
        &[with(aggregate("a", "1"), json!({ "statistics": { "x": 1.5 } }))],
    )
    .await;
    let answer = user.get("/browsing_data").await;
    let visit = &answer.body["data"]["page_visits"][0];
    assert_eq!((&visit["visited_at"], &visit["title"]), (&json!("2025-10-21T09:46:40.123Z"), &json!("🦀")));
    assert_eq!((&visit["metadata"], &visit["idle_periods"]), (&json!({ "b": 1, "a": [null] }), &json!([])));
    assert_eq!((&visit["extra"], &visit["tab_id"]), (&json!({ "mood": "good" }), &json!(412)));
    let aggregate = &answer.body["data"]["tab_aggregates"][0];
    assert_eq!(aggregate["closed_at"], json!("2025-10-21T09:50:46.000Z"));
    assert_eq!(aggregate["statistics"], json!({ "x": 1.5 }));
}

async fn pages_that_are_none_are_refused(app: TestApp) {
    let user = app.user("a@example.com").await;
    for query in ["page=0", "page=-1", "per_page=0", "per_page=101", "page=x", "page=9223372036854775807"] {
        let status = user.get(&format!("/browsing_data?{query}")).await.status;
        assert!(status.is_client_error(), "{query}: {status}");
    }
}

async fn erasing_all_removes_every_record_of_this_user_only(app: TestApp) {
    let anna = app.user("anna@example.com").await;
    let bert = app.user("bert@example.com").await;
    for user in [&anna, &bert] {
        user.sync(&[visit("1"), visit("2")], &[aggregate("a", "1"), aggregate("orphan", "none")]).await;
    }
    let answer = erase(&anna, json!({ "scope": "all" })).await;
    assert_eq!((answer.count("page_visits_erased"), answer.count("tab_aggregates_erased")), (2, 2));
    assert_eq!(app.stored().await, (2, 2));
    assert_eq!(visit_ids(&bert).await, ["1", "2"]);
}

async fn what_was_erased_stays_away_however_late_it_comes(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[visit("held")], &[]).await;
    erase(&user, json!({ "scope": "all" })).await;
    let late = [visit("never seen"), with(visit("held"), json!({ "revision": 2 }))];
    for _ in 0..2 {
        let answer = user.sync(&late, &[aggregate("a", "never seen"), aggregate("b", "held")]).await;
        assert_eq!((answer.count("ignored_records_count"), answer.count("page_visits_synced")), (4, 0));
    }
    assert_eq!(app.stored().await, (0, 0));
    let known =
        user.post("/data/sync/known", &json!({ "pageVisits": ["held", "never seen", "other"] })).await;
    let mut erased: Vec<&str> =
        known.body["data"]["erasedPageVisits"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    erased.sort_unstable();
    assert_eq!(erased, ["held", "never seen"]);
}

async fn a_late_aggregate_follows_its_erased_visit(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[of_site("1", "erased.example")], &[]).await;
    erase(&user, json!({ "scope": "site", "site": "erased.example" })).await;
    assert_eq!(user.sync(&[], &[aggregate("a", "1")]).await.count("ignored_records_count"), 1);
    // The other way round: an aggregate that was there before its visit goes when the visit turns out to be erased.
    assert_eq!(user.sync(&[], &[aggregate("b", "2")]).await.count("created"), 1);
    assert_eq!(user.sync(&[of_site("2", "erased.example")], &[]).await.count("ignored_records_count"), 1);
    assert_eq!(app.stored().await, (0, 0));
}

async fn a_late_aggregate_whose_visit_nobody_knows_falls_under_its_own_moment(app: TestApp) {
    let user = app.user("a@example.com").await;
    let closed = |id: &str, visit: &str, at: Value| with(aggregate(id, visit), json!({ "closed_at": at }));
    let before = "2025-10-21T02:00:00Z";
    user.sync(&[at("kept", 3)], &[closed("a", "none", json!(before))]).await;
    let erased = erase(&user, json!({ "scope": "all", "to": before })).await;
    assert_eq!(erased.count("tab_aggregates_erased"), 1);
    let late = [
        closed("a", "none", json!(before)),
        closed("b", "none", Value::Null),
        closed("c", "kept", Value::Null),
        closed("d", "new", json!(before)),
        closed("e", "none", json!("2025-10-21T02:00:01Z")),
    ];
    let answer = user.sync(&[at("new", 4)], &late).await;
    assert_eq!((answer.count("created"), answer.count("ignored_records_count")), (4, 2));
    assert_eq!(app.strings("select id from tab_aggregates order by id").await, ["c", "d", "e"]);
}

async fn erasing_a_site_leaves_the_others_without_its_name(app: TestApp) {
    let user = app.user("a@example.com").await;
    let naming = json!({ "metadata": { "canonical": "https://www.Erased.example/x" }, "title": "erased.example - search" });
    let visits = [
        of_site("1", "erased.example"),
        of_site("2", "sub.erased.example"),
        of_site("3", "noterased.example"),
        with(of_site("4", "search.example"), naming),
    ];
    let durations = json!({ "domain_durations": { "erased.example": 5, "search.example": 7 },
                            "current_url": "https://erased.example/y", "statistics": { "x": 1 } });
    let aggregates = [aggregate("a", "1"), with(aggregate("b", "4"), durations.clone())];
    user.sync(&visits, &aggregates).await;
    let answer = erase(&user, json!({ "scope": "site", "site": "www.erased.example" })).await;
    assert_eq!((answer.count("page_visits_erased"), answer.count("tab_aggregates_erased")), (2, 1));
    // The same again, sent late under new ids: it must look the same.
    let late = with(with(of_site("5", "search.example"), visits[3].clone()), json!({ "id": "5" }));
    user.sync(&[of_site("6", "erased.example"), late], &[with(aggregate("c", "5"), durations)]).await;

    assert_eq!(visit_ids(&user).await, ["3", "4", "5"]);
    let left = user.get("/browsing_data").await.body;
    assert!(
        !left.to_string().to_lowercase().replace("noterased.example", "").contains("erased.example"),
        "{left}"
    );
    for aggregate in left["data"]["tab_aggregates"].as_array().unwrap() {
        assert_eq!(aggregate["domain_durations"], json!({ "search.example": 7 }));
        assert_eq!((&aggregate["current_url"], &aggregate["statistics"]), (&Value::Null, &json!({ "x": 1 })));
    }
}

async fn erasing_a_span_of_time_leaves_the_rest(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[at("1", 1), at("2", 2), at("3", 3)], &[aggregate("a", "2")]).await;
    let span = json!({ "scope": "range", "from": "2025-10-21T01:30:00Z", "to": "2025-10-21T02:00:00Z" });
    let answer = erase(&user, span).await;
    assert_eq!((answer.count("page_visits_erased"), answer.count("tab_aggregates_erased")), (1, 1));
    assert_eq!(user.sync(&[at("4", 2), at("5", 4)], &[]).await.count("created"), 1);
    assert_eq!(visit_ids(&user).await, ["1", "3", "5"]);
}

async fn what_is_made_after_an_erase_is_kept(app: TestApp) {
    let user = app.user("a@example.com").await;
    erase(&user, json!({ "scope": "all", "to": "2025-10-21T02:00:00Z" })).await;
    assert_eq!(user.sync(&[at("1", 3)], &[aggregate("a", "1")]).await.count("created"), 2);
}

async fn an_erase_that_says_nothing_clear_is_refused(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[visit("1")], &[]).await;
    for (form, field) in [
        (json!({}), "scope"),
        (json!({ "scope": "everything" }), "scope"),
        (json!({ "scope": "site" }), "site"),
        (json!({ "scope": "site", "site": "not a host" }), "site"),
        (json!({ "scope": "all", "site": "e.com" }), "site"),
        (json!({ "scope": "range" }), "from"),
        (json!({ "scope": "range", "from": 5, "to": 4 }), "to"),
        (json!({ "scope": "range", "from": "yesterday" }), "from"),
    ] {
        let answer = user.post("/data/erase", &form).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (422, &json!(field)), "{form}");
    }
    assert_eq!(app.stored().await, (1, 0));
}

async fn an_erasure_takes_the_place_of_those_it_includes(app: TestApp) {
    let user = app.user("a@example.com").await;
    let held = async || app.strings("select site from erasures order by site, to_ms").await;
    for to in ["2025-10-21T09:00:00Z", "2025-10-21T10:00:00Z", "2025-10-21T09:30:00Z"] {
        erase(&user, json!({ "scope": "site", "site": "a.example.com", "to": to })).await;
    }
    assert_eq!(held().await, ["a.example.com"; 2], "an erasure up to an earlier moment is of its own");
    erase(&user, json!({ "scope": "site", "site": "badexample.com", "to": "2025-10-21T11:00:00Z" })).await;
    erase(&user, json!({ "scope": "site", "site": "example.com", "to": "2025-10-21T11:00:00Z" })).await;
    assert_eq!(held().await, ["badexample.com", "example.com"]);
    let all = json!({ "scope": "all", "to": "2025-10-21T11:00:00Z" });
    erase(&user, all.clone()).await;
    erase(&user, all).await;
    assert_eq!(held().await, [""]);
    let late = [of_site("1", "a.example.com"), at("2", 10)];
    assert_eq!(user.sync(&late, &[]).await.count("ignored_records_count"), 2);
}

async fn erasures_are_bounded_and_a_wider_one_is_always_taken(app: TestApp) {
    let user = app.user("a@example.com").await;
    app.execute(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 500) \
         insert into erasures (user_id, site, from_ms, to_ms, erased_at_ms) \
         select u.id, '', n.i * 10, n.i * 10 + 1, 1 from users u cross join n",
    )
    .await;
    let one_more = json!({ "scope": "range", "from": 1, "to": 2 });
    let refused = user.post("/data/erase", &one_more).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]), (422, &json!("invalid_field")));
    erase(&user, json!({ "scope": "range", "from": 10, "to": 11 })).await;
    erase(&user, json!({ "scope": "range", "from": 10, "to": 21 })).await;
    erase(&user, one_more).await;
    assert_eq!(app.number("select count(*) from erasures").await, 500);
    erase(&user, json!({ "scope": "all" })).await;
    assert_eq!(app.number("select count(*) from erasures").await, 1);
}
