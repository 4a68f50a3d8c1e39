//! What the core may ask of IndexedDB and of the network, in numbers that don't depend on the machine. A better core
//! lowers them.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use heyho_sync::boundary::SyncCore;
use js_sys::JSON;
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/support/counter.js")]
extern "C" {
    type Counter;
    #[wasm_bindgen(constructor)]
    fn new() -> Counter;
    #[wasm_bindgen(method)]
    fn take(this: &Counter) -> String;
    #[wasm_bindgen(method, js_name = restore)]
    fn restore_all(this: &Counter);
}

#[wasm_bindgen(module = "/tests/support/network.js")]
extern "C" {
    type FakeNetwork;
    #[wasm_bindgen(constructor)]
    fn new(answer: &str) -> FakeNetwork;
    #[wasm_bindgen(method, js_name = restore)]
    fn restore_network(this: &FakeNetwork);
}

/// What was asked for, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Asked {
    /// Transactions that read.
    reads: u32,
    /// Transactions that write.
    writes: u32,
    /// IndexedDB requests within them.
    requests: u32,
    /// Values that came as lists: single rows, and segments of up to fifty.
    values: u32,
    /// Requests to a server.
    fetches: u32,
}

const CAPTURE: Asked = Asked { reads: 0, writes: 1, requests: 5, values: 0, fetches: 0 };
const CAPTURE_OF_TEN: Asked = Asked { reads: 0, writes: 1, requests: 23, values: 0, fetches: 0 };
/// One that ends a visit.
const TAB_EVENT: Asked = Asked { reads: 0, writes: 1, requests: 8, values: 0, fetches: 0 };
const STATUS: Asked = Asked { reads: 1, writes: 0, requests: 2, values: 0, fetches: 0 };
const EMPTY_WAKE: Asked = Asked { reads: 1, writes: 0, requests: 2, values: 0, fetches: 0 };
/// Nine full batches, with the beginning and the end of the run. Both single rows and segments are asked for.
const DRAIN_OF_NINE: Asked = Asked { reads: 11, writes: 12, requests: 120, values: 62, fetches: 9 };
const BATCHES: u32 = 9;

struct World {
    counter: Counter,
    network: FakeNetwork,
    core: SyncCore,
}

impl World {
    async fn begin() -> Self {
        let network = FakeNetwork::new("counts");
        let counter = Counter::new();
        let options = json!({
            "databaseName": format!("budgets {}", js_sys::Math::random()),
            "serverUrl": "https://api.example.org/api/v1",
            "consent": true,
            "session": { "account": "user-1", "accessToken": "token" },
        });
        let core = SyncCore::open(js(&options)).await.unwrap();
        counter.take();
        Self { counter, network, core }
    }

    fn asked(&self) -> Asked {
        serde_json::from_str(&self.counter.take()).unwrap()
    }

    async fn record(&self, records: Value) {
        self.core.record(js(&records)).await.unwrap();
    }

    async fn visit_page(&self, number: u32) {
        let event = json!({
            "type": "navigated", "at": 1_761_000_000_000_u64 + u64::from(number) * 9000, "tabId": 1, "windowId": 1,
            "url": format!("https://example.org/{number}"), "title": "Example", "active": true,
        });
        self.core.handle_event(js(&event)).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.counter.restore_all();
        self.network.restore_network();
    }
}

fn js(value: &Value) -> JsValue {
    JSON::parse(&value.to_string()).unwrap()
}

fn visits(numbers: std::ops::Range<u32>) -> Vec<Value> {
    let visit = |number| {
        json!({
            "id": format!("visit-{number}"), "url": format!("https://example.org/{number}"),
            "visited_at": "2025-10-21T09:46:40.123Z",
        })
    };
    numbers.map(visit).collect()
}

fn aggregates(numbers: std::ops::Range<u32>) -> Vec<Value> {
    let aggregate = |number| {
        json!({
            "id": format!("aggregate-{number}"), "page_visit_id": format!("visit-{number}"),
            "total_time_seconds": 245, "active_time_seconds": 210,
        })
    };
    numbers.map(aggregate).collect()
}

