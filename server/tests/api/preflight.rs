//! What a client may ask before and after it sends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp, aggregate, on_every_database, visit, with};

on_every_database! {
    known_tells_what_is_held_at_which_revision,
    known_takes_a_page_of_twenty_thousand_ids_and_no_more,
    capabilities_need_no_login,
    status_lists_the_last_syncs_and_what_is_held,
}

async fn known_tells_what_is_held_at_which_revision(app: TestApp) {
    let user = app.user("a@example.com").await;
    let other = app.user("b@example.com").await;
    user.sync(&[visit("1"), with(visit("2"), json!({ "revision": 4 }))], &[aggregate("a", "1")]).await;
    other.sync(&[visit("3")], &[]).await;
    let question =
        json!({ "pageVisits": [{ "id": "2", "revision": 9 }, "1", "3"], "tabAggregates": ["a", "b"] });
    let answer = user.post("/data/sync/known", &question).await;
    let mut visits: Vec<Value> = answer.body["data"]["pageVisits"].as_array().unwrap().clone();
    visits.sort_by_key(ToString::to_string);
    assert_eq!(visits, [json!({ "id": "1", "revision": 1 }), json!({ "id": "2", "revision": 4 })]);
    assert_eq!(answer.body["data"]["tabAggregates"], json!([{ "id": "a", "revision": 1 }]));
    assert_eq!(answer.body["data"]["erasedPageVisits"], json!([]));
}

async fn known_takes_a_page_of_twenty_thousand_ids_and_no_more(app: TestApp) {
    let user = app.user("a@example.com").await;
    user.sync(&[visit("id-19999")], &[]).await;
    let ids = |count: usize| (0..count).map(|number| format!("id-{number}")).collect::<Vec<_>>();
    let answer = user.post("/data/sync/known", &json!({ "pageVisits": ids(20_000) })).await;
    assert_eq!(answer.body["data"]["pageVisits"].as_array().map(Vec::len), Some(1));
    let too_many =
        user.post("/data/sync/known", &json!({ "pageVisits": ids(20_000), "tabAggregates": ["x"] })).await;
    assert_eq!((too_many.status.as_u16(), &too_many.body["error"]), (400, &json!("batch_too_large")));
}

async fn capabilities_need_no_login(app: TestApp) {
    let answer = Answer::of(app.request(Method::GET, "/data/sync/capabilities")).await;
    let data = &answer.body["data"];
    assert_eq!((&data["compression"], &data["references_in_any_order"]), (&json!(["gzip"]), &json!(true)));
    assert_eq!((&data["preflight"]["max_ids"], &data["max_page_visits"]), (&json!(20_000), &json!(1_000)));
}

async fn status_lists_the_last_syncs_and_what_is_held(app: TestApp) {
    let user = app.user("a@example.com").await;
    let client = json!({ "browserName": "Firefox", "browserVersion": "144.0", "extensionVersion": 7 });
    let saved = with(
        json!({ "pageVisits": [visit("1"), visit("2")], "tabAggregates": [aggregate("a", "1")] }),
        client,
    );
    assert_eq!(user.post("/data/sync", &saved).await.count("created"), 3);
    assert_eq!(user.sync(&[with(visit("3"), json!({ "url": "none" }))], &[]).await.failed_records().len(), 1);
    let status = user.get("/data/sync/status").await;
    let data = &status.body["data"];
    assert_eq!(data["totals"], json!({ "page_visits": 2, "tab_aggregates": 1 }));
    assert_eq!(data["data_quality_score"], json!(75.0));
    let recent = data["recent_syncs"].as_array().unwrap();
    let outcomes: Vec<_> =
        recent.iter().map(|sync| (&sync["outcome"], &sync["sent"], &sync["client"])).collect();
    assert_eq!(
        outcomes,
        [(&json!("refused"), &json!(1), &Value::Null), (&json!("saved"), &json!(3), &json!("Firefox 144.0"))]
    );
    assert_eq!(data["last_sync_at"], recent[1]["at"]);
}
