//! Sessions: refresh with rotation, logout, password change.

use reqwest::Method;
use serde_json::json;

use crate::helpers::{Answer, TestApp, User, on_every_database};

on_every_database! {
    a_refresh_gives_a_new_pair_that_works,
    a_token_whose_answer_was_lost_may_come_again,
    a_token_that_was_replaced_ends_the_session,
    of_two_answers_to_one_token_only_one_goes_on,
    parallel_refreshes_all_succeed,
    what_is_no_refresh_token_is_refused,
    a_logout_ends_the_session_at_once_and_only_that_one,
    a_new_password_ends_the_other_sessions,
    a_wrong_current_password_changes_nothing,
    the_audit_log_tells_what_was_done,
}

async fn is_in(user: &User<'_>) -> bool {
    user.get("/users/me").await.status == 200
}

async fn login<'a>(app: &'a TestApp, user: &User<'a>, password: &str) -> Option<User<'a>> {
    let answer = app.post("/auth/login", &json!({ "email": "a@example.com", "password": password })).await;
    (answer.status == 200).then(|| user.with_tokens(&answer))
}

async fn a_refresh_gives_a_new_pair_that_works(app: TestApp) {
    let mut user = app.user("a@example.com").await;
    for _ in 0..3 {
        let next = user.with_tokens(&user.refresh().await);
        assert_ne!(next.refresh_token, user.refresh_token);
        user = next;
        assert!(is_in(&user).await);
    }
}

async fn a_token_whose_answer_was_lost_may_come_again(app: TestApp) {
    let first = app.user("a@example.com").await;
    for _ in 0..3 {
        assert_eq!(first.refresh().await.status, 200);
    }
    let second = first.with_tokens(&first.refresh().await);
    assert_eq!(second.refresh().await.status, 200);
}

async fn a_token_that_was_replaced_ends_the_session(app: TestApp) {
    let first = app.user("a@example.com").await;
    let second = first.with_tokens(&first.refresh().await);
    let third = second.with_tokens(&second.refresh().await);
    assert_eq!(first.refresh().await.status, 401);
    assert_eq!(third.refresh().await.status, 401);
    assert!(!is_in(&third).await);
    assert_eq!(app.number("select count(*) from audit_log where action = 'refresh_token_reused'").await, 1);
}

async fn of_two_answers_to_one_token_only_one_goes_on(app: TestApp) {
    let first = app.user("a@example.com").await;
    let thief = first.with_tokens(&first.refresh().await);
    let owner = first.with_tokens(&first.refresh().await);
    assert_eq!(owner.refresh().await.status, 200);
    assert_eq!(thief.refresh().await.status, 401);
    assert!(!is_in(&owner).await);
}

async fn parallel_refreshes_all_succeed(app: TestApp) {
    let user = app.user("a@example.com").await;
    let (one, two, three) = tokio::join!(user.refresh(), user.refresh(), user.refresh());
    for answer in [one, two, three] {
        assert_eq!(answer.status, 200);
    }
}

async fn what_is_no_refresh_token_is_refused(app: TestApp) {
    let user = app.user("a@example.com").await;
    for token in ["", "x.y.z", &user.token] {
        assert_eq!(app.post("/auth/refresh", &json!({ "refresh_token": token })).await.status, 401);
    }
    assert_eq!(app.post("/auth/refresh", &json!({})).await.status, 422);
    app.execute("update sessions set expires_at_ms = 1").await;
    assert_eq!(user.refresh().await.status, 401);
}

async fn a_logout_ends_the_session_at_once_and_only_that_one(app: TestApp) {
    let user = app.user("a@example.com").await;
    let elsewhere = login(&app, &user, "correct horse").await.unwrap();
    assert_eq!(Answer::of(user.request(Method::POST, "/auth/logout")).await.status, 200);
    assert!(!is_in(&user).await);
    assert_eq!(user.refresh().await.status, 401);
    assert!(is_in(&elsewhere).await);
}

async fn a_new_password_ends_the_other_sessions(app: TestApp) {
    let user = app.user("a@example.com").await;
    let elsewhere = login(&app, &user, "correct horse").await.unwrap();
    let change = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    assert_eq!(user.post("/auth/change-password", &change).await.status, 200);
    assert!(is_in(&user).await && !is_in(&elsewhere).await);
    assert!(login(&app, &user, "correct horse").await.is_none());
    assert!(login(&app, &user, "battery staple").await.is_some());
}

async fn a_wrong_current_password_changes_nothing(app: TestApp) {
    let user = app.user("a@example.com").await;
    for (change, field) in [
        (json!({ "current_password": "wrong horse", "new_password": "battery staple" }), "current_password"),
        (json!({ "current_password": "correct horse", "new_password": "short" }), "new_password"),
        (json!({ "new_password": "battery staple" }), "current_password"),
    ] {
        let answer = user.post("/auth/change-password", &change).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (422, &json!(field)));
    }
    assert!(login(&app, &user, "correct horse").await.is_some());
}

async fn the_audit_log_tells_what_was_done(app: TestApp) {
    let user = app.user("a@example.com").await;
    login(&app, &user, "wrong horse").await;
    user.post("/data/erase", &json!({ "scope": "all" })).await;
    Answer::of(user.request(Method::POST, "/auth/logout")).await;
    let distinct = "select count(distinct action) from audit_log \
                    where action in ('account_created', 'logged_in', 'login_failed', 'erased', 'logged_out')";
    assert_eq!(app.number(distinct).await, 5);
    assert_eq!(app.number("select count(*) from audit_log").await, 5);
}
