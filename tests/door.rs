//! The door to JavaScript, as another extension meets it.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/door.rs"]
mod door;

use std::collections::BTreeSet;

use door::{
    Network, SECRET, SERVER, Timers, Watch, aggregate, js, open, open_with, options, record, record_pairs,
    seen, status, sync, value, visit,
};
use heyho_sync::boundary::SyncCore;
use js_sys::{Function, JSON, JsString, Object, Promise, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const NONE: Value = Value::Null;

/// The visit with one field replaced, or removed where the value is null.
fn visit_with(field: &str, value: Value) -> Value {
    let mut visit = visit(7);
    if value.is_null() {
        visit.as_object_mut().unwrap().shift_remove(field);
    } else {
        visit[field] = value;
    }
    visit
}

async fn refusal(core: &SyncCore, records: Value) -> Value {
    seen(&record(core, records).await.unwrap_err())
}

fn counts(page_visits: u64, tab_aggregates: u64) -> Value {
    json!({ "pageVisits": page_visits, "tabAggregates": tab_aggregates })
}

#[wasm_bindgen_test]
async fn a_malformed_visit_is_refused_by_code_field_list_and_place() {
    let core = open(json!({})).await;
    let large = json!({ "note": vec!["x".repeat(1999); 31] });
    for (field, content, code) in [
        ("id", NONE, "missing_field"),
        ("id", json!("  "), "missing_field"),
        ("url", json!("ftp://example.org/"), "bad_url"),
        ("url", json!("javascript:alert(1)"), "bad_url"),
        ("visited_at", json!("yesterday"), "bad_time"),
        ("durationSeconds", json!(-1), "out_of_range"),
        ("metadata", large, "too_large"),
        ("title", json!("a\0b"), "broken_text"),
        ("revision", json!(0.5), "wrong_type"),
    ] {
        let bad = visit_with(field, content);
        let error = refusal(&core, json!({ "pageVisits": [visit(1), visit(2), bad, visit(3)] })).await;
        let expected = json!({
            "name": "RecordError", "code": code, "field": field, "list": "pageVisits", "index": 2,
        });
        assert_eq!(error, expected);
        assert_eq!(status(&core).await["captured"], counts(0, 0), "{code}");
    }
}

#[wasm_bindgen_test]
async fn a_malformed_aggregate_is_refused_by_code_field_list_and_place() {
    let core = open(json!({})).await;
    let mut bad = aggregate(1);
    bad["total_time_seconds"] = json!(-3);
    let error = refusal(&core, json!({ "pageVisits": [visit(1)], "tabAggregates": [bad] })).await;
    let expected = json!({
        "name": "RecordError", "code": "out_of_range", "field": "total_time_seconds",
        "list": "tabAggregates", "index": 0,
    });
    assert_eq!(error, expected);
}

#[wasm_bindgen_test]
async fn half_of_a_surrogate_pair_is_refused() {
    let core = open(json!({})).await;
    let text = json!({ "pageVisits": [visit_with("title", json!("HALF"))] }).to_string();
    let broken = JSON::parse(&text.replace("HALF", "a \\ud83d b")).unwrap();
    let error = seen(&core.record(broken).await.unwrap_err());
    assert_eq!((&error["code"], &error["field"]), (&json!("broken_text"), &json!("title")));
    let whole = JSON::parse(&text.replace("HALF", "a \\ud83d\\ude00 b")).unwrap();
    core.record(whole).await.unwrap();
}

#[wasm_bindgen_test]
async fn what_is_no_record_is_refused() {
    let core = open(json!({})).await;
    for item in [json!("text"), json!(5), json!(null), json!([visit(1)])] {
        let error = refusal(&core, json!({ "pageVisits": [item] })).await;
        let expected = json!({ "name": "RecordError", "code": "not_an_object", "field": "", "list": "pageVisits", "index": 0 });
        assert_eq!(error, expected);
    }
    for list in [json!("text"), json!(5), visit(1), json!(true)] {
        let error = refusal(&core, json!({ "tabAggregates": list })).await;
        let expected =
            json!({ "name": "ArgumentError", "code": "invalid_argument", "field": "tabAggregates" });
        assert_eq!(error, expected);
    }
    for records in [json!("text"), json!(5), json!(null), json!([visit(1)])] {
        assert_eq!(refusal(&core, records).await["name"], "ArgumentError");
    }
    let circular = Object::new();
    Reflect::set(&circular, &"self".into(), &circular).unwrap();
    for item in [JsValue::from(circular), Function::new_no_args("").into(), JsValue::UNDEFINED] {
        let records = Object::new();
        Reflect::set(&records, &"pageVisits".into(), &js_sys::Array::of1(&item)).unwrap();
        assert_eq!(seen(&core.record(records.into()).await.unwrap_err())["name"], "ArgumentError");
    }
}

#[wasm_bindgen_test]
async fn a_refused_call_leaves_the_records_of_other_calls_unharmed() {
    let core = open(json!({})).await;
    record(&core, json!({ "pageVisits": [visit(1)], "tabAggregates": [aggregate(1)] })).await.unwrap();
    refusal(&core, json!({ "pageVisits": [visit(2), visit_with("id", NONE)] })).await;
    let recorded = record(&core, json!({ "pageVisits": [visit(3)] })).await.unwrap();
    assert_eq!(recorded, json!({ "captured": 1, "heldAlready": 0, "notRecorded": 0 }));
    let status = status(&core).await;
    assert_eq!((&status["captured"], &status["pending"]), (&counts(2, 1), &counts(2, 1)));
    let network = Network::that_counts();
    sync(&core).await;
    let body: Value = serde_json::from_str(network.calls()[0]["body"].as_str().unwrap()).unwrap();
    let ids: Vec<&str> =
        body["pageVisits"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["visit-00001", "visit-00003"]);
}

#[wasm_bindgen_test]
async fn another_body_at_a_held_revision_names_the_record() {
    let core = open(json!({})).await;
    record(&core, json!({ "pageVisits": [visit(7)] })).await.unwrap();
    let again = record(&core, json!({ "pageVisits": [visit(7)] })).await.unwrap();
    assert_eq!(again, json!({ "captured": 0, "heldAlready": 1, "notRecorded": 0 }));
    let error =
        refusal(&core, json!({ "pageVisits": [visit(8), visit_with("title", json!("other"))] })).await;
    let expected = json!({
        "name": "RecordError", "code": "revision_held", "field": "revision", "list": "pageVisits", "index": 1,
    });
    assert_eq!(error, expected);
}

#[wasm_bindgen_test]
async fn unknown_fields_survive_the_journey() {
    let core = open(json!({})).await;
    let mut record_in = visit(1);
    record_in["somethingNew"] = json!({ "deep": [1, "two", null, true] });
    record(&core, json!({ "pageVisits": [record_in] })).await.unwrap();
    let network = Network::that_counts();
    sync(&core).await;
    let body: Value = serde_json::from_str(network.calls()[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["pageVisits"][0]["somethingNew"], json!({ "deep": [1, "two", null, true] }));
    assert_eq!(body["pageVisits"][0]["revision"], 1);
}

#[wasm_bindgen_test]
async fn options_that_can_not_be_taken_are_refused_by_name() {
    for (changes, field) in [
        (json!({ "serverUrl": null }), "options"),
        (json!({ "serverUrl": "api.example.org" }), "serverUrl"),
        (json!({ "serverUrl": "ftp://api.example.org" }), "serverUrl"),
        (json!({ "consent": "yes" }), "options"),
        (json!({ "session": { "account": "", "accessToken": SECRET } }), "session.account"),
        (json!({ "session": { "account": 7, "accessToken": SECRET } }), "options"),
        (json!({ "session": { "account": "user-1" } }), "options"),
        (json!({ "policy": { "maxPageVisits": 0 } }), "policy.maxPageVisits"),
        (json!({ "policy": { "requestTimeoutMs": -1 } }), "policy.requestTimeoutMs"),
        (json!({ "policy": { "maxBodyBytes": "many" } }), "options"),
        (json!({ "policy": { "compress": "sometimes" } }), "policy.compress"),
        (json!({ "keepAlive": true }), "keepAlive"),
        (json!({ "armRetry": "soon" }), "armRetry"),
        (json!({ "excludedSites": "example.org" }), "options"),
        (json!({ "excludedSites": ["example.org", "not a site"] }), "excludedSites[1]"),
    ] {
        let Err(error) = SyncCore::open(js(&options(&changes))).await else { panic!("{changes} was taken") };
        let expected = json!({ "name": "ArgumentError", "code": "invalid_argument", "field": field });
        assert_eq!(seen(&error), expected, "{changes}");
    }
    for nothing in [JsValue::UNDEFINED, JsValue::NULL, JsValue::from_f64(5.0)] {
        let Err(error) = SyncCore::open(nothing).await else { panic!("nothing was taken") };
        assert_eq!(seen(&error)["name"], "ArgumentError");
    }
}

#[wasm_bindgen_test]
async fn arguments_that_can_not_be_taken_are_refused() {
    let core = open(json!({})).await;
    for event in
        [json!({}), json!("x"), json!({ "at": 1, "type": "sneezed" }), json!({ "type": "heartbeat" })]
    {
        let error = core.handle_event(js(&event)).await.unwrap_err();
        assert_eq!(
            seen(&error),
            json!({ "name": "ArgumentError", "code": "invalid_argument", "field": "event" })
        );
    }
    for session in
        [json!({ "account": "user-1" }), json!("user-1"), json!({ "account": "", "accessToken": SECRET })]
    {
        assert_eq!(seen(&core.set_session(js(&session)).await.unwrap_err())["name"], "ArgumentError");
    }
    for patch in [json!({ "serverUrl": "nowhere" }), json!({ "paused": 1 })] {
        assert_eq!(seen(&core.set_settings(js(&patch)).await.unwrap_err())["name"], "ArgumentError");
    }
    let error = core.sync(js(&json!({ "maxBatches": "two" }))).await.unwrap_err();
    assert_eq!(seen(&error)["name"], "ArgumentError");
    assert_eq!(status(&core).await["signedIn"], true);
}

#[wasm_bindgen_test]
async fn the_status_tells_everything_that_is_promised() {
    let core = open(json!({})).await;
    let new = status(&core).await;
    for place in [
        "captured",
        "acknowledged",
        "pending",
        "parked",
        "quarantined",
        "archived",
        "discarded",
        "unrecoverable",
    ] {
        assert_eq!(new[place], counts(0, 0), "{place}");
    }
    for nothing in ["problem", "lastSuccessAt", "lastAttemptAt", "nextAttemptAt", "progress", "lastReport"] {
        assert!(new.as_object().unwrap().contains_key(nothing) && new[nothing].is_null(), "{nothing}");
    }
    assert_eq!((&new["state"], &new["health"]["booksBalance"]), (&json!("idle"), &json!(true)));
    record_pairs(&core, 3).await;
    let _network = Network::that_counts();
    let before = js_sys::Date::now();
    let report = sync(&core).await;
    let after = status(&core).await;
    assert_eq!(
        (&after["captured"], &after["acknowledged"], &after["pending"]),
        (&counts(3, 3), &counts(3, 3), &counts(0, 0))
    );
    for moment in ["lastSuccessAt", "lastAttemptAt"] {
        assert!(after[moment].as_f64().unwrap() >= before, "{moment}");
    }
    assert_eq!(after["lastReport"], report);
    assert_eq!(after["state"], "idle");
}

#[wasm_bindgen_test]
async fn a_subscriber_is_told_at_once_and_after_every_change_until_it_ends() {
    let core = open(json!({})).await;
    let (watch, witness) = (Watch::new(), Watch::new());
    let stop: Function = core.subscribe(watch.listener()).dyn_into().unwrap();
    assert_eq!(value(&watch.next().await)["captured"], counts(0, 0));
    record(&core, json!({ "pageVisits": [visit(1)] })).await.unwrap();
    assert_eq!(value(&watch.next().await)["captured"], counts(1, 0));
    stop.call0(&JsValue::NULL).unwrap();
    stop.call0(&JsValue::NULL).unwrap();
    core.subscribe(witness.listener());
    assert_eq!(value(&witness.next().await)["captured"], counts(1, 0));
    record(&core, json!({ "pageVisits": [visit(2)] })).await.unwrap();
    assert_eq!(value(&witness.next().await)["captured"], counts(2, 0));
    assert_eq!(watch.seen().length(), 0);
}

#[wasm_bindgen_test]
async fn a_subscriber_that_throws_stands_in_nobodys_way() {
    let core = open(json!({})).await;
    core.subscribe(Function::new_no_args("throw new Error('mine')"));
    let watch = Watch::new();
    core.subscribe(watch.listener());
    assert_eq!(value(&watch.next().await)["captured"], counts(0, 0));
    record(&core, json!({ "pageVisits": [visit(1)] })).await.unwrap();
    assert_eq!(value(&watch.next().await)["captured"], counts(1, 0));
}

#[wasm_bindgen_test]
async fn progress_is_told_while_a_sync_runs() {
    let core = open(json!({})).await;
    record_pairs(&core, 150).await;
    let _network = Network::that_counts();
    let watch = Watch::new();
    core.subscribe(watch.listener());
    watch.next().await;
    sync(&core).await;
    let mut told: Vec<Value> = Vec::new();
    while told.last().is_none_or(|status| status["state"] != "idle") {
        told.push(value(&watch.next().await));
    }
    let syncing: Vec<&Value> = told.iter().filter(|status| status["state"] == "syncing").collect();
    assert!(!syncing.is_empty());
    for status in syncing {
        assert_eq!(status["progress"]["total"], 300);
    }
    assert_eq!(told.last().unwrap()["acknowledged"], counts(150, 150));
}

#[wasm_bindgen_test]
async fn a_login_is_restored_only_where_it_was_to_be_remembered() {
    let _network = Network::that_counts();
    let name = format!("door {}", js_sys::Math::random());
    let reopened = async |changes: Value| {
        let mut options = options(&changes);
        options["databaseName"] = json!(name);
        SyncCore::open(js(&options)).await.unwrap()
    };
    let first = reopened(json!({ "restoreSession": true })).await;
    record(&first, json!({ "pageVisits": [visit(1)] })).await.unwrap();
    first.close().await.unwrap();

    let second = reopened(json!({ "restoreSession": true, "session": null })).await;
    let restored = status(&second).await;
    assert_eq!((&restored["signedIn"], &restored["pending"]), (&json!(true), &counts(1, 0)));
    second.set_session(JsValue::NULL).await.unwrap();
    second.close().await.unwrap();

    let third = reopened(json!({ "restoreSession": true, "session": null })).await;
    assert_eq!(status(&third).await["state"], "signedOut");
    third.close().await.unwrap();

    let stranger = reopened(json!({ "session": null })).await;
    assert_eq!(status(&stranger).await["signedIn"], false);
}

#[wasm_bindgen_test]
async fn without_consent_nothing_is_recorded_and_nothing_sent() {
    let network = Network::that_counts();
    for consent in [json!(false), NONE] {
        let mut options = options(&json!({}));
        if consent.is_null() {
            options.as_object_mut().unwrap().shift_remove("consent");
        } else {
            options["consent"] = consent;
        }
        let core = SyncCore::open(js(&options)).await.unwrap();
        let recorded =
            record(&core, json!({ "pageVisits": [visit(1)], "tabAggregates": [aggregate(1)] })).await;
        assert_eq!(recorded.unwrap(), json!({ "captured": 0, "heldAlready": 0, "notRecorded": 2 }));
        browse(&core).await;
        assert_eq!(status(&core).await["captured"], counts(0, 0));
        let report = sync(&core).await;
        assert_eq!(
            (&report["outcome"], &report["reason"]),
            (&json!("incomplete"), &json!("consent missing"))
        );
    }
    assert!(network.calls().is_empty());
}

#[wasm_bindgen_test]
async fn revoked_consent_keeps_what_was_recorded_and_sends_none_of_it() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 2).await;
    core.set_settings(js(&json!({ "consent": false }))).await.unwrap();
    assert_eq!(sync(&core).await["reason"], "consent missing");
    assert!(network.calls().is_empty());
    assert_eq!(status(&core).await["pending"], counts(2, 2));
}

