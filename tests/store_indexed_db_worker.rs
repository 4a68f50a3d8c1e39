//! The contracts of store and outbox over IndexedDB, in a service worker, where the extension runs in Chromium.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[macro_use]
#[path = "support/indexed_db.rs"]
mod indexed_db;
#[macro_use]
#[path = "support/outbox_contract.rs"]
mod outbox_contract;
#[macro_use]
#[path = "support/store_contract.rs"]
mod store_contract;
#[path = "support/tasks.rs"]
mod tasks;

use heyho_sync::platform::indexed_db::IndexedDb;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_service_worker);

macro_rules! run_contract {
    ($contract:ident: $($case:ident)*) => {$(
        #[wasm_bindgen_test]
        async fn $case() {
            let name = indexed_db::fresh_name();
            $contract::$case(|| IndexedDb::new(name.clone())).await;
        }
    )*};
}

macro_rules! run_with_name {
    ($module:ident: $($case:ident)*) => {$(
        #[wasm_bindgen_test]
        async fn $case() {
            $module::$case(indexed_db::fresh_name()).await;
        }
    )*};
}

for_every_store_case!(run_contract);
for_every_outbox_case!(run_contract);
for_every_indexed_db_case!(run_with_name);
