//! What is too much or makes no sense gets a clear 4xx, never a 500, and leaves nothing behind.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, on_every_database, visit, with};

on_every_database! {
    bodies_that_are_no_batch_are_bad_requests,
    too_many_records_are_refused_with_the_limit,
    a_long_body_is_refused_packed_or_not,
    whoever_is_refused_in_mid_sending_reads_why,
    a_form_is_short,
    a_packed_body_is_read,
    other_types_and_encodings_are_refused,
    characters_that_no_database_takes_are_blamed_on_their_record,
    endless_nesting_is_blamed_on_its_record,
    text_at_its_limit_is_stored,
}

async fn bodies_that_are_no_batch_are_bad_requests(app: TestApp) {
    let user = app.user("a@example.com").await;
    for body in [
        "",
        "{}",
        "[]",
        "[[],[]]",
        "null",
        "{\"pageVisits\":{}}",
        "{\"page_visits\":[]}",
        "{\"pageVisits\":[{",
        "\u{0}",
    ] {
        let answer = user.sync_raw(body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["success"]), (400, &json!(false)), "{body}");
        assert!(answer.body["message"].is_string());
    }
    assert_eq!(user.sync_raw(b"{\"pageVisits\":[{\"id\":\"\xff\"}]}".to_vec()).await.status, 400);
    assert_eq!(user.sync(&[], &[]).await.count("page_visits_synced"), 0);
}

async fn too_many_records_are_refused_with_the_limit(app: TestApp) {
    let user = app.user("a@example.com").await;
    let visits: Vec<Value> = (0..1_001).map(|number| json!({ "id": number })).collect();
    let answer = user.sync(&visits, &[]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"], json!("batch_too_large"));
    assert!(answer.body["message"].as_str().unwrap().starts_with("Batch size exceeded. Maximum 1000 "));
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn a_long_body_is_refused_packed_or_not(app: TestApp) {
    let user = app.user("a@example.com").await;
    let long = format!("{{\"pageVisits\":[\"{}\"]}}", "x".repeat(4 * 1024 * 1024));
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    assert_eq!(user.sync_raw(long.clone()).await.status, 413);
    for packed in [gzip(long.as_bytes()), bomb] {
        assert_eq!(sync_packed(&user, packed).await.status, 413);
    }
}

async fn sync_packed(user: &crate::helpers::User<'_>, packed: Vec<u8>) -> Answer {
    let request = user
        .request(Method::POST, "/data/sync")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    Answer::of(request.body(packed)).await
}

async fn a_packed_body_is_read(app: TestApp) {
    let user = app.user("a@example.com").await;
    let body = json!({ "pageVisits": [visit("1")] }).to_string();
    assert_eq!(sync_packed(&user, gzip(body.as_bytes())).await.count("created"), 1);
    assert_eq!(sync_packed(&user, body.clone().into_bytes()).await.status, 400);
    for (encoding, bytes) in [("GZip", gzip(body.as_bytes())), ("Identity", body.into_bytes())] {
        let request = user
            .request(Method::POST, "/data/sync")
            .header("content-type", "application/json")
            .header("content-encoding", encoding);
        assert_eq!(Answer::of(request.body(bytes)).await.count("ignored_records_count"), 1, "{encoding}");
    }
}

async fn other_types_and_encodings_are_refused(app: TestApp) {
    let user = app.user("a@example.com").await;
    let body = json!({ "pageVisits": [] }).to_string();
    let plain =
        user.request(Method::POST, "/data/sync").header("content-type", "text/plain").body(body.clone());
    assert_eq!(Answer::of(plain).await.status, 415);
    let brotli = user.request(Method::POST, "/data/sync").header("content-encoding", "br").json(&body);
    assert_eq!(Answer::of(brotli).await.status, 415);
}

async fn characters_that_no_database_takes_are_blamed_on_their_record(app: TestApp) {
    let user = app.user("a@example.com").await;
    for hiding_place in
        [r#""title":"\u0000""#, r#""title":"\ud83d""#, r#""metadata":{"a":["\udc00"]}"#, r#""new":"\u0000""#]
    {
        let good = visit("good");
        let body = format!(
            r#"{{"pageVisits":[{good},{{"id":"bad","url":"https://e.com/","visited_at":1,{hiding_place}}}]}}"#
        );
        let answer = user.sync_raw(body).await;
        let ids: Vec<Value> = answer.failed_records().into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, [json!("bad")], "{hiding_place}");
    }
    assert_eq!(app.stored().await, (0, 0));
}

async fn endless_nesting_is_blamed_on_its_record(app: TestApp) {
    let user = app.user("a@example.com").await;
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let body = format!(
        r#"{{"pageVisits":[{{"id":"bad","url":"https://e.com/","visited_at":1,"metadata":{deep}}}]}}"#
    );
    assert_eq!(user.sync_raw(body).await.failed_records().len(), 1);
}

async fn text_at_its_limit_is_stored(app: TestApp) {
    let user = app.user("a@example.com").await;
    let widest = "\u{10ffff}";
    let id = widest.repeat(255);
    let url = format!("https://e.com/{}", widest.repeat(2_048 - 14));
    let full =
        with(visit(&id), json!({ "url": url, "title": widest.repeat(500), "source_page_visit_id": id }));
    assert_eq!(user.sync(&[full], &[crate::helpers::aggregate(&id, &id)]).await.count("created"), 2);
}

async fn whoever_is_refused_in_mid_sending_reads_why(app: TestApp) {
    let long = vec![b' '; 8 * 1024 * 1024];
    for _ in 0..5 {
        let request = app.request(Method::POST, "/data/sync").header("content-type", "application/json");
        assert_eq!(Answer::of(request.body(long.clone())).await.status, 401);
    }
}

async fn a_form_is_short(app: TestApp) {
    let long = json!({ "email": "x".repeat(16 * 1024), "password": "correct horse" });
    assert_eq!(app.post("/auth/login", &long).await.status, 413);
}