#[wasm_bindgen_test]
async fn a_pause_records_nothing_and_sends_nothing_until_it_ends() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 1).await;
    core.set_settings(js(&json!({ "paused": true }))).await.unwrap();
    let recorded = record(&core, json!({ "pageVisits": [visit(9)] })).await.unwrap();
    assert_eq!(recorded["notRecorded"], 1);
    browse(&core).await;
    assert_eq!(sync(&core).await["reason"], "paused");
    let paused = status(&core).await;
    assert_eq!((&paused["state"], &paused["captured"]), (&json!("paused"), &counts(1, 1)));
    assert!(network.calls().is_empty());
    core.set_settings(js(&json!({ "paused": false }))).await.unwrap();
    assert_eq!(sync(&core).await["outcome"], "complete");
    assert_eq!(network.calls().len(), 1);
}

#[wasm_bindgen_test]
async fn an_excluded_site_is_not_recorded_whoever_tells_of_it() {
    let core = open(json!({ "excludedSites": ["example.org"] })).await;
    let mut other = visit(2);
    other["url"] = json!("https://example.net/");
    let records = json!({ "pageVisits": [visit(1), other], "tabAggregates": [aggregate(1), aggregate(2)] });
    let recorded = record(&core, records).await.unwrap();
    assert_eq!(recorded, json!({ "captured": 2, "heldAlready": 0, "notRecorded": 2 }));
    browse(&core).await;
    assert_eq!(status(&core).await["captured"], counts(1, 1));
    let change = js(&json!({ "excludedSites": ["example.org", "not a site"], "paused": true }));
    let refused = seen(&core.set_settings(change).await.unwrap_err());
    assert_eq!(refused["field"], "excludedSites[1]");
    assert_eq!(status(&core).await["paused"], false);
}

