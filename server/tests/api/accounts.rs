//! Accounts and sessions.

use reqwest::Method;
use serde_json::json;

use crate::helpers::{Answer, TestApp, on_every_database, visit};

on_every_database! {
    a_new_account_can_log_in_at_once,
    me_is_the_account_of_the_token,
    a_second_sign_up_looks_the_same_and_changes_nothing,
    a_wrong_password_and_an_unknown_address_get_the_same_answer,
    a_wrong_password_and_an_unknown_address_cost_the_same_write,
    nothing_is_taken_without_a_good_access_token,
    forms_that_break_a_rule_name_the_field,
}

async fn a_new_account_can_log_in_at_once(app: TestApp) {
    let form = json!({ "email": "Anna@Example.com", "password": "correct horse", "first_name": "A", "last_name": "B" });
    assert_eq!(app.post("/auth/create-account", &form).await.status, 200);
    let login =
        app.post("/auth/login", &json!({ "email": "anna@example.com", "password": "correct horse" })).await;
    assert_eq!((login.status.as_u16(), &login.body["error"]), (200, &json!(false)));
    let data = &login.body["data"];
    assert_eq!((&data["ExpiresIn"], &data["TokenType"]), (&json!(900), &json!("Bearer")));
    assert!(data["AccessToken"].is_string() && data["RefreshToken"].is_string());
}

async fn me_is_the_account_of_the_token(app: TestApp) {
    let me = app.user("anna@example.com").await.get("/users/me").await;
    assert_eq!((me.status.as_u16(), &me.body["success"]), (200, &json!(true)));
    let user = &me.body["data"]["user"];
    assert_eq!((&user["email"], &user["isVerified"]), (&json!("anna@example.com"), &json!(true)));
    assert!(!user["id"].as_str().unwrap().is_empty());
}

async fn a_second_sign_up_looks_the_same_and_changes_nothing(app: TestApp) {
    let sign_up = |password| json!({ "email": "anna@example.com", "password": password });
    let first = app.post("/auth/create-account", &sign_up("correct horse")).await;
    let second = app.post("/auth/create-account", &sign_up("battery staple")).await;
    assert_eq!((first.status, first.body), (second.status, second.body));
    assert_eq!(app.post("/auth/login", &sign_up("correct horse")).await.status, 200);
    assert_eq!(app.post("/auth/login", &sign_up("battery staple")).await.status, 401);
}

async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(app: TestApp) {
    app.user("anna@example.com").await;
    let wrong =
        app.post("/auth/login", &json!({ "email": "anna@example.com", "password": "wrong horse" })).await;
    let unknown =
        app.post("/auth/login", &json!({ "email": "nobody@example.com", "password": "wrong horse" })).await;
    assert_eq!(wrong.status, 401);
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
}

async fn a_wrong_password_and_an_unknown_address_cost_the_same_write(app: TestApp) {
    app.user("anna@example.com").await;
    app.watch_inserts_into("audit_log").await;
    for (email, writes) in [("anna@example.com", 1), ("nobody@example.com", 2)] {
        let form = json!({ "email": email, "password": "wrong horse" });
        assert_eq!(app.post("/auth/login", &form).await.status, 401);
        assert_eq!(app.number("select count(*) from inserted").await, writes, "{email}");
        let kept = app.number("select count(*) from audit_log where action = 'login_failed'").await;
        assert_eq!(kept, 1, "{email}");
    }
}

async fn nothing_is_taken_without_a_good_access_token(app: TestApp) {
    let user = app.user("anna@example.com").await;
    let refresh_token = user.refresh_token.clone();
    for header in
        ["", "Bearer", "Bearer x.y.z", &format!("Basic {}", user.token), &format!("Bearer {refresh_token}")]
    {
        let request = app.request(Method::POST, "/data/sync").header("authorization", header);
        let answer = Answer::of(request.json(&json!({ "pageVisits": [visit("1")] }))).await;
        assert_eq!((answer.status.as_u16(), &answer.body["success"]), (401, &json!(false)), "{header}");
    }
    assert_eq!(Answer::of(app.request(Method::GET, "/users/me")).await.status, 401);
    app.execute("update sessions set revoked_at_ms = 1").await;
    assert_eq!(user.sync(&[visit("1")], &[]).await.status, 401);
    assert_eq!(app.stored().await, (0, 0));
}

async fn forms_that_break_a_rule_name_the_field(app: TestApp) {
    for (form, field) in [
        (json!({ "password": "correct horse" }), "email"),
        (json!({ "email": "anna", "password": "correct horse" }), "email"),
        (json!({ "email": "an\u{0}na@example.com", "password": "correct horse" }), "email"),
        (json!({ "email": "anna@example.com" }), "password"),
        (json!({ "email": "anna@example.com", "password": "1234567" }), "password"),
        (json!({ "email": "anna@example.com", "password": "x".repeat(73) }), "password"),
        (
            json!({ "email": "anna@example.com", "password": "correct horse", "first_name": "\u{0}" }),
            "first_name",
        ),
    ] {
        let answer = app.post("/auth/create-account", &form).await;
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (422, &json!(field)), "{form}");
    }
    for no_form in [json!("text"), json!(["anna@example.com", "correct horse"])] {
        assert_eq!(app.post("/auth/login", &no_form).await.status, 400, "{no_form}");
    }
}
