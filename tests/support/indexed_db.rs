//! What is promised of IndexedDB beyond the contract of every store: connections, versions, and faults of the browser.

use heyho_sync::platform::indexed_db::IndexedDb;
use heyho_sync::ports::store::{Answer, Change, Document, Query, Row, Store, StoreError, Table};
use heyho_sync::words::key::{KeyRange, RowKey};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::record::Head;
use heyho_sync::words::time::UnixMillis;
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::tasks::all;

#[wasm_bindgen(module = "/tests/support/browser.js")]
extern "C" {
    #[wasm_bindgen(js_name = raiseVersion, catch)]
    async fn raise_version(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = raiseVersionInVain, catch)]
    async fn raise_version_in_vain(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = deleteDatabase, catch)]
    async fn delete_database(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = shapeOf, catch)]
    async fn shape_of(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = abortAtCommit)]
    fn abort_at_commit() -> Function;
    #[wasm_bindgen(js_name = refuseAdd)]
    fn refuse_add(nth: u32, exception: &str) -> Function;
}

/// Hands the name of every case to the macro `$run`.
macro_rules! for_every_indexed_db_case {
    ($run:ident) => {
        $run! { indexed_db:
            rows_survive_close_and_reopen
            the_database_has_its_tables_from_the_first_transaction_on
            first_transactions_at_once_leave_no_connection_behind
            a_connection_gives_way_to_a_new_version_and_is_reopened
            a_deleted_database_is_made_anew_by_the_next_transaction
            a_database_of_a_newer_version_can_not_be_used
            an_abort_at_the_commit_is_an_error_and_leaves_nothing
            a_full_disk_is_told_as_such_and_leaves_nothing
        }
    };
}

const TABLE: Table = Table::Outbox(Kind::PageVisit);

struct Fault(Function);

impl Drop for Fault {
    fn drop(&mut self) {
        self.0.call0(&JsValue::NULL).unwrap();
    }
}

/// A name that no other test has.
pub fn fresh_name() -> String {
    format!("test {}", js_sys::Math::random())
}

async fn insert(store: &IndexedDb, counts: impl IntoIterator<Item = u64>) -> Result<(), StoreError> {
    let row = |count| Row {
        key: RowKey::new(1, count),
        head: Head {
            kind: Kind::PageVisit,
            id: format!("record {count}"),
            revision: 1,
            refers_to: None,
            bytes: 2,
            sites: Vec::new(),
        },
        follows: None,
        captured_at: UnixMillis(0),
        body: "{}".to_owned().into(),
        note: None,
    };
    let mut changes = vec![Change::Write(Document::Books, "written".into())];
    changes.extend(counts.into_iter().map(|count| Change::Insert(TABLE, row(count))));
    store.update(&[], |_| Ok((changes, ()))).await
}

async fn rows(store: &IndexedDb) -> Result<usize, StoreError> {
    let query = Query::Keys { table: TABLE, range: KeyRange::everything(), limit: usize::MAX };
    let answers = store.read(&[query]).await?;
    Ok(answers.into_iter().flat_map(Answer::keys).count())
}

pub async fn rows_survive_close_and_reopen(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    store.close();
    assert_eq!(rows(&IndexedDb::new(name)).await, Ok(3));
    assert_eq!(rows(&store).await, Ok(3));
}

pub async fn the_database_has_its_tables_from_the_first_transaction_on(name: String) {
    let store = IndexedDb::new(name.clone());
    assert_eq!(rows(&store).await, Ok(0));
    let shape: Vec<String> = js_sys::Array::from(&shape_of(&name).await.unwrap())
        .iter()
        .filter_map(|part| part.as_string())
        .collect();
    assert_eq!(
        shape,
        ["1", "archive", "discarded", "documents", "page_visits", "quarantine", "tab_aggregates"]
    );
}

pub async fn first_transactions_at_once_leave_no_connection_behind(name: String) {
    let store = IndexedDb::new(name.clone());
    assert_eq!(all((0..5).map(|_| rows(&store))).await, [const { Ok(0) }; 5]);
    store.close();
    delete_database(&name).await.unwrap();
}

pub async fn a_connection_gives_way_to_a_new_version_and_is_reopened(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    raise_version_in_vain(&name, 9).await.unwrap();
    assert_eq!(rows(&store).await, Ok(3));
    raise_version_in_vain(&name, 9).await.unwrap();
    insert(&store, [4]).await.unwrap();
    assert_eq!(rows(&store).await, Ok(4));
}

pub async fn a_deleted_database_is_made_anew_by_the_next_transaction(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    delete_database(&name).await.unwrap();
    insert(&store, [1]).await.unwrap();
    assert_eq!(rows(&store).await, Ok(1));
}

pub async fn a_database_of_a_newer_version_can_not_be_used(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, [1]).await.unwrap();
    raise_version(&name, 9).await.unwrap();
    assert_eq!(rows(&store).await, Err(StoreError::Newer));
    assert_eq!(insert(&IndexedDb::new(name), [2]).await, Err(StoreError::Newer));
}

pub async fn an_abort_at_the_commit_is_an_error_and_leaves_nothing(name: String) {
    let store = IndexedDb::new(name);
    insert(&store, [1]).await.unwrap();
    let fault = Fault(abort_at_commit());
    assert!(matches!(insert(&store, 2..=9).await, Err(StoreError::Failed(_))));
    drop(fault);
    assert_eq!(rows(&store).await, Ok(1));
    insert(&store, 2..=9).await.unwrap();
    assert_eq!(rows(&store).await, Ok(9));
}

pub async fn a_full_disk_is_told_as_such_and_leaves_nothing(name: String) {
    let store = IndexedDb::new(name);
    insert(&store, [1]).await.unwrap();
    let fault = Fault(refuse_add(3, "QuotaExceededError"));
    assert_eq!(insert(&store, 2..=9).await, Err(StoreError::QuotaExceeded));
    drop(fault);
    assert_eq!(rows(&store).await, Ok(1));
}