/// A visit of five seconds, as the browser tells of it.
async fn browse(core: &SyncCore) {
    let at = 1_761_040_000_000_i64;
    for event in [
        json!({ "at": at, "type": "windowFocused", "windowId": 1 }),
        json!({ "at": at, "type": "opened", "tabId": 1, "windowId": 1, "active": true }),
        json!({ "at": at + 1, "type": "navigated", "tabId": 1, "windowId": 1, "url": "https://example.org/a", "active": true }),
        json!({ "at": at + 2, "type": "titled", "tabId": 1, "title": "A" }),
        json!({ "at": at + 5000, "type": "closed", "tabId": 1 }),
    ] {
        core.handle_event(js(&event)).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn what_happens_in_the_browser_becomes_a_visit_and_its_aggregate() {
    let core = open(json!({})).await;
    browse(&core).await;
    assert_eq!(status(&core).await["captured"], counts(1, 1));
    let network = Network::that_counts();
    sync(&core).await;
    let body: Value = serde_json::from_str(network.calls()[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["pageVisits"][0]["url"], "https://example.org/a");
    assert_eq!(body["pageVisits"][0]["title"], "A");
    assert_eq!(body["tabAggregates"][0]["page_visit_id"], body["pageVisits"][0]["id"]);
}

#[wasm_bindgen_test]
async fn a_heartbeat_is_asked_for_while_a_visit_goes_on() {
    let core = open(json!({})).await;
    let at = 1_761_040_000_000_i64;
    let mut asked = Vec::new();
    for event in [
        json!({ "at": at, "type": "windowFocused", "windowId": 1 }),
        json!({ "at": at, "type": "navigated", "tabId": 1, "windowId": 1, "url": "https://example.org/a", "active": true }),
        json!({ "at": at + 1, "type": "scrolled", "tabId": 1, "url": "https://example.org/a", "depthPercent": 40 }),
        json!({ "at": at + 2, "type": "closed", "tabId": 1 }),
    ] {
        asked.push(core.handle_event(js(&event)).await.unwrap());
    }
    assert_eq!(asked, [false, true, true, false]);
}

#[wasm_bindgen_test]
async fn a_record_can_be_looked_for() {
    let core = open(json!({})).await;
    record_pairs(&core, 1).await;
    let found = value(&core.where_is(" EXAMPLE.org ".into()).await.unwrap());
    assert_eq!((&found[0]["place"], &found[0]["kind"]), (&json!("pending"), &json!("page_visit")));
    assert_eq!(found[0]["record"]["id"], found[0]["id"]);
    let aggregate = aggregate(0)["id"].as_str().unwrap().to_owned();
    assert_eq!(value(&core.where_is(aggregate).await.unwrap())[0]["kind"], "tab_aggregate");
    assert_eq!(value(&core.where_is("example.com".into()).await.unwrap()), json!([]));
}

#[wasm_bindgen_test]
async fn signed_out_records_are_kept_and_nothing_is_sent() {
    let network = Network::that_counts();
    let core = open(json!({ "session": null })).await;
    record_pairs(&core, 2).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("incomplete"), &json!("signed out")));
    assert_eq!(report["requests"], 0);
    assert!(network.calls().is_empty());
    let signed_out = status(&core).await;
    assert_eq!((&signed_out["state"], &signed_out["pending"]), (&json!("signedOut"), &counts(2, 2)));
    core.set_session(js(&json!({ "account": "user-1", "accessToken": SECRET }))).await.unwrap();
    assert_eq!(sync(&core).await["outcome"], "complete");
    assert_eq!(network.calls().len(), 1);
}

#[wasm_bindgen_test]
async fn an_address_that_is_not_safe_is_never_sent_to() {
    let network = Network::that_counts();
    let core = open(json!({ "serverUrl": "http://api.example.org/api/v1" })).await;
    record_pairs(&core, 1).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("incomplete"), &json!("insecure address")));
    assert!(network.calls().is_empty());
}

