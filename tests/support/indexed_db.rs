//! What is promised of IndexedDB beyond the contract of every store: connections, versions, and faults of the browser.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use heyho_sync::platform::indexed_db::IndexedDb;
use heyho_sync::ports::store::{Answer, Change, Document, Query, Row, Store, StoreError, Table};
use heyho_sync::words::key::{KeyRange, RowKey};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::record::Head;
use heyho_sync::words::time::UnixMillis;
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::tasks::{all, killed_after};

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
    #[wasm_bindgen(js_name = garbleRows, catch)]
    async fn garble_rows(name: &str, table: &str, places: Vec<u32>) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = withoutTable, catch)]
    async fn without_table(name: &str, missing: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = asFirstReleased, catch)]
    async fn as_first_released(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = databasesOf, catch)]
    async fn databases_of(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn filled(name: &str, table: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = abortAtCommit)]
    fn abort_at_commit() -> Function;
    #[wasm_bindgen(js_name = refuseAdd)]
    fn refuse_add(nth: u32, exception: &str) -> Function;
    #[wasm_bindgen(js_name = refuseOpen)]
    fn refuse_open(name: &str, exception: &str) -> Function;
    #[wasm_bindgen(js_name = refuseDatabases)]
    fn refuse_databases() -> Function;
}

/// Hands the name of every case to the macro `$run`.
macro_rules! for_every_indexed_db_case {
    ($run:ident) => {
        $run! { indexed_db:
            rows_survive_close_and_reopen
            debug_output_shows_nothing_of_what_is_stored
            the_database_has_its_tables_from_the_first_transaction_on
            first_transactions_at_once_leave_no_connection_behind
            a_connection_gives_way_to_a_new_version_and_is_reopened
            a_deleted_database_is_made_anew_by_the_next_transaction
            a_database_of_a_newer_version_can_not_be_used
            a_database_that_was_rebuilt_and_is_of_a_newer_version_can_not_be_used_either
            a_database_of_the_first_release_keeps_its_rows_and_gets_the_new_table
            what_was_left_behind_can_be_deleted_and_what_is_in_use_stays
            an_abort_at_the_commit_is_an_error_and_leaves_nothing
            a_full_disk_is_told_as_such_and_leaves_nothing
            a_full_disk_costs_the_reserve_for_what_frees_room_alone
            rows_that_can_not_be_read_are_left_out_and_others_come_in_their_place
            a_database_without_one_of_its_tables_is_left_behind_for_one_with_all_that_it_held
            a_copy_that_is_interrupted_goes_on_and_counts_only_when_it_is_whole
            a_copy_that_is_interrupted_again_and_again_gets_to_its_end
            a_copy_of_a_database_that_was_used_meanwhile_is_begun_anew
            what_comes_while_a_database_is_rebuilt_is_in_the_new_one
            a_database_in_use_that_can_not_be_opened_gives_way_to_none_before_it
        }
    };
}

const TABLE: Table = Table::Outbox(Kind::PageVisit);
const BODY: &str = r#"{"title":"a letter"}"#;

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
            bytes: BODY.len() as u32,
            sites: Vec::new(),
        },
        follows: None,
        captured_at: UnixMillis(0),
        body: BODY.to_owned().into(),
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

// Rows that came together are a segment, and a store knows those that it has read.
pub async fn debug_output_shows_nothing_of_what_is_stored(name: String) {
    let store = IndexedDb::new(name);
    insert(&store, 1..=40).await.unwrap();
    let query = Query::Rows { table: TABLE, range: KeyRange::everything(), limit: usize::MAX };
    let found: Vec<_> = store.read(&[query]).await.unwrap().into_iter().flat_map(Answer::rows).collect();
    let body = &found[0].body;
    for shown in [format!("{store:?}"), format!("{found:?}"), format!("{body:?}")] {
        assert!(!shown.contains("letter"), "{shown}");
    }
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
        ["2", "archive", "discarded", "documents", "page_visits", "quarantine", "receipts", "tab_aggregates"]
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

pub async fn a_database_that_was_rebuilt_and_is_of_a_newer_version_can_not_be_used_either(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, [1]).await.unwrap();
    store.rebuild().await.unwrap();
    assert_eq!(rows(&store).await, Ok(1));
    raise_version(&format!("{name}~2"), 9).await.unwrap();
    assert_eq!(rows(&IndexedDb::new(name.clone())).await, Err(StoreError::Newer));
    assert_eq!(names(&name).await, [format!("{name}~2")], "none is begun beside it");
}

pub async fn a_database_of_the_first_release_keeps_its_rows_and_gets_the_new_table(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    as_first_released(&name).await.unwrap();
    let store = IndexedDb::new(name.clone());
    assert_eq!(rows(&store).await, Ok(3));
    let query = Query::Keys { table: Table::Receipts, range: KeyRange::everything(), limit: 1 };
    assert!(store.read(&[query]).await.is_ok());
    assert_eq!(names(&name).await, [name], "it was not rebuilt");
}

