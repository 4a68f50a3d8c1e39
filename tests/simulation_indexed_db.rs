//! The seeds of the simulation over the browser's own database, with faults around it.
//!
//! `npm test` plays a few; `npm run simulate -- --browser chrome --seeds 500` names others while this is compiled.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::rc::Rc;

use heyho_simulation::act::script;
use heyho_simulation::model::FAULTS;
use heyho_simulation::random::Random;
use heyho_simulation::run::play_over;
use heyho_simulation::store::Medium;
use heyho_sync::platform::indexed_db::IndexedDb;
use heyho_sync::ports::store::{Answer, Decide, Pending, Query, Store};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/support/browser.js")]
extern "C" {
    #[wasm_bindgen(js_name = deleteDatabase, catch)]
    async fn delete_database(name: &str) -> Result<JsValue, JsValue>;
}

/// A worker's connection to the database of a seed; closed when the worker is gone.
struct Connection {
    name: String,
    store: IndexedDb,
}

impl Connection {
    fn to(name: String) -> Rc<Self> {
        Rc::new(Self { store: IndexedDb::new(name.clone()), name })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.store.close();
    }
}

impl Medium for Connection {
    fn connect(self: &Rc<Self>) -> Rc<Self> {
        Self::to(self.name.clone())
    }
}

impl Store for Connection {
    type Body = <IndexedDb as Store>::Body;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<Self::Body>>> {
        self.store.read(queries)
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, Self::Body>) -> Pending<'a, ()> {
        self.store.transact(queries, decide)
    }
}

fn number(text: Option<&str>, usually: u64) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(usually)
}

#[wasm_bindgen_test]
async fn the_seeds_of_the_simulation_end_well_over_the_browsers_database() {
    let first = number(option_env!("HEYHO_FIRST_SEED"), 1);
    let seeds = number(option_env!("HEYHO_SEEDS"), 20);
    let mut fired = BTreeMap::<&str, u64>::new();
    let mut records = 0;
    for seed in first..first + seeds {
        // The last one that is told is the one that fails.
        console_log!("seed {seed}");
        let name = format!("seed {seed} {}", js_sys::Math::random());
        let account = play_over(Connection::to(name.clone()), seed, &script(&Random::new(seed)), None).await;
        assert!(account.is_enough(), "too little happens: {account:?}");
        records += account.records;
        account.fired.into_iter().for_each(|(what, times)| *fired.entry(what).or_default() += times);
        delete_database(&name).await.unwrap();
        delete_database(&format!("{name} reserve")).await.unwrap();
    }
    for fault in FAULTS {
        console_log!("{:>8}  {fault}", fired.get(fault).copied().unwrap_or_default());
    }
    console_log!("{seeds} seeds from {first} with {records} records ended well");
}
