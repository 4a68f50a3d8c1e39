//! What every store promises ([`Store`]), said once and run over each of them.
//!
//! A case is given a way to open handles on one fresh, empty store; each handle stands for another context.

use std::cell::RefCell;

use heyho_sync::ports::store::{Answer, Body, Change, Document, Query, Row, Store, StoreError, Table};
use heyho_sync::words::key::{KeyRange, RowKey};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::record::Head;
use heyho_sync::words::time::UnixMillis;

use crate::tasks::{all, killed_after};

/// Hands the name of every case to the macro `$run`.
macro_rules! for_every_store_case {
    ($run:ident) => {
        $run! { store_contract:
            a_new_store_is_empty
            what_one_context_writes_another_one_reads
            a_row_comes_back_with_every_field_and_character
            a_row_comes_back_without_what_it_never_had
            answers_come_in_the_order_of_the_queries
            rows_come_in_the_order_of_their_keys
            a_range_holds_its_first_place_and_not_the_one_behind_its_last
            an_empty_range_holds_nothing
            a_limit_takes_the_first_of_a_range
            the_last_row_of_a_range_is_found
            rows_that_refer_to_a_record_are_found_where_they_were_set_aside
            revisions_are_found_by_the_whole_id_and_in_their_own_table_alone
            one_key_may_stand_in_several_tables
            documents_are_written_replaced_and_erased
            a_deleted_range_takes_nothing_beside_it
            a_range_without_rows_is_deleted_without_complaint
            changes_are_applied_in_their_order
            a_refused_change_takes_all_others_back_wherever_it_stands
            two_rows_of_one_key_in_one_update_are_refused
            a_store_works_on_after_a_refused_update
            an_error_of_the_decision_changes_nothing_and_is_handed_on
            updates_of_two_contexts_do_not_interleave
            a_read_sees_an_update_whole_or_not_at_all
            an_update_that_is_killed_has_happened_whole_or_not_at_all
            keys_are_exact_up_to_the_last_of_53_bits
            a_thousand_rows_go_in_and_out_in_one_update
            rows_that_came_together_are_read_found_and_deleted_one_by_one
            whatever_comes_and_goes_it_holds_what_a_plain_list_holds
        }
    };
}

const VISITS: Table = Table::Outbox(Kind::PageVisit);
const AGGREGATES: Table = Table::Outbox(Kind::TabAggregate);
const EVERYTHING: KeyRange = KeyRange::everything();

fn key(count: u64) -> RowKey {
    RowKey::new(1, count)
}

fn range(from: u64, to: u64) -> KeyRange {
    KeyRange { from: key(from), to: key(to) }
}

fn row_of<B: Body>(key: RowKey, id: &str) -> Row<B> {
    let body = format!("{{\"id\":\"{id}\"}}");
    Row {
        key,
        head: Head {
            kind: Kind::PageVisit,
            id: id.into(),
            revision: 1,
            refers_to: None,
            bytes: body.len() as u32,
            sites: Vec::new(),
        },
        follows: None,
        captured_at: UnixMillis(1_761_040_000_000),
        body: body.into(),
        note: None,
    }
}

fn row<B: Body>(count: u64) -> Row<B> {
    row_of(key(count), &format!("record {count}"))
}

async fn change<S: Store>(store: &S, changes: Vec<Change<S::Body>>) -> Result<(), StoreError> {
    store.update(&[], |_| Ok((changes, ()))).await
}

async fn insert<S: Store>(store: &S, table: Table, counts: impl IntoIterator<Item = u64>) {
    let changes = counts.into_iter().map(|count| Change::Insert(table, row(count))).collect();
    change(store, changes).await.unwrap();
}