#[wasm_bindgen_test]
async fn a_backlog_drains_in_order_in_batches_of_a_hundred_each() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 250).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("complete"), &NONE));
    for (name, expected) in [
        ("attempted", 500),
        ("created", 500),
        ("updated", 0),
        ("skipped", 0),
        ("errored", 0),
        ("timedOut", 0),
        ("batches", 3),
        ("requests", 3),
        ("retries", 0),
    ] {
        assert_eq!(report[name], expected, "{name}");
    }
    assert_eq!(report["remaining"], counts(0, 0));
    let calls = network.calls();
    let mut keys = BTreeSet::new();
    let (mut visits, mut aggregates) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for call in &calls {
        assert_eq!(call["url"], format!("{SERVER}/data/sync"));
        for (name, expected) in [
            ("method", "POST"),
            ("credentials", "omit"),
            ("redirect", "manual"),
            ("cache", "no-store"),
            ("referrerPolicy", "no-referrer"),
        ] {
            assert_eq!(call[name], expected, "{name}");
        }
        assert_eq!(call["headers"]["Content-Type"], "application/json");
        assert_eq!(call["headers"]["Authorization"], format!("Bearer {SECRET}"));
        keys.insert(call["headers"]["Idempotency-Key"].as_str().unwrap().to_owned());
        let text = call["body"].as_str().unwrap();
        bytes += text.len();
        let body: Value = serde_json::from_str(text).unwrap();
        for (list, all) in [("pageVisits", &mut visits), ("tabAggregates", &mut aggregates)] {
            let records = body[list].as_array().unwrap();
            assert!(records.len() <= 100);
            all.extend(records.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!((calls.len(), keys.len()), (3, 3));
    assert_eq!(visits, (0..250).map(|n| format!("visit-{n:05}")).collect::<Vec<_>>());
    assert_eq!(aggregates, (0..250).map(|n| format!("aggregate-{n:05}")).collect::<Vec<_>>());
    assert_eq!(report["bytesSent"], bytes);
}

#[wasm_bindgen_test]
async fn no_request_is_larger_than_the_limit_in_bytes() {
    let network = Network::that_counts();
    let core = open(json!({ "policy": { "maxPageVisits": 1000 } })).await;
    let visits: Vec<Value> = (0..120)
        .map(|number| {
            let mut visit = visit(number);
            visit["metadata"] = json!({ "note": vec!["zażółć ☃ 😀 ".repeat(100); 6] });
            visit
        })
        .collect();
    record(&core, json!({ "pageVisits": visits })).await.unwrap();
    assert_eq!(sync(&core).await["outcome"], "complete");
    let calls = network.calls();
    let sizes: Vec<usize> = calls.iter().map(|call| call["body"].as_str().unwrap().len()).collect();
    assert!(sizes.len() > 2 && sizes.iter().all(|bytes| *bytes <= 512 * 1024), "{sizes:?}");
    assert!(sizes[0] > 500 * 1024, "{sizes:?}");
}

#[wasm_bindgen_test]
async fn a_server_that_reads_gzip_gets_the_same_records_in_a_fifth_of_the_bytes() {
    let core = open(json!({})).await;
    record_pairs(&core, 200).await;
    let network = Network::that_can(&json!({ "compression": ["gzip"] }));
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["created"]), (&json!("complete"), &json!(400)));
    let calls = network.calls();
    let sum = |of: &dyn Fn(&Value) -> u64| calls.iter().map(of).sum::<u64>();
    let bytes = sum(&|call| call["bytes"].as_u64().unwrap());
    let plain = sum(&|call| call["body"].as_str().unwrap().len() as u64);
    assert_eq!(
        (report["bytesSent"].as_u64(), report["bytesBeforeCompression"].as_u64()),
        (Some(bytes), Some(plain))
    );
    assert!(5 * bytes <= plain, "{plain} bytes became {bytes}");
}

