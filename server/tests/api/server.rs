//! The server as a server.

use reqwest::{Client, Method};

use crate::helpers::{Answer, TestApp, on_every_database};

on_every_database! {
    health_says_that_the_database_answers,
    unknown_addresses_and_methods_are_answered_in_json,
    any_origin_may_ask_and_read_retry_after,
}

async fn health_says_that_the_database_answers(app: TestApp) {
    let health = Answer::of(app.request(Method::GET, "/health")).await;
    assert_eq!((health.status.as_u16(), health.body["status"].as_str()), (200, Some("ok")));
}

async fn unknown_addresses_and_methods_are_answered_in_json(app: TestApp) {
    let unknown = Answer::of(app.request(Method::GET, "/no/such/route")).await;
    assert_eq!((unknown.status.as_u16(), unknown.body["error"].as_str()), (404, Some("not_found")));
    let method = Answer::of(app.request(Method::DELETE, "/data/sync")).await;
    assert_eq!((method.status.as_u16(), method.body["error"].as_str()), (405, Some("method_not_allowed")));
}

async fn any_origin_may_ask_and_read_retry_after(app: TestApp) {
    let preflight = Client::new()
        .request(Method::OPTIONS, format!("http://{}/api/v1/data/sync", app.address))
        .header("origin", "chrome-extension://abc")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,content-encoding,idempotency-key",
        );
    let answer = Answer::of(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let health = app.request(Method::GET, "/health").header("origin", "chrome-extension://abc");
    let exposed =
        Answer::of(health).await.headers["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    assert!(exposed.contains("retry-after"));
}
