//! Too many requests are told when to come back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, join_all, on_every_database, visit, with};

on_every_database! {
    a_user_is_told_when_to_come_back,
    every_request_of_a_user_counts,
    requests_at_the_same_time_cannot_slip_through_together,
    one_users_limit_is_not_anothers,
    replicas_share_the_count,
    a_new_window_starts_at_nothing,
    passwords_cannot_be_guessed_at_will,
    an_address_cannot_try_accounts_at_will,
    a_made_up_forwarded_address_changes_nothing,
}

fn number(answer: &Answer, header: &str) -> i64 {
    answer.headers[header].to_str().unwrap().parse().unwrap()
}

async fn a_user_is_told_when_to_come_back(app: TestApp) {
    let user = app.user("a@example.com").await;
    let strict = app.replica(&["--requests-per-minute", "3"]).await;
    let user = user.at(&strict);
    let first = user.sync(&[visit("1")], &[]).await;
    assert_eq!((number(&first, "ratelimit-limit"), number(&first, "ratelimit-remaining")), (3, 2));
    // A refused batch counts, and so does a question.
    assert_eq!(user.sync(&[with(visit("2"), json!({ "url": "none" }))], &[]).await.status, 400);
    assert_eq!(user.get("/data/sync/status").await.status, 200);
    let refused = user.sync(&[visit("3")], &[]).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]), (429, &json!("rate_limited")));
    let wait = number(&refused, "retry-after");
    assert!((1..=60).contains(&wait));
    assert_eq!(
        (refused.body["retry_after"].as_i64(), number(&refused, "ratelimit-remaining")),
        (Some(wait), 0)
    );
    assert_eq!(app.stored().await, (1, 0));
}

async fn every_request_of_a_user_counts(app: TestApp) {
    let user = app.user("a@example.com").await;
    let strict = app.replica(&["--requests-per-minute", "7"]).await;
    let user = user.at(&strict);
    let empty = json!({});
    assert_eq!(user.get("/users/me").await.status, 200);
    assert_eq!(user.get("/browsing_data?page=0").await.status, 422);
    assert_eq!(user.post("/data/sync", &empty).await.status, 400);
    assert_eq!(user.sync_raw("x".repeat(4 * 1024 * 1024 + 1)).await.status, 413);
    assert_eq!(user.post("/data/sync/known", &empty).await.status, 400);
    assert_eq!(user.post("/data/erase", &empty).await.status, 422);
    let seventh = user.post("/auth/change-password", &empty).await;
    assert_eq!((seventh.status.as_u16(), number(&seventh, "ratelimit-remaining")), (422, 0));
    assert_eq!(user.get("/users/me").await.status, 429);
}

async fn requests_at_the_same_time_cannot_slip_through_together(app: TestApp) {
    let user = app.user("a@example.com").await;
    let strict = app.replica(&["--requests-per-minute", "5"]).await;
    let user = user.at(&strict);
    let visits: Vec<Value> = (0..30).map(|number| visit(&number.to_string())).collect();
    let answers =
        join_all(visits.iter().map(|visit| user.sync(std::slice::from_ref(visit), &[])).collect()).await;
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(refused.len(), 25);
    for answer in refused {
        assert_eq!((number(answer, "ratelimit-remaining"), number(answer, "retry-after") > 0), (0, true));
    }
    assert_eq!(app.stored().await, (5, 0));
}

async fn one_users_limit_is_not_anothers(app: TestApp) {
    let anna = app.user("anna@example.com").await;
    let bert = app.user("bert@example.com").await;
    let strict = app.replica(&["--requests-per-minute", "1"]).await;
    assert_eq!(anna.at(&strict).sync(&[visit("1")], &[]).await.status, 200);
    assert_eq!(anna.at(&strict).sync(&[visit("1")], &[]).await.status, 429);
    assert_eq!(bert.at(&strict).sync(&[visit("1")], &[]).await.status, 200);
}

async fn replicas_share_the_count(app: TestApp) {
    let user = app.user("a@example.com").await;
    let (one, two) = (
        app.replica(&["--requests-per-minute", "2"]).await,
        app.replica(&["--requests-per-minute", "2"]).await,
    );
    assert_eq!(user.at(&one).sync(&[visit("1")], &[]).await.status, 200);
    assert_eq!(user.at(&two).sync(&[visit("1")], &[]).await.status, 200);
    assert_eq!(user.at(&one).sync(&[visit("1")], &[]).await.status, 429);
}

async fn a_new_window_starts_at_nothing(app: TestApp) {
    let user = app.user("a@example.com").await;
    app.execute("update users set window_requests = 999999, window_start_ms = 60000").await;
    assert_eq!(user.sync(&[visit("1")], &[]).await.status, 200);
    assert_eq!(app.number("select window_requests from users").await, 1);
}

async fn passwords_cannot_be_guessed_at_will(app: TestApp) {
    app.user("a@example.com").await;
    let login = |email: &'static str, password: &'static str| {
        let app = &app;
        async move {
            app.post("/auth/login", &json!({ "email": email, "password": password })).await.status.as_u16()
        }
    };
    for _ in 0..9 {
        assert_eq!(login("a@example.com", "wrong horse").await, 401);
    }
    // The tenth is right: the count starts again.
    assert_eq!(login("A@example.com", "correct horse").await, 200);
    for email in ["a@example.com", "nobody@example.com"] {
        for _ in 0..10 {
            assert_eq!(login(email, "wrong horse").await, 401);
        }
        assert_eq!(login(email, "correct horse").await, 429);
    }
}

async fn an_address_cannot_try_accounts_at_will(app: TestApp) {
    for _ in 0..300 {
        assert_eq!(app.post("/auth/refresh", &json!({ "refresh_token": "none" })).await.status, 401);
    }
    let refused =
        app.post("/auth/login", &json!({ "email": "a@example.com", "password": "correct horse" })).await;
    assert_eq!((refused.status.as_u16(), number(&refused, "retry-after") > 0), (429, true));
    assert_eq!(app.number("select count(*) from rate_limits where subject like '%127.0.0.1%'").await, 0);
}

async fn a_made_up_forwarded_address_changes_nothing(app: TestApp) {
    let trusting = app.replica(&["--trust-forwarded-for"]).await;
    for (server, subjects) in [(&app, 1), (&trusting, 3)] {
        for address in ["203.0.113.1", "203.0.113.2"] {
            let request = server.request(Method::POST, "/auth/refresh").header("x-forwarded-for", address);
            Answer::of(request.json(&json!({ "refresh_token": "none" }))).await;
        }
        assert_eq!(app.number("select count(*) from rate_limits").await, subjects);
    }
}