async fn read_one<S: Store>(store: &S, query: Query) -> Answer<S::Body> {
    let mut answers = store.read(&[query]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn rows<S: Store>(store: &S, table: Table, range: KeyRange, limit: usize) -> Vec<Row<S::Body>> {
    match read_one(store, Query::Rows { table, range, limit }).await {
        Answer::Rows(rows) => rows,
        _ => panic!("rows were asked for, something else came"),
    }
}

async fn keys<S: Store>(store: &S, table: Table, range: KeyRange, limit: usize) -> Vec<RowKey> {
    match read_one(store, Query::Keys { table, range, limit }).await {
        Answer::Keys(keys) => keys,
        _ => panic!("keys were asked for, something else came"),
    }
}

async fn all_keys<S: Store>(store: &S, table: Table) -> Vec<RowKey> {
    keys(store, table, EVERYTHING, usize::MAX).await
}

async fn document<S: Store>(store: &S, document: Document) -> Option<String> {
    match read_one(store, Query::Document(document)).await {
        Answer::Document(text) => text,
        _ => panic!("a document was asked for, something else came"),
    }
}

fn places(counts: &[u64]) -> Vec<RowKey> {
    counts.iter().copied().map(key).collect()
}

// Field by field, since a row has no equality: its body is compared as text.
fn assert_same<B: Body>(found: &Row<B>, expected: &Row<B>) {
    assert_eq!(found.key, expected.key);
    assert_eq!(found.head, expected.head);
    assert_eq!(found.head.sites, expected.head.sites);
    assert_eq!(found.follows, expected.follows);
    assert_eq!(found.captured_at, expected.captured_at);
    assert_eq!(found.body.text(), expected.body.text());
    assert_eq!(found.note, expected.note);
}

pub async fn a_new_store_is_empty<S: Store>(open: impl Fn() -> S) {
    let store = open();
    for table in Table::ALL {
        assert!(rows(&store, table, EVERYTHING, usize::MAX).await.is_empty());
        assert!(all_keys(&store, table).await.is_empty());
    }
    for table in Table::OF_RECORDS {
        let id = "record 1".to_owned();
        assert!(read_one(&store, Query::Revisions { table, id: id.clone() }).await.rows().is_empty());
        assert!(read_one(&store, Query::KeysOf { table, id }).await.keys().is_empty());
    }
    for name in [Document::Books, Document::SyncState, Document::Tracker, Document::Session] {
        assert_eq!(document(&store, name).await, None);
    }
    assert!(store.read(&[]).await.unwrap().is_empty());
}

pub async fn what_one_context_writes_another_one_reads<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    insert(&one, VISITS, [1]).await;
    assert_eq!(all_keys(&other, VISITS).await, places(&[1]));
    change(&other, vec![Change::Write(Document::Books, "b".into())]).await.unwrap();
    assert_eq!(document(&one, Document::Books).await.as_deref(), Some("b"));
}

pub async fn a_row_comes_back_with_every_field_and_character<S: Store>(open: impl Fn() -> S) {
    let text = "{\"title\":\"ąß☃😀 \u{2028}\\u0000\0 \\\"end\"}";
    let full: Row<S::Body> = Row {
        key: RowKey::new(7, 3),
        head: Head {
            kind: Kind::TabAggregate,
            id: "0199f3a6-11aa-7f3c-a0d4-5b6c7d8e9f03".into(),
            revision: u32::MAX,
            refers_to: Some("0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01".into()),
            bytes: 262_144,
            sites: vec!["docs.rs".into(), "xn--bcher-kva.example".into(), "127.0.0.1:8080".into()],
        },
        follows: Some(RowKey::new(6, 2)),
        captured_at: UnixMillis(-5),
        body: text.to_owned().into(),
        note: Some("{\"reason\":\"☃\"}".into()),
    };
    for table in Table::ALL {
        let store = open();
        change(&store, vec![Change::Insert(table, full.clone())]).await.unwrap();
        let other = open();
        assert_same(&rows(&other, table, EVERYTHING, 1).await[0], &full);
        if table == Table::Receipts {
            continue;
        }
        let by_id = Query::Revisions { table, id: full.head.id.clone() };
        assert_same(&read_one(&other, by_id).await.rows()[0], &full);
    }
}

pub async fn a_row_comes_back_without_what_it_never_had<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1]).await;
    assert_same(&rows(&store, VISITS, EVERYTHING, 1).await[0], &row(1));
}