#[wasm_bindgen_test]
async fn a_caller_may_ask_for_smaller_batches_never_for_larger_ones() {
    for (most, requests) in [(10, 5), (1000, 1)] {
        let network = Network::that_counts();
        let core = open(json!({ "policy": { "maxPageVisits": most } })).await;
        record_pairs(&core, 50).await;
        sync(&core).await;
        assert_eq!(network.calls().len(), requests);
    }
}

#[wasm_bindgen_test]
async fn a_sync_of_so_many_batches_stops_there() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 250).await;
    let report = value(&core.sync(js(&json!({ "maxBatches": 1 }))).await.unwrap());
    assert_eq!((&report["outcome"], &report["remaining"]), (&json!("incomplete"), &counts(150, 150)));
    assert_eq!(network.calls().len(), 1);
}

#[wasm_bindgen_test]
async fn two_calls_at_once_are_one_sync() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 5).await;
    let both = futures_util::future::join(core.sync(JsValue::UNDEFINED), core.sync(JsValue::UNDEFINED)).await;
    assert_eq!(value(&both.0.unwrap()), value(&both.1.unwrap()));
    assert_eq!(network.calls().len(), 1);
}

#[wasm_bindgen_test]
async fn two_cores_of_one_database_do_not_sync_together() {
    let network = Network::that_counts();
    let shared = options(&json!({}));
    let one = SyncCore::open(js(&shared)).await.unwrap();
    let other = SyncCore::open(js(&shared)).await.unwrap();
    record_pairs(&one, 150).await;
    let both = futures_util::future::join(one.sync(JsValue::UNDEFINED), other.sync(JsValue::UNDEFINED)).await;
    let reports = [value(&both.0.unwrap()), value(&both.1.unwrap())];
    let reasons: Vec<&Value> = reports.iter().map(|report| &report["reason"]).collect();
    assert!(reasons.contains(&&json!("another syncer")) && reasons.contains(&&NONE), "{reasons:?}");
    assert_eq!(network.calls().len(), 2);
    assert_eq!(status(&other).await["acknowledged"], counts(150, 150));
}

