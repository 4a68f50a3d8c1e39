//! Records that are stored together, as another extension meets them: not at all, but for the number of stored objects.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the other tests of the door")]
#[path = "support/door.rs"]
mod door;

use std::collections::BTreeMap;

use door::{Network, SECRET, aggregate, js, open, record, record_pairs, status, sync, visit};
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/support/browser.js")]
extern "C" {
    #[wasm_bindgen(js_name = objectsIn, catch)]
    async fn objects_in(name: &str, table: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = garbleRows, catch)]
    async fn garble_rows(name: &str, table: &str, places: Vec<u32>) -> Result<JsValue, JsValue>;
}

fn counts(page_visits: u64, tab_aggregates: u64) -> Value {
    json!({ "pageVisits": page_visits, "tabAggregates": tab_aggregates })
}

fn fresh_name() -> String {
    format!("segments {}", js_sys::Math::random())
}

async fn objects(name: &str) -> [f64; 2] {
    let mut found = [0.0; 2];
    for (count, table) in found.iter_mut().zip(["page_visits", "tab_aggregates"]) {
        *count = objects_in(name, table).await.unwrap().as_f64().unwrap();
    }
    found
}

/// How often each record was sent.
fn sent(network: &Network) -> BTreeMap<String, u32> {
    let mut sent = BTreeMap::new();
    for call in network.calls() {
        let body: Value = serde_json::from_str(call["body"].as_str().unwrap()).unwrap();
        for list in ["pageVisits", "tabAggregates"] {
            for record in body[list].as_array().unwrap() {
                *sent.entry(record["id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    sent
}

#[wasm_bindgen_test]
async fn a_backlog_that_came_one_by_one_is_stored_together_while_it_waits_and_is_sent_whole() {
    let network = Network::that_counts();
    let name = fresh_name();
    let core = open(json!({ "databaseName": name, "session": null })).await;
    for number in 0..160 {
        let pair = json!({ "pageVisits": [visit(number)], "tabAggregates": [aggregate(number)] });
        record(&core, pair).await.unwrap();
    }
    assert_eq!(objects(&name).await, [160.0, 160.0]);
    assert_eq!(sync(&core).await["reason"], "signed out");
    assert_eq!(objects(&name).await, [40.0, 62.0], "five segments and two, and what came last by itself");
    core.set_session(js(&json!({ "account": "user-1", "accessToken": SECRET }))).await.unwrap();
    assert_eq!(status(&core).await["pending"], counts(160, 160));
    sync(&core).await;
    assert_eq!(objects(&name).await, [0.0, 0.0]);
    assert_eq!(status(&core).await["acknowledged"], counts(160, 160));
    let sent = sent(&network);
    assert!(sent.len() == 320 && sent.values().all(|times| *times == 1), "each record is sent once");
}

#[wasm_bindgen_test]
async fn few_records_stay_by_themselves() {
    let name = fresh_name();
    let core = open(json!({ "databaseName": name, "session": null })).await;
    for number in 0..99 {
        record(&core, json!({ "pageVisits": [visit(number)] })).await.unwrap();
    }
    sync(&core).await;
    assert_eq!(objects(&name).await, [99.0, 0.0]);
}

#[wasm_bindgen_test]
async fn a_segment_that_can_not_be_read_blocks_nobody_and_its_records_are_counted() {
    let network = Network::that_counts();
    let name = fresh_name();
    let core = open(json!({ "databaseName": name })).await;
    record_pairs(&core, 160).await;
    assert_eq!(objects(&name).await, [16.0, 13.0], "six segments and three, and ten by themselves");
    // Those by themselves come first in the store.
    garble_rows(&name, "tab_aggregates", vec![11]).await.unwrap();
    sync(&core).await;
    let status = status(&core).await;
    assert_eq!((&status["acknowledged"], &status["unrecoverable"]), (&counts(160, 110), &counts(0, 50)));
    assert_eq!(status["pending"], counts(0, 0));
    assert_eq!(sent(&network).len(), 270);
}