pub async fn answers_come_in_the_order_of_the_queries<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1, 2]).await;
    insert(&store, AGGREGATES, [3]).await;
    change(&store, vec![Change::Write(Document::Tracker, "t".into())]).await.unwrap();
    let queries = [
        Query::Keys { table: AGGREGATES, range: EVERYTHING, limit: 9 },
        Query::Document(Document::Tracker),
        Query::Revisions { table: VISITS, id: "record 2".into() },
        Query::Document(Document::Books),
        Query::Rows { table: VISITS, range: EVERYTHING, limit: 9 },
        Query::KeysOf { table: AGGREGATES, id: "record 3".into() },
        Query::Document(Document::Tracker),
    ];
    let check = |answers: &[Answer<S::Body>]| {
        let [
            Answer::Keys(aggregates),
            Answer::Document(Some(tracker)),
            Answer::Rows(revisions),
            Answer::Document(None),
            Answer::Rows(visits),
            Answer::Keys(of_aggregate),
            Answer::Document(Some(_)),
        ] = answers
        else {
            panic!("the answers are of other kinds")
        };
        assert_eq!((aggregates, of_aggregate), (&places(&[3]), &places(&[3])));
        assert_eq!(tracker, "t");
        assert_eq!(revisions.iter().map(|row| row.key).collect::<Vec<_>>(), places(&[2]));
        assert_eq!(visits.iter().map(|row| row.key).collect::<Vec<_>>(), places(&[1, 2]));
    };
    check(&store.read(&queries).await.unwrap());
    let decided = |answers: Vec<Answer<S::Body>>| {
        check(&answers);
        Ok::<_, StoreError>((Vec::new(), ()))
    };
    store.update(&queries, decided).await.unwrap();
}

pub async fn rows_come_in_the_order_of_their_keys<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [9, 2, 100]).await;
    insert(&store, VISITS, [30, 1]).await;
    let second_epoch = RowKey::new(2, 5);
    change(&store, vec![Change::Insert(VISITS, row_of(second_epoch, "later"))]).await.unwrap();
    let mut expected = places(&[1, 2, 9, 30, 100]);
    expected.push(second_epoch);
    assert_eq!(all_keys(&store, VISITS).await, expected);
    let found = rows(&store, VISITS, EVERYTHING, usize::MAX).await;
    assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), expected);
}

pub async fn a_range_holds_its_first_place_and_not_the_one_behind_its_last<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, 1..=5).await;
    assert_eq!(keys(&store, VISITS, range(2, 4), 9).await, places(&[2, 3]));
    assert_eq!(keys(&store, VISITS, KeyRange::closed(key(2), key(4)), 9).await, places(&[2, 3, 4]));
    assert_eq!(keys(&store, VISITS, KeyRange::closed(key(3), key(3)), 9).await, places(&[3]));
    assert_eq!(keys(&store, VISITS, KeyRange::rest_of_epoch(key(4)), 9).await, places(&[4, 5]));
    let found = rows(&store, VISITS, range(2, 4), 9).await;
    assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), places(&[2, 3]));
}

pub async fn an_empty_range_holds_nothing<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, 1..=3).await;
    assert!(keys(&store, VISITS, range(2, 2), 9).await.is_empty());
    assert!(rows(&store, VISITS, range(2, 2), 9).await.is_empty());
    assert!(read_one(&store, Query::Last { table: VISITS, range: range(2, 2) }).await.rows().is_empty());
    change(&store, vec![Change::Delete(VISITS, range(2, 2))]).await.unwrap();
    assert_eq!(all_keys(&store, VISITS).await, places(&[1, 2, 3]));
}

pub async fn a_limit_takes_the_first_of_a_range<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, 1..=5).await;
    for limit in [0, 1, 3, 4, usize::MAX] {
        let expected = &places(&[2, 3, 4, 5])[..limit.min(4)];
        let found = rows(&store, VISITS, range(2, 9), limit).await;
        assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), expected, "limit {limit}");
        assert_eq!(keys(&store, VISITS, range(2, 9), limit).await, expected, "limit {limit}");
    }
}

pub async fn the_last_row_of_a_range_is_found<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1, 2, 5, 8]).await;
    for (range, expected) in
        [(EVERYTHING, &[8][..]), (range(2, 8), &[5]), (range(3, 5), &[]), (range(9, 20), &[])]
    {
        let queries = [Query::Last { table: VISITS, range }, Query::Document(Document::Books)];
        let answers = store.read(&queries).await.unwrap();
        let found: Vec<RowKey> = answers.into_iter().flat_map(Answer::rows).map(|row| row.key).collect();
        assert_eq!(found, places(expected));
    }
}