#[wasm_bindgen_test]
async fn the_host_is_kept_alive_and_its_alarm_armed_before_the_first_request() {
    let _network = Network::that_counts();
    let timers = Timers::watched();
    let (alive, armed) = (Watch::new(), Watch::new());
    let core =
        open_with(json!({}), &[("keepAlive", &alive.listener()), ("armRetry", &armed.listener())]).await;
    record_pairs(&core, 2).await;
    assert_eq!(alive.seen().length(), 0);
    let before = js_sys::Date::now();
    sync(&core).await;
    assert!(alive.seen().length() >= 1);
    assert!(timers.periods_ms().iter().any(|period| *period > 0.0 && *period < 20_000.0));
    assert!(armed.next().await.as_f64().unwrap() >= before + 30_000.0);
    let mut last = JsValue::UNDEFINED;
    for at in armed.seen().iter() {
        last = at;
    }
    assert!(last.is_null(), "nothing is left, and the alarm stays armed");
}

#[wasm_bindgen_test]
async fn a_request_without_an_answer_is_aborted_and_keeps_every_record() {
    let network = Network::that_never_answers();
    let armed = Watch::new();
    let policy = json!({ "policy": { "requestTimeoutMs": 50, "sliceBudgetMs": 300 } });
    let core = open_with(policy, &[("armRetry", &armed.listener())]).await;
    record_pairs(&core, 3).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("incomplete"), &json!("timed out")));
    assert_eq!(
        (&report["attempted"], &report["timedOut"], &report["errored"]),
        (&json!(6), &json!(6), &json!(0))
    );
    let calls = network.calls();
    assert!(!calls.is_empty() && calls.iter().all(|call| call["aborted"] == true));
    let waiting = status(&core).await;
    assert_eq!((&waiting["state"], &waiting["pending"]), (&json!("waiting"), &counts(3, 3)));
    assert_eq!(waiting["problem"]["code"], "timed out");
    assert!(waiting["nextAttemptAt"].as_f64().unwrap() > waiting["lastAttemptAt"].as_f64().unwrap());
    let mut last = JsValue::UNDEFINED;
    for at in armed.seen().iter() {
        last = at;
    }
    assert!(last.as_f64().is_some(), "no alarm is armed");
}

