//! Batches: all or nothing, once in effect.

use heyho_server::{policy, store::Store, time::UnixMillis, validation::check_batch};
use serde_json::{Value, json};

use crate::helpers::{TestApp, aggregate, join_all, on_every_database, visit, with};

on_every_database! {
    a_batch_is_saved_and_counted,
    every_field_arrives_in_its_column,
    the_same_batch_again_changes_nothing,
    one_bad_record_keeps_the_whole_batch_out_and_is_named,
    every_bad_record_is_named,
    the_higher_revision_wins_whatever_the_order_of_arrival,
    of_one_id_twice_in_a_batch_the_highest_revision_is_stored,
    a_reference_may_come_before_what_it_refers_to,
    a_row_belongs_to_its_user,
    parallel_batches_with_the_same_records_store_each_once,
    two_replicas_share_one_database,
    a_batch_that_waits_beside_one_that_fails_is_saved,
}

async fn a_batch_is_saved_and_counted(app: TestApp) {
    let user = app.user("a@example.com").await;
    let answer = user.sync(&[visit("1"), visit("2")], &[aggregate("a", "1")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["success"], json!(true));
    assert_eq!(
        answer.body["data"],
        json!({
            "page_visits_synced": 2, "tab_aggregates_synced": 1, "ignored_records_count": 0,
            "rejected_records_count": 0, "created": 3, "updated": 0,
        })
    );
    assert_eq!(app.stored().await, (2, 1));
}

async fn every_field_arrives_in_its_column(app: TestApp) {
    let user = app.user("a@example.com").await;
    let full_visit = with(
        visit("1"),
        json!({
            "opened_at": 1_761_039_602_000_i64, "source_page_visit_id": "0", "idlePeriods": [{ "start": 1, "end": null }],
            "lastHeartbeat": 1_761_040_180_000_i64, "anonymousClientId": "anon", "category": "news",
            "categoryConfidence": 0.85, "categoryMethod": "metadata", "metadata": { "ogType": "website" },
            "revision": 4, "unheardOf": ["kept", { "a": 1 }],
        }),
    );
    let full_aggregate = with(
        aggregate("a", "1"),
        json!({
            "domain_durations": { "docs.example": 245 }, "page_count": 3, "current_url": "https://docs.example/x",
            "current_domain": "docs.example", "statistics": { "x": 1 }, "unheardOf": true,
        }),
    );
    assert_eq!(user.sync(&[full_visit], &[full_aggregate]).await.count("created"), 2);
    let visits = app.number(
        "select count(*) from page_visits where id = '1' and revision = 4 and url = 'https://docs.example/1' \
         and title = 'A page' and visited_at_ms = 1761040000123 and opened_at_ms = 1761039602000 \
         and source_page_visit_id = '0' and tab_id = 412 and domain = 'docs.example' and host = 'docs.example' \
         and duration_seconds = 184 and active_duration_seconds = 150 and engagement_rate = 0.8152 \
         and idle_periods = '[{\"start\":1,\"end\":null}]' and last_heartbeat_ms = 1761040180000 \
         and anonymous_client_id = 'anon' and category = 'news' and category_confidence = 0.85 \
         and category_method = 'metadata' and metadata = '{\"ogType\":\"website\"}' \
         and extra = '{\"unheardOf\":[\"kept\",{\"a\":1}]}'",
    );
    assert_eq!(visits.await, 1);
    let aggregates = app.number(
        "select count(*) from tab_aggregates where id = 'a' and page_visit_id = '1' and revision = 1 \
         and total_time_seconds = 245 and active_time_seconds = 210 and scroll_depth_percent = 72 \
         and closed_at_ms = 1761040246000 and domain_durations = '{\"docs.example\":245}' and page_count = 3 \
         and current_url = 'https://docs.example/x' and current_host = 'docs.example' \
         and current_domain = 'docs.example' and statistics = '{\"x\":1}' and extra = '{\"unheardOf\":true}'",
    );
    assert_eq!(aggregates.await, 1);
}

async fn the_same_batch_again_changes_nothing(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[visit("1")], &[aggregate("a", "1")]).await;
    let again = user.sync(&[with(visit("1"), json!({ "title": "Changed" }))], &[aggregate("a", "1")]).await;
    assert_eq!((again.count("ignored_records_count"), again.count("created")), (2, 0));
    assert_eq!(app.number("select count(*) from page_visits where title = 'A page'").await, 1);
}

async fn one_bad_record_keeps_the_whole_batch_out_and_is_named(app: TestApp) {
    let user = app.user("a@example.com").await;
    let bad = with(visit("bad"), json!({ "url": "ftp://docs.example/" }));
    let answer = user.sync(&[visit("1"), bad, visit("2")], &[aggregate("a", "1")]).await;
    assert_eq!(answer.failed_records(), [(json!("bad"), "page_visit", json!("url"))]);
    assert_eq!(answer.body["success"], json!(false));
    assert_eq!(answer.body["failed_records"][0]["index"], json!(1));
    assert_eq!(app.stored().await, (0, 0));
}

async fn every_bad_record_is_named(app: TestApp) {
    let user = app.user("a@example.com").await;
    let no_id = with(visit("x"), json!({ "id": Value::Null }));
    let negative = with(visit("2"), json!({ "durationSeconds": -1 }));
    let no_visit = with(aggregate("a", "1"), json!({ "page_visit_id": Value::Null }));
    let answer = user.sync(&[no_id, visit("1"), negative], &[no_visit, json!("text")]).await;
    assert_eq!(
        answer.failed_records(),
        [
            (Value::Null, "page_visit", json!("id")),
            (json!("2"), "page_visit", json!("durationSeconds")),
            (json!("a"), "tab_aggregate", json!("page_visit_id")),
            (Value::Null, "tab_aggregate", Value::Null),
        ]
    );
}

