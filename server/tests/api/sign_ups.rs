//! Where the server sends mail, a new account must prove its address.

#![cfg(unix)]

use std::{os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, on_every_database};

on_every_database! {
    an_account_comes_to_life_with_the_code_from_the_mail,
    whoever_proves_the_address_gets_the_password_of_that_sign_up,
    an_address_with_an_account_gets_a_mail_and_the_same_answer,
    a_sign_up_costs_the_same_write_for_an_address_with_an_account,
    a_code_is_good_for_an_hour,
    another_code_replaces_the_first,
    codes_cannot_be_guessed_at_will,
    nobody_waits_for_a_code_where_no_mail_is_sent,
}

/// A server with a mail program that writes into a pipe.
struct Post {
    app: TestApp,
    pipe: PathBuf,
}

impl Post {
    async fn office(app: &TestApp) -> Self {
        let (program, pipe) = (app.file("sendmail"), app.file("pipe"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(&program, format!("#!/bin/sh\nexec cat > '{}'\n", pipe.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let app = app.replica(&["--sendmail", program.to_str().unwrap()]).await;
        Self { app, pipe }
    }

    async fn sign_up(&self, password: &str) -> Answer {
        let form = json!({ "email": "anna@example.com", "password": password });
        self.app.post("/auth/create-account", &form).await
    }

    async fn verify(&self, code: &str) -> u16 {
        let form = json!({ "email": "anna@example.com", "code": code });
        self.app.post("/verify-email", &form).await.status.as_u16()
    }

    async fn login(&self, password: &str) -> u16 {
        let form = json!({ "email": "anna@example.com", "password": password });
        self.app.post("/auth/login", &form).await.status.as_u16()
    }

    /// The next mail, as soon as it comes.
    async fn mail(&self) -> String {
        let pipe = self.pipe.clone();
        tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap()).await.unwrap()
    }
}

fn code(mail: &str) -> String {
    let (_, after) = mail.split_once("Your code is ").unwrap();
    after.chars().take(6).collect()
}

async fn an_account_comes_to_life_with_the_code_from_the_mail(app: TestApp) {
    let post = Post::office(&app).await;
    assert_eq!(post.sign_up("correct horse").await.status, 200);
    assert_eq!(post.login("correct horse").await, 401);
    let mail = post.mail().await;
    assert!(mail.contains("To: anna@example.com\r\n"));
    assert_eq!(post.verify("nonsense").await, 422);
    assert_eq!(post.verify(&code(&mail)).await, 200);
    assert_eq!(post.login("correct horse").await, 200);
    assert_eq!(post.verify(&code(&mail)).await, 422);
}

async fn whoever_proves_the_address_gets_the_password_of_that_sign_up(app: TestApp) {
    let post = Post::office(&app).await;
    post.sign_up("attackers own").await;
    let attackers = post.mail().await;
    post.sign_up("correct horse").await;
    assert_eq!(post.verify(&code(&post.mail().await)).await, 200);
    assert_eq!((post.login("correct horse").await, post.login("attackers own").await), (200, 401));
    assert_eq!(post.verify(&code(&attackers)).await, 422);
}

async fn an_address_with_an_account_gets_a_mail_and_the_same_answer(app: TestApp) {
    let post = Post::office(&app).await;
    let first = post.sign_up("correct horse").await;
    post.verify(&code(&post.mail().await)).await;
    let second = post.sign_up("battery staple").await;
    assert_eq!((first.status, first.body), (second.status, second.body));
    assert!(post.mail().await.contains("account already"));
    assert_eq!(post.login("battery staple").await, 401);
}

async fn a_sign_up_costs_the_same_write_for_an_address_with_an_account(app: TestApp) {
    let post = Post::office(&app).await;
    app.watch_inserts_into("pending_sign_ups").await;
    post.sign_up("correct horse").await;
    post.verify(&code(&post.mail().await)).await;
    assert_eq!(app.number("select count(*) from inserted").await, 1);
    post.sign_up("battery staple").await;
    assert!(post.mail().await.contains("account already"));
    assert_eq!(app.number("select count(*) from inserted").await, 2);
    assert_eq!(app.number("select count(*) from pending_sign_ups").await, 0);
}

async fn a_code_is_good_for_an_hour(app: TestApp) {
    let post = Post::office(&app).await;
    post.sign_up("correct horse").await;
    let mail = post.mail().await;
    app.execute("update pending_sign_ups set expires_at_ms = expires_at_ms - 3600000").await;
    assert_eq!(post.verify(&code(&mail)).await, 422);
}

async fn another_code_replaces_the_first(app: TestApp) {
    let post = Post::office(&app).await;
    post.sign_up("correct horse").await;
    let first = code(&post.mail().await);
    let form = json!({ "email": "anna@example.com" });
    assert_eq!(post.app.post("/resend-verification", &form).await.status, 200);
    let second = code(&post.mail().await);
    if first != second {
        assert_eq!(post.verify(&first).await, 422);
    }
    assert_eq!(post.verify(&second).await, 200);
}

async fn codes_cannot_be_guessed_at_will(app: TestApp) {
    let post = Post::office(&app).await;
    post.sign_up("correct horse").await;
    let right = code(&post.mail().await);
    for _ in 0..5 {
        assert_eq!(post.verify("nonsense").await, 422);
    }
    assert_eq!(post.verify(&right).await, 429);
    for _ in 0..4 {
        post.sign_up("correct horse").await;
    }
    let refused = post.sign_up("correct horse").await;
    assert_eq!((refused.status.as_u16(), refused.body["retry_after"].is_i64()), (429, true));
}

async fn nobody_waits_for_a_code_where_no_mail_is_sent(app: TestApp) {
    let answer = app.post("/verify-email", &json!({ "email": "anna@example.com", "code": "123456" })).await;
    assert_eq!((answer.status.as_u16(), &answer.body["field"]), (422, &json!("code")));
    let resend = app.post("/resend-verification", &json!({ "email": "anna@example.com" })).await;
    assert_eq!((resend.status.as_u16(), &resend.body["error"]), (200, &Value::Null));
}