#[wasm_bindgen_test]
async fn a_core_that_is_closed_while_it_syncs_ends_the_sync_first_and_can_still_be_called() {
    let _network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 3).await;
    // As JavaScript calls it: its side of the door has a say too in what may be called when.
    let core = JsValue::from(core);
    let call = |name: &str| {
        let function: Function = Reflect::get(&core, &name.into()).unwrap().dyn_into().unwrap();
        JsFuture::from(function.call0(&core).unwrap().dyn_into::<Promise>().unwrap())
    };
    let (syncs, closes) = (call("sync"), call("close"));
    closes.await.unwrap();
    assert_eq!(value(&syncs.await.unwrap())["created"], 6);
    assert_eq!(value(&call("status").await.unwrap())["acknowledged"], counts(3, 3));
}

#[wasm_bindgen_test]
async fn a_redirect_confirms_nothing_and_keeps_every_record() {
    let network = Network::that_redirects();
    let core = open(json!({})).await;
    record_pairs(&core, 3).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("incomplete"), &json!("wrong address")));
    assert_eq!(network.calls().len(), 1);
    let kept = status(&core).await;
    assert_eq!((&kept["pending"], &kept["acknowledged"]), (&counts(3, 3), &counts(0, 0)));
    assert_eq!((&kept["state"], &kept["problem"]["code"]), (&json!("error"), &json!("wrong address")));
}

#[wasm_bindgen_test]
async fn an_answer_of_fifty_megabytes_is_left_off_early_and_confirms_nothing() {
    let network = Network::that_floods();
    let core = open(json!({})).await;
    record_pairs(&core, 3).await;
    let report = sync(&core).await;
    assert_eq!((&report["outcome"], &report["reason"]), (&json!("incomplete"), &json!("wrong answer")));
    for call in network.calls() {
        assert_eq!(call["cancelled"], true);
        assert!(call["megabytes"].as_u64().unwrap() < 8, "{} MB were read", call["megabytes"]);
    }
    assert_eq!(status(&core).await["pending"], counts(3, 3));
}

#[wasm_bindgen_test]
async fn records_survive_a_new_core_and_are_sent_by_it() {
    let network = Network::that_counts();
    let shared = options(&json!({}));
    let first = SyncCore::open(js(&shared)).await.unwrap();
    record_pairs(&first, 4).await;
    first.close().await.unwrap();
    let second = SyncCore::open(js(&shared)).await.unwrap();
    assert_eq!(status(&second).await["pending"], counts(4, 4));
    sync(&second).await;
    assert_eq!(network.calls().len(), 1);
    assert_eq!(status(&second).await["acknowledged"], counts(4, 4));
}

#[wasm_bindgen_test]
async fn an_import_takes_good_lines_and_tells_bad_ones() {
    let core = open(json!({})).await;
    let lines = [
        json!({ "kind": "page_visit", "record": visit(1) }).to_string(),
        "not json".into(),
        json!({ "kind": "page_visit", "record": visit_with("url", json!("ftp://x/")) }).to_string(),
        String::new(),
        json!({ "kind": "tab_aggregate", "record": aggregate(1) }).to_string(),
    ];
    let imported = value(&core.import_records(lines.join("\n").into()).await.unwrap());
    assert_eq!((&imported["captured"], &imported["heldAlready"]), (&json!(2), &json!(0)));
    let refused = json!([
        { "line": 2, "code": "not_a_record", "field": "" },
        { "line": 3, "code": "bad_url", "field": "url" },
    ]);
    assert_eq!(imported["refused"], refused);
    let again = value(&core.import_records(lines.join("\n").into()).await.unwrap());
    assert_eq!((&again["captured"], &again["heldAlready"]), (&json!(0), &json!(2)));
}

#[wasm_bindgen_test]
async fn a_file_longer_than_a_piece_keeps_its_lines_numbers_and_comes_out_again_in_pieces() {
    let core = open(json!({})).await;
    let long = "x".repeat(2000);
    let line = |n: usize| {
        let url = json!(format!("https://example.org/{n}?{long}"));
        let mut record = visit(n);
        record["url"] = url;
        json!({ "kind": "page_visit", "record": record }).to_string() + "\r\n"
    };
    let mut file: String = (1..=600).map(line).collect();
    file += "not json";
    let told = value(&core.import_records(file.as_str().into()).await.unwrap());
    assert_eq!((&told["captured"], &told["refused"][0]["line"]), (&json!(600), &json!(601)));

    let (mut pieces, mut after) = (Vec::new(), None);
    loop {
        let piece = value(&core.export_piece(after).await.unwrap());
        pieces.push(piece["text"].as_str().unwrap().to_owned());
        let Some(next) = piece["next"].as_str() else { break };
        after = Some(next.to_owned());
    }
    assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() < 1 << 21));
    assert_eq!(pieces.concat().lines().count(), 600);
    assert_eq!(value(&core.export_records().await.unwrap()), json!(pieces));
    let refused = core.export_piece(Some("somewhere".into())).await.unwrap_err();
    assert_eq!(
        seen(&refused),
        json!({ "name": "ArgumentError", "code": "invalid_argument", "field": "after" })
    );
}