pub async fn rows_that_refer_to_a_record_are_found_where_they_were_set_aside<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let referring = |count, to: &str| {
        let mut row: Row<S::Body> = row(count);
        row.head.refers_to = Some(to.into());
        row
    };
    for table in Table::ASIDE {
        let changes = vec![
            Change::Insert(table, referring(3, "visit")),
            Change::Insert(table, referring(1, "visit")),
            Change::Insert(table, referring(2, "visit 2")),
            Change::Insert(table, row_of(key(4), "visit")),
        ];
        change(&store, changes).await.unwrap();
        let found = read_one(&store, Query::Referring { table, id: "visit".into() }).await.rows();
        assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), places(&[1, 3]));
    }
}

pub async fn revisions_are_found_by_the_whole_id_and_in_their_own_table_alone<S: Store>(
    open: impl Fn() -> S,
) {
    let store = open();
    let named = |count, id: &str| row_of::<S::Body>(key(count), id);
    let changes = vec![
        Change::Insert(VISITS, named(8, "abc")),
        Change::Insert(VISITS, named(2, "abc")),
        Change::Insert(VISITS, named(3, "ab")),
        Change::Insert(VISITS, named(4, "abcd")),
        Change::Insert(VISITS, named(5, "ABC")),
        Change::Insert(AGGREGATES, named(6, "abc")),
    ];
    change(&store, changes).await.unwrap();
    let by_id = |table| Query::Revisions { table, id: "abc".into() };
    let found = read_one(&store, by_id(VISITS)).await.rows();
    assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), places(&[2, 8]));
    assert_eq!(read_one(&store, by_id(AGGREGATES)).await.rows().len(), 1);
    assert!(read_one(&store, by_id(Table::Quarantine)).await.rows().is_empty());
    let keys_of = read_one(&store, Query::KeysOf { table: VISITS, id: "abc".into() }).await.keys();
    assert_eq!(keys_of, places(&[2, 8]));
    change(&store, vec![Change::Delete(VISITS, range(2, 3))]).await.unwrap();
    let keys_of = read_one(&store, Query::KeysOf { table: VISITS, id: "abc".into() }).await.keys();
    assert_eq!(keys_of, places(&[8]));
}

pub async fn one_key_may_stand_in_several_tables<S: Store>(open: impl Fn() -> S) {
    let store = open();
    change(&store, Table::ALL.map(|table| Change::Insert(table, row(1))).to_vec()).await.unwrap();
    change(&store, vec![Change::Delete(Table::Archive, range(1, 2))]).await.unwrap();
    for table in [VISITS, AGGREGATES, Table::Quarantine] {
        assert_eq!(all_keys(&store, table).await, places(&[1]));
    }
    assert!(all_keys(&store, Table::Archive).await.is_empty());
}

pub async fn documents_are_written_replaced_and_erased<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let write = |document, text: &str| Change::Write(document, text.to_owned());
    change(&store, vec![write(Document::Books, "one"), write(Document::Session, "kept")]).await.unwrap();
    change(&store, vec![write(Document::Books, "two ☃"), Change::Erase(Document::Tracker)]).await.unwrap();
    assert_eq!(document(&store, Document::Books).await.as_deref(), Some("two ☃"));
    change(&store, vec![write(Document::Books, "")]).await.unwrap();
    assert_eq!(document(&store, Document::Books).await.as_deref(), Some(""));
    change(&store, vec![Change::Erase(Document::Books)]).await.unwrap();
    assert_eq!(document(&store, Document::Books).await, None);
    assert_eq!(document(&store, Document::Session).await.as_deref(), Some("kept"));
}

pub async fn a_deleted_range_takes_nothing_beside_it<S: Store>(open: impl Fn() -> S) {
    let store = open();
    for table in Table::ALL {
        insert(&store, table, 1..=6).await;
    }
    change(&store, vec![Change::Write(Document::Books, "b".into())]).await.unwrap();
    change(&store, vec![Change::Delete(VISITS, KeyRange::closed(key(2), key(4)))]).await.unwrap();
    assert_eq!(all_keys(&store, VISITS).await, places(&[1, 5, 6]));
    for table in [AGGREGATES, Table::Quarantine, Table::Archive] {
        assert_eq!(all_keys(&store, table).await.len(), 6);
    }
    assert_eq!(document(&store, Document::Books).await.as_deref(), Some("b"));
}

pub async fn a_range_without_rows_is_deleted_without_complaint<S: Store>(open: impl Fn() -> S) {
    let store = open();
    change(&store, vec![Change::Delete(VISITS, EVERYTHING)]).await.unwrap();
    insert(&store, VISITS, [1, 9]).await;
    change(&store, vec![Change::Delete(VISITS, range(2, 9))]).await.unwrap();
    assert_eq!(all_keys(&store, VISITS).await, places(&[1, 9]));
}