pub async fn what_was_left_behind_can_be_deleted_and_what_is_in_use_stays(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    store.rebuild().await.unwrap();
    // As a damaged one of which not all could be saved, and as a copy that was interrupted.
    raise_version(&name, 9).await.unwrap();
    raise_version(&format!("{name}~3"), 1).await.unwrap();
    let store = IndexedDb::new(name.clone());
    store.delete_left_behind().await.unwrap();
    assert_eq!(names(&name).await, [format!("{name}~2")]);
    assert_eq!(rows(&store).await, Ok(3));
}

pub async fn an_abort_at_the_commit_is_an_error_and_leaves_nothing(name: String) {
    let store = IndexedDb::new(name);
    insert(&store, [1]).await.unwrap();
    let fault = Fault(abort_at_commit());
    assert_eq!(insert(&store, 2..=9).await, Err(StoreError::QuotaExceeded), "there is hardly another reason");
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

pub async fn a_full_disk_costs_the_reserve_for_what_frees_room_alone(name: String) {
    let store = IndexedDb::new(name.clone());
    let delete = || async {
        let change = Change::Delete(TABLE, KeyRange::everything());
        store.update(&[], |_| Ok::<_, StoreError>((vec![change], ()))).await
    };
    insert(&store, [1]).await.unwrap();
    store.rests();
    while names(&name).await.len() < 2 {}
    filled(&format!("{name} reserve"), "reserve").await.unwrap();
    let fault = Fault(abort_at_commit());
    assert_eq!(insert(&store, 2..=9).await, Err(StoreError::QuotaExceeded));
    assert_eq!(names(&name).await.len(), 2);
    let event = Change::Write(Document::Tracker, "a page is open".into());
    let noted = store.update(&[], |_| Ok((vec![event], ()))).await;
    assert_eq!(noted, Err(StoreError::QuotaExceeded), "a tab event that ends no visit");
    assert_eq!(names(&name).await.len(), 2);
    assert_eq!(delete().await, Err(StoreError::QuotaExceeded));
    assert_eq!(names(&name).await, [name.as_str()]);
    drop(fault);
    delete().await.unwrap();
    assert_eq!(rows(&store).await, Ok(0));
}

pub async fn rows_that_can_not_be_read_are_left_out_and_others_come_in_their_place(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=6).await.unwrap();
    garble_rows(&name, "page_visits", vec![0, 2, 5]).await.unwrap();
    let read = |limit| {
        let query = Query::Rows { table: TABLE, range: KeyRange::everything(), limit };
        let store = &store;
        async move {
            let answers = store.read(&[query]).await.unwrap();
            answers.into_iter().flat_map(Answer::rows).map(|row| row.key).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(2).await, [2, 4].map(|count| RowKey::new(1, count)));
    assert_eq!(read(3).await, [2, 4, 5].map(|count| RowKey::new(1, count)));
    assert_eq!(read(usize::MAX).await, [2, 4, 5].map(|count| RowKey::new(1, count)));
    assert_eq!(rows(&store).await, Ok(6), "their keys are seen");
}

async fn names(name: &str) -> Vec<String> {
    let known = databases_of(name).await.unwrap();
    js_sys::Array::from(&known).iter().filter_map(|name| name.as_string()).collect()
}

pub async fn a_database_without_one_of_its_tables_is_left_behind_for_one_with_all_that_it_held(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=450).await.unwrap();
    without_table(&name, "quarantine").await.unwrap();
    assert!(matches!(insert(&store, [500]).await, Err(StoreError::Broken(_))));
    store.rebuild().await.unwrap();
    assert_eq!(rows(&store).await, Ok(450));
    insert(&store, [500]).await.unwrap();
    let other = IndexedDb::new(name.clone());
    assert_eq!(rows(&other).await, Ok(451));
    while names(&name).await.contains(&name) {}
    assert_eq!(names(&name).await, [format!("{name}~2")]);
    without_table(&format!("{name}~2"), "archive").await.unwrap();
    assert!(matches!(insert(&store, [501]).await, Err(StoreError::Broken(_))));
    store.rebuild().await.unwrap();
    assert_eq!(rows(&IndexedDb::new(name)).await, Ok(451));
}

pub async fn a_copy_that_is_interrupted_goes_on_and_counts_only_when_it_is_whole(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=250).await.unwrap();
    without_table(&name, "archive").await.unwrap();
    for polls in [3, 9, 20, 60, 200, 300, 420, 500] {
        killed_after(polls, IndexedDb::new(name.clone()).rebuild()).await;
        let found = rows(&IndexedDb::new(name.clone())).await;
        assert!(matches!(found, Ok(250) | Err(StoreError::Broken(_))), "{found:?} after {polls} polls");
    }
    let store = IndexedDb::new(name);
    if rows(&store).await.is_err() {
        store.rebuild().await.unwrap();
    }
    insert(&store, [500]).await.unwrap();
    assert_eq!(rows(&store).await, Ok(251));
}