async fn the_higher_revision_wins_whatever_the_order_of_arrival(app: TestApp) {
    let user = app.user("a@example.com").await;
    let revision = |revision: i64| {
        let seconds = 100 * revision;
        (
            with(visit("1"), json!({ "revision": revision, "durationSeconds": seconds })),
            with(aggregate("a", "1"), json!({ "revision": revision, "total_time_seconds": seconds })),
        )
    };
    for (number, created, updated, ignored) in [(2, 2, 0, 0), (3, 0, 2, 0), (1, 0, 0, 2), (3, 0, 0, 2)] {
        let (visit, aggregate) = revision(number);
        let answer = user.sync(&[visit], &[aggregate]).await;
        let counts =
            (answer.count("created"), answer.count("updated"), answer.count("ignored_records_count"));
        assert_eq!(counts, (created, updated, ignored), "revision {number}");
    }
    assert_eq!(app.number("select cast(duration_seconds as bigint) from page_visits").await, 300);
    assert_eq!(app.number("select cast(total_time_seconds as bigint) from tab_aggregates").await, 300);
}

async fn of_one_id_twice_in_a_batch_the_highest_revision_is_stored(app: TestApp) {
    let user = app.user("a@example.com").await;
    let visits: Vec<Value> = [2, 5, 1]
        .into_iter()
        .map(|revision| with(visit("1"), json!({ "revision": revision, "tabId": revision })))
        .collect();
    let answer = user.sync(&visits, &[]).await;
    assert_eq!((answer.count("page_visits_synced"), answer.count("ignored_records_count")), (1, 2));
    assert_eq!(app.number("select tab_id from page_visits").await, 5);
}

async fn a_reference_may_come_before_what_it_refers_to(app: TestApp) {
    let user = app.user("a@example.com").await;
    let follower = with(visit("2"), json!({ "source_page_visit_id": "1" }));
    assert_eq!(user.sync(&[follower], &[aggregate("a", "1")]).await.count("created"), 2);
    assert_eq!(user.sync(&[visit("1")], &[]).await.count("created"), 1);
    let linked = "select count(*) from page_visits p \
                  join page_visits s on s.user_id = p.user_id and s.id = p.source_page_visit_id \
                  join tab_aggregates a on a.user_id = s.user_id and a.page_visit_id = s.id";
    assert_eq!(app.number(linked).await, 1);
}

async fn a_row_belongs_to_its_user(app: TestApp) {
    let anna = app.user("anna@example.com").await;
    let bert = app.user("bert@example.com").await;
    anna.sync(&[visit("1")], &[]).await;
    let answer = bert.sync(&[with(visit("1"), json!({ "revision": 9, "title": "Bert's" }))], &[]).await;
    assert_eq!(answer.count("created"), 1);
    assert_eq!(
        app.number("select count(*) from page_visits where title = 'A page' and revision = 1").await,
        1
    );
}

async fn parallel_batches_with_the_same_records_store_each_once(app: TestApp) {
    let user = app.user("a@example.com").await;
    let visits: Vec<Value> = (0..50).map(|number| visit(&format!("{number:03}"))).collect();
    let reversed: Vec<Value> = visits.iter().rev().cloned().collect();
    let mut requests = Vec::new();
    for number in 0..12 {
        let order = if number % 2 == 0 { &visits } else { &reversed };
        requests.push(user.sync(order, &[]));
    }
    let mut created = 0;
    for answer in join_all(requests).await {
        assert_eq!(answer.count("page_visits_synced") + answer.count("ignored_records_count"), 50);
        created += answer.count("created");
    }
    assert_eq!(created, 50);
    assert_eq!(app.stored().await, (50, 0));
}

async fn two_replicas_share_one_database(app: TestApp) {
    let user = app.user("a@example.com").await;
    let replica = app.replica(&[]).await;
    let elsewhere = user.at(&replica);
    assert_eq!(user.sync(&[visit("1")], &[]).await.count("created"), 1);
    assert_eq!(elsewhere.sync(&[visit("1"), visit("2")], &[]).await.count("created"), 1);
    assert_eq!(app.stored().await, (2, 0));
}

async fn a_batch_that_waits_beside_one_that_fails_is_saved(app: TestApp) {
    let store = Store::open(&app.database_url, policy::USER_REQUESTS).await.unwrap();
    let account = app.user("a@example.com").await.get("/users/me").await.body;
    let user_id: i64 = account["data"]["user"]["id"].as_str().unwrap().parse().unwrap();
    // Nobody has the id 1: its batches fail when they are saved.
    let save = |user_id, id: String| {
        let body = json!({ "pageVisits": [visit(&id)] }).to_string();
        let batch = check_batch(body.as_bytes()).ok().unwrap();
        store.save_batch(user_id, batch, None, UnixMillis::now(), None)
    };
    let savings = (0..40).map(|number| save(if number % 5 == 0 { 1 } else { user_id }, number.to_string()));
    for (number, saved) in join_all(savings.collect()).await.into_iter().enumerate() {
        assert_eq!(
            saved.ok().and_then(Result::ok).map(|counts| counts.created),
            (number % 5 != 0).then_some(1),
            "{number}"
        );
    }
    assert_eq!(app.stored().await, (32, 0));
}