pub async fn changes_are_applied_in_their_order<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, 1..=3).await;
    let changes = vec![
        Change::Delete(VISITS, range(1, 3)),
        Change::Insert(VISITS, row_of(key(2), "the new one")),
        Change::Insert(VISITS, row(5)),
        Change::Delete(VISITS, range(4, 6)),
        Change::Write(Document::Books, "first".into()),
        Change::Write(Document::Books, "last".into()),
        Change::Write(Document::Tracker, "short-lived".into()),
        Change::Erase(Document::Tracker),
    ];
    change(&store, changes).await.unwrap();
    let found = rows(&store, VISITS, EVERYTHING, 9).await;
    let ids: Vec<_> = found.iter().map(|row| row.head.id.as_str()).collect();
    assert_eq!(ids, ["the new one", "record 3"]);
    assert_eq!(document(&store, Document::Books).await.as_deref(), Some("last"));
    assert_eq!(document(&store, Document::Tracker).await, None);
}

pub async fn a_refused_change_takes_all_others_back_wherever_it_stands<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1, 7]).await;
    insert(&store, AGGREGATES, [4]).await;
    change(&store, vec![Change::Write(Document::Books, "before".into())]).await.unwrap();
    for place in 0..=5 {
        let mut changes = vec![
            Change::Insert(VISITS, row(8)),
            Change::Write(Document::Books, "after".into()),
            Change::Delete(VISITS, range(1, 2)),
            Change::Erase(Document::Books),
            Change::Insert(Table::Quarantine, row(1)),
        ];
        changes.insert(place, Change::Insert(AGGREGATES, row(4)));
        let refused = change(&store, changes).await;
        assert_eq!(refused, Err(StoreError::Failed("ConstraintError".into())), "at {place}");
        assert_eq!(all_keys(&store, VISITS).await, places(&[1, 7]), "at {place}");
        assert_eq!(all_keys(&store, AGGREGATES).await, places(&[4]), "at {place}");
        assert!(all_keys(&store, Table::Quarantine).await.is_empty(), "at {place}");
        assert_eq!(document(&store, Document::Books).await.as_deref(), Some("before"), "at {place}");
    }
}

pub async fn two_rows_of_one_key_in_one_update_are_refused<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let twice = vec![
        Change::Insert(VISITS, row(1)),
        Change::Insert(VISITS, row(2)),
        Change::Insert(VISITS, row_of(key(1), "another record")),
    ];
    assert_eq!(change(&store, twice).await, Err(StoreError::Failed("ConstraintError".into())));
    assert!(all_keys(&store, VISITS).await.is_empty());
}

pub async fn a_store_works_on_after_a_refused_update<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1]).await;
    change(&store, vec![Change::Insert(VISITS, row(1))]).await.unwrap_err();
    insert(&store, VISITS, [2]).await;
    assert_eq!(all_keys(&store, VISITS).await, places(&[1, 2]));
}

#[derive(Debug, PartialEq)]
enum Refused {
    ByTheStore(StoreError),
    ByTheDecision,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::ByTheStore(error)
    }
}

pub async fn an_error_of_the_decision_changes_nothing_and_is_handed_on<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, [1]).await;
    let asked = RefCell::new(Vec::new());
    let refused = store
        .update::<(), Refused>(&[Query::Keys { table: VISITS, range: EVERYTHING, limit: 9 }], |answers| {
            asked.borrow_mut().extend(answers.into_iter().flat_map(Answer::keys));
            Err(Refused::ByTheDecision)
        })
        .await;
    assert_eq!(refused, Err(Refused::ByTheDecision));
    assert_eq!(*asked.borrow(), places(&[1]));
    assert_eq!(all_keys(&store, VISITS).await, places(&[1]));
    insert(&store, VISITS, [2]).await;
}

// Counts one up in a document and inserts a row of that number: a lost update or a number given twice would show.
async fn count_up<S: Store>(store: &S) -> Result<u64, StoreError> {
    store
        .update(&[Query::Document(Document::Books)], |answers| {
            let text = answers.into_iter().next().and_then(Answer::document);
            let next = text.map_or(0, |text| text.parse::<u64>().unwrap()) + 1;
            let changes =
                vec![Change::Write(Document::Books, next.to_string()), Change::Insert(VISITS, row(next))];
            Ok((changes, next))
        })
        .await
}

