//! What the tests of the door share: values on their way into JavaScript and back, and a network that obeys.

use heyho_sync::boundary::SyncCore;
use js_sys::{Array, Function, JSON, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen(module = "/tests/support/network.js")]
extern "C" {
    type FakeNetwork;
    #[wasm_bindgen(constructor)]
    fn new(answer: &str, abilities: Option<String>) -> FakeNetwork;
    #[wasm_bindgen(method)]
    fn calls(this: &FakeNetwork) -> String;
    #[wasm_bindgen(method)]
    fn restore(this: &FakeNetwork);

    pub type Watch;
    #[wasm_bindgen(constructor)]
    pub fn new() -> Watch;
    #[wasm_bindgen(method)]
    pub fn listener(this: &Watch) -> Function;
    #[wasm_bindgen(method)]
    pub async fn next(this: &Watch) -> JsValue;
    #[wasm_bindgen(method)]
    pub fn seen(this: &Watch) -> Array;

    type Intervals;
    #[wasm_bindgen(constructor)]
    fn new() -> Intervals;
    #[wasm_bindgen(method)]
    fn periods(this: &Intervals) -> Vec<f64>;
    #[wasm_bindgen(method, js_name = restore)]
    fn restore_intervals(this: &Intervals);
}

/// The network while a test runs.
pub struct Network(FakeNetwork);

impl Network {
    pub fn that_counts() -> Self {
        Self(FakeNetwork::new("counts", None))
    }

    /// One that counts, and says that it has these abilities.
    pub fn that_can(abilities: &Value) -> Self {
        Self(FakeNetwork::new("counts", Some(abilities.to_string())))
    }

    pub fn that_redirects() -> Self {
        Self(FakeNetwork::new("redirect", None))
    }

    /// Acknowledges everything in an answer of fifty megabytes.
    pub fn that_floods() -> Self {
        Self(FakeNetwork::new("flood", None))
    }

    pub fn that_never_answers() -> Self {
        Self(FakeNetwork::new("silence", None))
    }

    /// Every upload so far: `{ url, method, headers, body, ... }`.
    pub fn calls(&self) -> Vec<Value> {
        serde_json::from_str(&self.0.calls()).unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// The periods of the intervals that begin while a test runs.
pub struct Timers(Intervals);

impl Timers {
    pub fn watched() -> Self {
        Self(Intervals::new())
    }

    pub fn periods_ms(&self) -> Vec<f64> {
        self.0.periods()
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.0.restore_intervals();
    }
}

pub fn js(value: &Value) -> JsValue {
    JSON::parse(&value.to_string()).unwrap()
}

pub fn value(value: &JsValue) -> Value {
    serde_json::from_str(&String::from(JSON::stringify(value).unwrap())).unwrap()
}

pub const SERVER: &str = "https://api.example.org/api/v1";
pub const SECRET: &str = "a-token-that-nobody-may-see";

/// Options of an account that is signed in on a database of its own; `changes` replaces some of them.
pub fn options(changes: &Value) -> Value {
    let mut options = json!({
        "databaseName": format!("door {}", js_sys::Math::random()),
        "serverUrl": SERVER,
        "consent": true,
        "session": { "account": "user-1", "accessToken": SECRET },
    });
    for (name, value) in changes.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

pub async fn open(changes: Value) -> SyncCore {
    SyncCore::open(js(&options(&changes))).await.unwrap()
}

/// A core that calls `functions` of its host.
pub async fn open_with(changes: Value, functions: &[(&str, &Function)]) -> SyncCore {
    let options = js(&options(&changes));
    for (name, function) in functions {
        Reflect::set(&options, &(*name).into(), function).unwrap();
    }
    SyncCore::open(options).await.unwrap()
}

pub fn visit(number: usize) -> Value {
    json!({
        "id": format!("visit-{number:05}"),
        "url": format!("https://example.org/page/{number}"),
        "title": format!("Strona {number} – zima ☃"),
        "visited_at": "2025-10-21T09:46:40.123Z",
    })
}

pub fn aggregate(number: usize) -> Value {
    json!({
        "id": format!("aggregate-{number:05}"),
        "page_visit_id": format!("visit-{number:05}"),
        "total_time_seconds": 245,
        "active_time_seconds": 210,
    })
}

pub async fn record(core: &SyncCore, records: Value) -> Result<Value, JsValue> {
    core.record(js(&records)).await.map(|recorded| value(&recorded))
}

/// Records so many visits, each with its aggregate.
pub async fn record_pairs(core: &SyncCore, count: usize) {
    let visits: Vec<Value> = (0..count).map(visit).collect();
    let aggregates: Vec<Value> = (0..count).map(aggregate).collect();
    record(core, json!({ "pageVisits": visits, "tabAggregates": aggregates })).await.unwrap();
}

pub async fn status(core: &SyncCore) -> Value {
    value(&core.status().await.unwrap())
}

pub async fn sync(core: &SyncCore) -> Value {
    value(&core.sync(JsValue::UNDEFINED).await.unwrap())
}

/// What a caller can tell of an error, after checking that it is one and that no secret is in it.
pub fn seen(error: &JsValue) -> Value {
    assert!(error.is_instance_of::<js_sys::Error>(), "not an Error");
    let property = |name: &str| Reflect::get(error, &name.into()).unwrap();
    let message = property("message").as_string().unwrap();
    assert!(
        !message.is_empty() && !message.contains(SECRET) && !message.contains("example.org"),
        "{message}"
    );
    let mut view = json!({});
    for name in ["name", "code", "field", "list", "index"] {
        let property = property(name);
        if !property.is_undefined() {
            view[name] = value(&property);
        }
    }
    view
}