#[track_caller]
fn is_within(budget: Asked, asked: Asked) {
    let within = asked.reads <= budget.reads
        && asked.writes <= budget.writes
        && asked.requests <= budget.requests
        && asked.values <= budget.values
        && asked.fetches <= budget.fetches;
    assert!(within, "{asked:?} is beyond {budget:?}");
}

#[wasm_bindgen_test]
async fn a_capture_keeps_to_its_budget() {
    let world = World::begin().await;
    world.record(json!({ "pageVisits": visits(0..1) })).await;
    is_within(CAPTURE, world.asked());
    world.record(json!({ "pageVisits": visits(1..11) })).await;
    is_within(CAPTURE_OF_TEN, world.asked());
}

#[wasm_bindgen_test]
async fn a_tab_event_keeps_to_its_budget() {
    let world = World::begin().await;
    world.visit_page(0).await;
    world.asked();
    world.visit_page(1).await;
    is_within(TAB_EVENT, world.asked());
}

#[wasm_bindgen_test]
async fn a_look_at_the_status_keeps_to_its_budget() {
    let world = World::begin().await;
    world.core.status().await.unwrap();
    is_within(STATUS, world.asked());
}

#[wasm_bindgen_test]
async fn a_wake_with_nothing_to_do_reads_once_and_sends_nothing() {
    let world = World::begin().await;
    world.core.sync(JsValue::UNDEFINED).await.unwrap();
    is_within(EMPTY_WAKE, world.asked());
}

#[wasm_bindgen_test]
async fn a_drain_keeps_to_the_budget_of_its_batches() {
    let world = World::begin().await;
    // The first run asks the server for its abilities and counts the rows, as one a day does.
    world.record(json!({ "pageVisits": visits(0..1) })).await;
    world.core.sync(JsValue::UNDEFINED).await.unwrap();
    let all = 1..1 + BATCHES * 100;
    world.record(json!({ "pageVisits": visits(all.clone()), "tabAggregates": aggregates(all) })).await;
    world.asked();
    world.core.sync(JsValue::UNDEFINED).await.unwrap();
    let asked = world.asked();
    assert_eq!(asked.fetches, BATCHES);
    is_within(DRAIN_OF_NINE, asked);
}

#[wasm_bindgen_test]
async fn a_long_drain_reads_each_segment_once() {
    let world = World::begin().await;
    for from in [0, 1000, 2000] {
        let some = from..from + 1000;
        world.record(json!({ "pageVisits": visits(some.clone()), "tabAggregates": aggregates(some) })).await;
    }
    world.asked();
    world.core.sync(JsValue::UNDEFINED).await.unwrap();
    assert_eq!(world.asked().values, 3000 / 25 + 3000 / 50);
}

#[wasm_bindgen_test]
async fn an_erase_reads_nothing_of_what_it_deletes() {
    let world = World::begin().await;
    world.record(json!({ "pageVisits": visits(0..1000), "tabAggregates": aggregates(0..1000) })).await;
    world.asked();
    world.core.erase_all().await.unwrap();
    assert_eq!(world.asked().values, 0);
}

#[wasm_bindgen_test]
async fn what_came_one_by_one_is_put_together_without_a_look_into_what_lies_between() {
    let world = World::begin().await;
    for number in 0..60 {
        world.record(json!({ "pageVisits": visits(number..number + 1) })).await;
    }
    world.record(json!({ "pageVisits": visits(1000..2000) })).await;
    for number in 60..120 {
        world.record(json!({ "pageVisits": visits(number..number + 1) })).await;
    }
    world.core.set_settings(js(&json!({ "paused": true }))).await.unwrap();
    world.asked();
    world.core.sync(JsValue::UNDEFINED).await.unwrap();
    assert_eq!(world.asked().values, 120, "the single rows");
}