pub async fn updates_of_two_contexts_do_not_interleave<S: Store>(open: impl Fn() -> S) {
    let contexts = [open(), open()];
    let mut numbers: Vec<u64> =
        all((0..20).map(|n| count_up(&contexts[n % 2]))).await.into_iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(document(&contexts[0], Document::Books).await.as_deref(), Some("20"));
    assert_eq!(all_keys(&contexts[1], VISITS).await.len(), 20);
}

pub async fn a_read_sees_an_update_whole_or_not_at_all<S: Store>(open: impl Fn() -> S) {
    let (writer, reader) = (open(), open());
    let write = async {
        for _ in 0..10 {
            count_up(&writer).await.unwrap();
        }
    };
    let read = async {
        for _ in 0..10 {
            let keys = Query::Keys { table: VISITS, range: EVERYTHING, limit: usize::MAX };
            let mut answers =
                reader.read(&[keys, Query::Document(Document::Books)]).await.unwrap().into_iter();
            let rows = answers.next().unwrap().keys().len();
            let counted = answers.next().unwrap().document().map_or(0, |text| text.parse().unwrap());
            assert_eq!(rows, counted);
        }
    };
    let both: [std::pin::Pin<Box<dyn Future<Output = ()>>>; 2] = [Box::pin(write), Box::pin(read)];
    all(both).await;
}

pub async fn an_update_that_is_killed_has_happened_whole_or_not_at_all<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let mut happened = 0_u64;
    for polls in 0.. {
        let answered = killed_after(polls, count_up(&store)).await;
        let rows = all_keys(&open(), VISITS).await;
        let counted = document(&open(), Document::Books).await.map_or(0, |text| text.parse().unwrap());
        assert_eq!(rows.len() as u64, counted, "after {polls} polls");
        assert!((happened..=happened + 1).contains(&counted), "after {polls} polls");
        if answered.is_some() {
            assert_eq!((answered, counted), (Some(Ok(happened + 1)), happened + 1), "after {polls} polls");
            break;
        }
        happened = counted;
    }
}

pub async fn keys_are_exact_up_to_the_last_of_53_bits<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let last = RowKey::from_packed((1 << 53) - 1);
    let before = RowKey::from_packed((1 << 53) - 2);
    let mut follower: Row<S::Body> = row_of(before, "before");
    follower.follows = Some(last);
    let changes = vec![
        Change::Insert(VISITS, follower),
        Change::Insert(VISITS, row_of(last, "last")),
        Change::Insert(VISITS, row(1)),
    ];
    change(&store, changes).await.unwrap();
    assert_eq!(all_keys(&store, VISITS).await, [key(1), before, last]);
    assert_eq!(keys(&store, VISITS, KeyRange::closed(last, last), 9).await, [last]);
    let found = rows(&store, VISITS, KeyRange::closed(before, before), 9).await;
    assert_eq!((found.len(), found[0].follows), (1, Some(last)));
    change(&store, vec![Change::Delete(VISITS, KeyRange::closed(before, before))]).await.unwrap();
    assert_eq!(all_keys(&store, VISITS).await, [key(1), last]);
}

pub async fn a_thousand_rows_go_in_and_out_in_one_update<S: Store>(open: impl Fn() -> S) {
    let store = open();
    insert(&store, VISITS, 1..=1000).await;
    assert_eq!(all_keys(&open(), VISITS).await.len(), 1000);
    let changes = (1..=1000).map(|n| Change::Delete(VISITS, KeyRange::closed(key(n), key(n)))).collect();
    change(&store, changes).await.unwrap();
    assert!(all_keys(&open(), VISITS).await.is_empty());
}