#[wasm_bindgen_test]
async fn a_long_file_takes_memory_for_a_piece_of_it() {
    let core = open(json!({})).await;
    let pages = || core::arch::wasm32::memory_size::<0>();
    let file = JsString::from(" ".repeat(999) + "\n").repeat(64_000);
    let before = pages();
    let told = value(&core.import_records(file).await.unwrap());
    assert_eq!((&told["captured"], &told["refused"]), (&json!(0), &json!([])));
    let grown = (pages() - before) * 65_536;
    assert!(grown < 8 << 20, "{grown} bytes for a file of 64 MB");
}

#[wasm_bindgen_test]
async fn a_forgotten_site_leaves_the_database_and_the_server_is_asked_to_erase_it() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    let other = visit_with("url", json!("https://other.example/"));
    record(&core, json!({ "pageVisits": [visit(1), visit(2), other], "tabAggregates": [aggregate(1)] }))
        .await
        .unwrap();
    core.forget_site(" https://WWW.example.org/page ".into()).await.unwrap();
    let forgotten = status(&core).await;
    assert_eq!((&forgotten["discarded"], &forgotten["pending"]), (&counts(2, 1), &counts(1, 0)));
    let standing = &forgotten["erasing"][0];
    assert_eq!((&standing["site"], &standing["unable"]), (&json!("example.org"), &json!(false)));
    sync(&core).await;
    let calls = network.calls();
    let urls: Vec<&str> = calls.iter().map(|call| call["url"].as_str().unwrap()).collect();
    assert_eq!(urls, [format!("{SERVER}/data/erase"), format!("{SERVER}/data/sync")]);
    assert_eq!(calls[0]["headers"]["Authorization"], format!("Bearer {SECRET}"));
    assert!(!calls[1]["body"].as_str().unwrap().contains("example.org"));
    assert_eq!(status(&core).await["erasing"], json!([]));
}

#[wasm_bindgen_test]
async fn everything_is_erased_and_the_login_and_the_counts_stay() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    record_pairs(&core, 3).await;
    core.erase_all().await.unwrap();
    assert_eq!(value(&core.export_records().await.unwrap()), json!([]));
    let erased = status(&core).await;
    assert_eq!((&erased["captured"], &erased["discarded"]), (&counts(3, 3), &counts(3, 3)));
    assert_eq!((&erased["signedIn"], &erased["erasing"][0]["site"]), (&json!(true), &NONE));
    sync(&core).await;
    let body: Value = serde_json::from_str(network.calls()[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "scope": "all", "to": erased["erasing"][0]["since"] }));
}

#[wasm_bindgen_test]
async fn deleted_pages_are_not_sent_and_what_is_no_page_or_site_is_refused() {
    let network = Network::that_counts();
    let core = open(json!({})).await;
    let today = String::from(js_sys::Date::new_0().to_iso_string());
    let visits = [1, 2, 3].map(|number| {
        let mut visit = visit(number);
        visit["visited_at"] = json!(today);
        visit
    });
    let stays = [1, 2, 3].map(aggregate);
    record(&core, json!({ "pageVisits": visits, "tabAggregates": stays })).await.unwrap();
    core.forget_pages(js(&json!(["https://example.org/page/1"]))).await.unwrap();
    assert_eq!(status(&core).await["discarded"], counts(1, 1));
    core.forget_pages("all".into()).await.unwrap();
    assert_eq!(status(&core).await["discarded"], counts(3, 3));
    sync(&core).await;
    assert!(network.calls().is_empty());
    for bad in [js(&json!("some")), js(&json!([1])), JsValue::UNDEFINED, JsValue::NULL] {
        assert_eq!(seen(&core.forget_pages(bad).await.unwrap_err())["field"], "urls");
    }
    for bad in ["", "*.example.org", "two words"] {
        assert_eq!(seen(&core.forget_site(bad.into()).await.unwrap_err())["field"], "site");
    }
}

#[wasm_bindgen_test]
async fn records_are_handed_over_when_the_user_says_so() {
    let core = open(json!({})).await;
    record_pairs(&core, 1).await;
    core.set_session(JsValue::NULL).await.unwrap();
    core.set_settings(js(&json!({ "serverUrl": "https://new.example/api/v1" }))).await.unwrap();
    let refused = seen(&core.take_records(SERVER.into()).await.unwrap_err());
    assert_eq!(refused, json!({ "name": "AccountError", "code": "no_account" }));
    record(&core, json!({ "pageVisits": [visit(8)] })).await.unwrap();
    core.set_session(js(&json!({ "account": "user-9", "accessToken": SECRET }))).await.unwrap();
    let parked = status(&core).await;
    let there = json!({ "server": "https://api.example.org", "pageVisits": 1, "tabAggregates": 1, "mayBeTaken": true });
    assert_eq!((&parked["unclaimed"], &parked["elsewhere"]), (&counts(1, 0), &json!([there])));
    assert_eq!(value(&core.claim_records().await.unwrap()), counts(1, 0));
    assert_eq!(value(&core.take_records(SERVER.into()).await.unwrap()), counts(1, 1));
    assert_eq!(status(&core).await["pending"], counts(2, 1));
    core.discard_unclaimed().await.unwrap();
    assert_eq!(seen(&core.take_records("nowhere".into()).await.unwrap_err())["field"], "fromServer");
}
