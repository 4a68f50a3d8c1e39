//! A damaged database, as the callers of the module see it.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the other tests of the door")]
#[path = "support/door.rs"]
mod door;

use door::*;
use js_sys::Reflect;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/support/browser.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn tamper(name: &str, table: &str, value: JsValue, key: JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = garbleRows, catch)]
    async fn garble_rows(name: &str, table: &str, places: Vec<u32>) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = withoutTable, catch)]
    async fn without_table(name: &str, missing: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = raiseVersion, catch)]
    async fn raise_version(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = keptMirror)]
    fn kept_mirror() -> JsValue;
    #[wasm_bindgen(js_name = deleteDatabase, catch)]
    async fn delete_database(name: &str) -> Result<JsValue, JsValue>;
}

fn counts(page_visits: u64, tab_aggregates: u64) -> Value {
    json!({ "pageVisits": page_visits, "tabAggregates": tab_aggregates })
}

fn fresh_name() -> String {
    format!("damage {}", js_sys::Math::random())
}

/// A closed database with three records of each kind on the server and five of each pending.
async fn half_sent(name: &str) {
    let core = open(json!({ "databaseName": name })).await;
    let network = Network::that_counts();
    record_pairs(&core, 3).await;
    sync(&core).await;
    drop(network);
    record(&core, json!({ "pageVisits": (3..8).map(visit).collect::<Vec<Value>>(), "tabAggregates": (3..8).map(aggregate).collect::<Vec<Value>>() }))
        .await
        .unwrap();
    core.close().await.unwrap();
}

fn places(status: &Value) -> Value {
    json!([status["acknowledged"], status["pending"], status["unrecoverable"]])
}

async fn drained(core: &heyho_sync::boundary::SyncCore) {
    let _network = Network::that_counts();
    assert_eq!(sync(core).await["outcome"], "complete");
    assert_eq!(status(core).await["pending"], counts(0, 0));
}

#[wasm_bindgen_test]
async fn documents_full_of_garbage_cost_no_record() {
    let name = fresh_name();
    half_sent(&name).await;
    for document in ["books", "sync_state", "tracker", "session"] {
        tamper(&name, "documents", "{garbage".into(), document.into()).await.unwrap();
    }
    let core = open(json!({ "databaseName": name })).await;
    let now = status(&core).await;
    assert_eq!(places(&now), json!([counts(3, 3), counts(5, 5), counts(0, 0)]));
    assert_eq!(
        (&now["health"]["rebuilt"]["mirrored"], &now["health"]["rebuilt"]["saved"]),
        (&json!(true), &json!(10))
    );
    drained(&core).await;
}

#[wasm_bindgen_test]
async fn rows_full_of_garbage_are_counted_and_block_nobody() {
    let name = fresh_name();
    half_sent(&name).await;
    garble_rows(&name, "page_visits", vec![0, 3]).await.unwrap();
    garble_rows(&name, "tab_aggregates", vec![2]).await.unwrap();
    let core = open(json!({ "databaseName": name })).await;
    drained(&core).await;
    let now = status(&core).await;
    assert_eq!(places(&now), json!([counts(6, 7), counts(0, 0), counts(2, 1)]));
    assert_eq!(now["health"]["unreadable"], 3);
}

#[wasm_bindgen_test]
async fn a_table_that_is_gone_takes_its_own_rows_alone_along() {
    for (table, kept, lost) in [
        ("tab_aggregates", counts(5, 0), counts(0, 5)),
        ("page_visits", counts(0, 5), counts(5, 0)),
        ("documents", counts(5, 5), counts(0, 0)),
    ] {
        let name = fresh_name();
        half_sent(&name).await;
        without_table(&name, table).await.unwrap();
        // The mirror tells of the last slice; the books, where they are, of everything.
        let core = open(json!({ "databaseName": name })).await;
        let now = status(&core).await;
        assert_eq!(places(&now), json!([counts(3, 3), kept, lost]), "{table}");
        assert_eq!(now["health"]["booksBalance"], true);
        drained(&core).await;
        core.close().await.unwrap();
        let again = status(&open(json!({ "databaseName": name })).await).await;
        assert_eq!(again["unrecoverable"], lost, "{table}");
    }
}

#[wasm_bindgen_test]
async fn a_database_of_a_newer_release_is_refused_by_code_and_left_as_it_is() {
    let name = fresh_name();
    half_sent(&name).await;
    raise_version(&name, 9).await.unwrap();
    for _ in 0..2 {
        let Err(error) =
            heyho_sync::boundary::SyncCore::open(js(&options(&json!({ "databaseName": name })))).await
        else {
            panic!("it was opened")
        };
        assert_eq!(seen(&error), json!({ "name": "StorageError", "code": "newer_version" }));
    }
}

#[wasm_bindgen_test]
async fn a_host_that_keeps_the_mirror_is_told_of_a_database_that_is_gone_and_others_begin_anew() {
    let (name, other) = (fresh_name(), fresh_name());
    let mirror = kept_mirror();
    let open_mirrored = || async {
        let options = js(&options(&json!({ "databaseName": name })));
        Reflect::set(&options, &"mirror".into(), &mirror).unwrap();
        heyho_sync::boundary::SyncCore::open(options).await.unwrap()
    };
    let core = open_mirrored().await;
    let network = Network::that_counts();
    record_pairs(&core, 4).await;
    value(&core.sync(js(&json!({ "maxBatches": 0 }))).await.unwrap());
    core.close().await.unwrap();
    delete_database(&name).await.unwrap();
    let core = open_mirrored().await;
    assert_eq!(places(&status(&core).await), json!([counts(0, 0), counts(0, 0), counts(4, 4)]));
    drop(network);
    half_sent(&other).await;
    delete_database(&other).await.unwrap();
    let core = open(json!({ "databaseName": other })).await;
    assert_eq!(status(&core).await["captured"], counts(0, 0));
}
