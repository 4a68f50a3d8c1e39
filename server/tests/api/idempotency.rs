//! `Idempotency-Key`: the answer to a saved batch is given again, and only that.

use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, User, on_every_database, visit, with};

on_every_database! {
    the_same_batch_under_its_key_gets_the_same_answer,
    another_body_under_the_key_is_another_batch,
    a_refused_batch_is_not_remembered,
    a_key_is_of_one_user_only,
    a_key_is_forgotten_after_a_day,
    an_erase_forgets_the_keys,
    a_key_that_is_none_is_refused,
}

async fn sync(user: &User<'_>, key: &str, page_visits: &[Value]) -> Answer {
    let request = user.request(Method::POST, "/data/sync").header("idempotency-key", key);
    Answer::of(request.json(&json!({ "pageVisits": page_visits }))).await
}

async fn the_same_batch_under_its_key_gets_the_same_answer(app: TestApp) {
    let user = app.user("a@example.com").await;
    let first = sync(&user, "k", &[visit("1")]).await;
    let again = sync(&user, "k", &[visit("1")]).await;
    assert_eq!((first.count("created"), &first.body), (1, &again.body));
    assert_eq!(app.number("select count(*) from sync_log").await, 1);
}

async fn another_body_under_the_key_is_another_batch(app: TestApp) {
    let user = app.user("a@example.com").await;
    sync(&user, "k", &[visit("1")]).await;
    assert_eq!(sync(&user, "k", &[visit("1"), visit("2")]).await.count("created"), 1);
    assert_eq!(sync(&user, "k", &[visit("1"), visit("2")]).await.count("created"), 1);
    assert_eq!(app.stored().await, (2, 0));
}

async fn a_refused_batch_is_not_remembered(app: TestApp) {
    let user = app.user("a@example.com").await;
    let bad = with(visit("1"), json!({ "url": "none" }));
    for _ in 0..2 {
        assert_eq!(sync(&user, "k", std::slice::from_ref(&bad)).await.failed_records().len(), 1);
    }
    assert_eq!(app.number("select count(*) from idempotency_keys").await, 0);
}

async fn a_key_is_of_one_user_only(app: TestApp) {
    let anna = app.user("anna@example.com").await;
    let bert = app.user("bert@example.com").await;
    for user in [anna, bert] {
        assert_eq!(sync(&user, "k", &[visit("1")]).await.count("created"), 1);
    }
}

async fn a_key_is_forgotten_after_a_day(app: TestApp) {
    let user = app.user("a@example.com").await;
    sync(&user, "k", &[visit("1")]).await;
    app.execute("update idempotency_keys set created_at_ms = created_at_ms - 86400000").await;
    assert_eq!(sync(&user, "k", &[visit("1")]).await.count("ignored_records_count"), 1);
}

async fn an_erase_forgets_the_keys(app: TestApp) {
    let user = app.user("a@example.com").await;
    sync(&user, "k", &[visit("1")]).await;
    assert_eq!(user.post("/data/erase", &json!({ "scope": "all" })).await.status, 200);
    assert_eq!(sync(&user, "k", &[visit("1")]).await.count("ignored_records_count"), 1);
    assert_eq!(app.stored().await, (0, 0));
}

async fn a_key_that_is_none_is_refused(app: TestApp) {
    let user = app.user("a@example.com").await;
    for key in ["", &"k".repeat(256)] {
        assert_eq!(sync(&user, key, &[visit("1")]).await.status, 400);
    }
}
