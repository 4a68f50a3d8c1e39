//! The contract of every store, over the one in memory.

#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/shared_memory.rs"]
mod shared_memory;
#[macro_use]
#[path = "support/store_contract.rs"]
mod store_contract;
#[path = "support/tasks.rs"]
mod tasks;

macro_rules! run {
    ($contract:ident: $($case:ident)*) => {$(
        #[test]
        fn $case() {
            let store = shared_memory::SharedMemory::default();
            tasks::block_on($contract::$case(|| store.clone()));
        }
    )*};
}

for_every_store_case!(run);