pub async fn rows_that_came_together_are_read_found_and_deleted_one_by_one<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let full = |count| {
        let mut row: Row<S::Body> = row(count);
        row.head.revision = count as u32;
        row.head.refers_to = (count % 3 == 0).then(|| format!("source of {count}"));
        row.head.sites = (1..=count % 4).map(|n| format!("site{n}.example")).collect();
        row.follows = (count % 5 == 0).then(|| key(count - 1));
        row.body = format!("{{\"n\":{count},\"ü\":\"日本 😀\"}}").into();
        row
    };
    change(&store, (1..=250).map(|count| Change::Insert(VISITS, full(count))).collect()).await.unwrap();
    let found = rows(&store, VISITS, range(95, 230), 120).await;
    assert_eq!(found.len(), 120);
    for (row, count) in found.iter().zip(95..) {
        assert_same(row, &full(count));
    }
    let revisions = Query::Revisions { table: VISITS, id: "record 150".into() };
    let found = read_one(&store, revisions).await.rows();
    assert_eq!(found.len(), 1);
    assert_same(&found[0], &full(150));
    change(&store, vec![Change::Delete(VISITS, range(150, 151)), Change::Delete(VISITS, range(199, 240))])
        .await
        .unwrap();
    let staying: Vec<RowKey> = (1..150).chain(151..199).chain(240..=250).map(key).collect();
    assert_eq!(all_keys(&open(), VISITS).await, staying);
    for (id, there) in [(150, false), (151, true), (198, true), (199, false), (245, true)] {
        let query = Query::KeysOf { table: VISITS, id: format!("record {id}") };
        let expected = if there { vec![key(id)] } else { Vec::new() };
        assert_eq!(read_one(&store, query).await.keys(), expected, "record {id}");
    }
    let last = Query::Last { table: VISITS, range: range(160, 198) };
    assert_same(&read_one(&store, last).await.rows()[0], &full(197));
}

// What is promised, on a list: rows come at the end of their epoch, and ranges go. One context sees what another did.
pub async fn whatever_comes_and_goes_it_holds_what_a_plain_list_holds<S: Store>(open: impl Fn() -> S) {
    let contexts = [open(), open()];
    let mut list: Vec<(RowKey, String)> = Vec::new();
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut next = 1;
    for step in 0..120 {
        let store = &contexts[random(2) as usize];
        let mut changes = Vec::new();
        if random(3) > 0 {
            let most = if random(3) > 0 { 19 } else { 260 };
            for _ in 0..random(most) {
                next += 1 + random(3);
                let place = RowKey::new(1 + random(9) as u32 / 8, next);
                let id = format!("record {}", random(next));
                list.push((place, id.clone()));
                changes.push(Change::Insert(VISITS, row_of(place, &id)));
            }
        }
        if random(3) == 0 {
            for _ in 0..=random(3) {
                let from = RowKey::new(1 + random(5) as u32 / 4, random(next));
                let to = RowKey::from_packed(from.packed() + random(150));
                let gone = KeyRange { from, to };
                list.retain(|(place, _)| !gone.contains(*place));
                changes.push(Change::Delete(VISITS, gone));
            }
        }
        list.sort();
        change(store, changes).await.unwrap();
        if random(4) == 0 {
            store.tidy(VISITS, KeyRange::rest_of_epoch(RowKey::first_of(1))).await.unwrap();
            store.tidy(VISITS, KeyRange::rest_of_epoch(RowKey::first_of(2))).await.unwrap();
        }
        let from = RowKey::new(1, random(next + 1));
        let asked = KeyRange { from, to: RowKey::from_packed(from.packed() + random(2 * next)) };
        let asked = if random(4) == 0 { EVERYTHING } else { asked };
        let limit = if random(4) == 0 { usize::MAX } else { random(400) as usize };
        let within: Vec<&(RowKey, String)> = list.iter().filter(|(key, _)| asked.contains(*key)).collect();
        let expected: Vec<RowKey> = within.iter().take(limit).map(|(key, _)| *key).collect();
        assert_eq!(keys(store, VISITS, asked, limit).await, expected, "step {step}");
        let found = rows(store, VISITS, asked, limit).await;
        assert_eq!(found.iter().map(|row| row.key).collect::<Vec<_>>(), expected, "step {step}");
        let last = read_one(store, Query::Last { table: VISITS, range: asked }).await.rows();
        assert_eq!(last.first().map(|row| row.key), within.last().map(|(key, _)| *key), "step {step}");
        let id = format!("record {}", random(next));
        let of_id: Vec<RowKey> = list.iter().filter(|(_, of)| *of == id).map(|(key, _)| *key).collect();
        let asked = Query::KeysOf { table: VISITS, id: id.clone() };
        assert_eq!(read_one(store, asked).await.keys(), of_id, "step {step}");
        let revisions = read_one(store, Query::Revisions { table: VISITS, id }).await.rows();
        assert_eq!(revisions.iter().map(|row| row.key).collect::<Vec<_>>(), of_id, "step {step}");
    }
}