// So few at once that each stands by itself.
async fn insert_singles(store: &IndexedDb, upto: u64) {
    for first in (1..=upto).step_by(15) {
        insert(store, first..(first + 15).min(upto + 1)).await.unwrap();
    }
}

pub async fn a_copy_that_is_interrupted_again_and_again_gets_to_its_end(name: String) {
    let store = IndexedDb::new(name.clone());
    insert_singles(&store, 300).await;
    store.close();
    without_table(&name, "archive").await.unwrap();
    let mut lives = 1;
    while killed_after(400, IndexedDb::new(name.clone()).rebuild()).await.is_none() {
        lives += 1;
        assert!(lives < 10, "it gets nowhere");
    }
    assert!(lives > 2, "it was not interrupted");
    assert_eq!(rows(&IndexedDb::new(name)).await, Ok(300));
}

pub async fn a_copy_of_a_database_that_was_used_meanwhile_is_begun_anew(name: String) {
    for polls in [30, 80, 120, 140, 160, 180] {
        let name = format!("{name} {polls}");
        let store = IndexedDb::new(name.clone());
        insert_singles(&store, 60).await;
        killed_after(polls, store.rebuild()).await;
        let store = IndexedDb::new(name.clone());
        let first = KeyRange::closed(RowKey::new(1, 1), RowKey::new(1, 1));
        let changes = vec![
            Change::Delete(TABLE, first),
            Change::Write(Document::Tracker, "later".into()),
            Change::Write(Document::Books, "less one".into()),
        ];
        store.update(&[], |_| Ok::<_, StoreError>((changes, ()))).await.unwrap();
        store.rebuild().await.unwrap();
        let queries = [
            Query::Document(Document::Books),
            Query::Document(Document::Tracker),
            Query::Keys { table: TABLE, range: KeyRange::everything(), limit: usize::MAX },
        ];
        let mut found = IndexedDb::new(name).read(&queries).await.unwrap().into_iter();
        assert_eq!(found.next().and_then(Answer::document).as_deref(), Some("less one"), "{polls}");
        assert_eq!(found.next().and_then(Answer::document).as_deref(), Some("later"), "{polls}");
        assert_eq!(found.next().map(Answer::keys).unwrap().len(), 59, "{polls}");
    }
}

pub async fn what_comes_while_a_database_is_rebuilt_is_in_the_new_one(name: String) {
    for polls in [0_u32, 20, 80, 140, 160, 180, 200, 240] {
        let name = format!("{name} {polls}");
        let store = IndexedDb::new(name.clone());
        insert_singles(&store, 60).await;
        let (left, is_rebuilt) = (Cell::new(polls), Cell::new(false));
        let rebuild = async {
            store.rebuild().await.unwrap();
            is_rebuilt.set(true);
        };
        let capture = async {
            let is_time = || left.replace(left.get().saturating_sub(1)) == 0 || is_rebuilt.get();
            poll_fn(|_| if is_time() { Poll::Ready(()) } else { Poll::Pending }).await;
            insert(&store, [500]).await.unwrap();
        };
        let both: [Pin<Box<dyn Future<Output = ()>>>; 2] = [Box::pin(rebuild), Box::pin(capture)];
        all(both).await;
        assert_eq!(rows(&store).await, Ok(61), "{polls}");
        assert_eq!(rows(&IndexedDb::new(name)).await, Ok(61), "{polls}");
    }
}

pub async fn a_database_in_use_that_can_not_be_opened_gives_way_to_none_before_it(name: String) {
    let store = IndexedDb::new(name.clone());
    insert(&store, 1..=3).await.unwrap();
    store.rebuild().await.unwrap();
    store.close();
    while names(&name).await.contains(&name) {}
    let second = format!("{name}~2");
    let fault = Fault(refuse_open(&second, "UnknownError"));
    let found = rows(&IndexedDb::new(name.clone())).await;
    assert_eq!(found, Err(StoreError::Broken("UnknownError".into())));
    assert_eq!(names(&name).await, [second.as_str()], "none is begun before it");
    // As a damaged one of which not all could be saved: which of the two is in use is seen at the next look.
    raise_version(&name, 1).await.unwrap();
    let found = rows(&IndexedDb::new(name.clone())).await;
    assert_eq!(found, Err(StoreError::Failed("UnknownError".into())));
    drop(fault);
    let fault = Fault(refuse_databases());
    let found = rows(&IndexedDb::new(name.clone())).await;
    assert_eq!(found, Err(StoreError::Failed("UnknownError".into())));
    drop(fault);
    assert_eq!(rows(&IndexedDb::new(name)).await, Ok(3));
}
