//! What the outbox promises over every store: which rows there are, and that the books say so.
//!
//! A case is given a way to open handles on one fresh, empty store; each handle stands for another context.

use heyho_sync::decisions::ledger::{Counts, Place};
use heyho_sync::decisions::sync_state::{ProblemCode, SyncState};
use heyho_sync::outbox::{Admission, Aside, Capture, Fate, Outbox, OutboxError, Remembered, Settlement};
use heyho_sync::ports::store::{Answer, Body, Change, Document, Query, Row, Store, Table};
use heyho_sync::words::key::{KeyRange, RowKey};
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::owner::{Owner, Session};
use heyho_sync::words::record::{Maker, Record, admit};
use heyho_sync::words::time::UnixMillis;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::tasks::{all, killed_after};

/// Hands the name of every case to the macro `$run`.
macro_rules! for_every_outbox_case {
    ($run:ident) => {
        $run! { outbox_contract:
            records_stand_in_the_order_in_which_they_came
            later_records_stand_behind_earlier_ones
            a_source_is_put_before_what_refers_to_it
            a_circle_of_sources_is_kept_whole
            a_record_follows_the_place_of_what_it_refers_to
            a_record_that_is_held_word_for_word_counts_nowhere
            another_body_at_a_held_revision_is_refused_and_takes_the_whole_call_back
            two_bodies_at_one_revision_in_one_call_are_refused
            a_newer_revision_is_a_row_of_its_own
            the_trackers_memory_is_written_with_its_records
            captures_of_two_contexts_at_once_are_all_kept
            a_capture_that_is_killed_is_in_rows_and_books_or_in_neither
            a_window_shows_the_oldest_of_each_kind_from_where_it_begins
            a_settlement_deletes_exactly_what_was_sent
            what_came_meanwhile_is_not_touched
            a_row_between_sent_ones_stays
            rows_of_another_owner_between_sent_ones_stay
            rows_that_are_gone_are_not_counted_again
            an_acknowledged_revision_takes_lower_ones_along_wherever_they_are
            an_acknowledged_revision_leaves_higher_ones_and_the_other_kind
            a_refused_record_moves_to_quarantine_with_its_reason
            a_discarded_record_leaves_its_id_and_nothing_of_its_content
            one_settlement_may_hold_every_fate
            a_settlement_with_an_old_token_changes_nothing
            a_note_with_an_old_token_changes_nothing
            a_settlement_that_the_books_do_not_carry_changes_nothing
            the_lowest_place_moves_up_and_never_back
            a_settlement_that_is_killed_is_in_rows_and_books_or_in_neither
            what_was_set_aside_comes_back_behind_all_others
            what_was_set_aside_is_given_up_by_the_users_will
            a_visit_that_is_on_this_machine_is_found_wherever_it_is
            signing_out_keeps_every_record_for_its_owner
            another_account_finds_nothing_of_the_first_one
            an_account_that_returns_finds_its_records
            a_later_revision_and_a_late_aggregate_stay_with_the_owner_of_the_first
            of_what_may_not_be_kept_only_the_id_is
            records_captured_signed_out_go_to_the_first_account_alone
            the_same_owner_again_changes_nothing
            the_login_is_kept_or_forgotten_with_the_change_of_owner
            a_reset_forgets_progress_and_keeps_every_record
            a_document_that_can_not_be_read_is_told_by_name
        }
    };
}

const VISITS: Table = Table::Outbox(Kind::PageVisit);
const AGGREGATES: Table = Table::Outbox(Kind::TabAggregate);
const NOW: UnixMillis = UnixMillis(1_761_040_000_000);

fn visit_from(id: &str, source: Option<&str>, revision: u32) -> Record {
    let text = json!({
        "id": id,
        "url": format!("https://example.org/{id}"),
        "title": format!("{id} at revision {revision}"),
        "visited_at": "2025-10-21T09:46:40.000Z",
        "source_page_visit_id": source,
        "revision": revision,
    });
    admit(Kind::PageVisit, &text.to_string(), Maker::Caller).unwrap()
}

fn visit(id: &str) -> Record {
    visit_from(id, None, 1)
}

fn aggregate_of(visit: &str, id: &str, revision: u32) -> Record {
    let text = json!({
        "id": id,
        "page_visit_id": visit,
        "total_time_seconds": 60 + revision,
        "active_time_seconds": 45,
        "revision": revision,
    });
    admit(Kind::TabAggregate, &text.to_string(), Maker::Caller).unwrap()
}

fn visits(numbers: impl IntoIterator<Item = u32>) -> Vec<Record> {
    numbers.into_iter().map(|number| visit(&format!("visit {number}"))).collect()
}

fn owner(account: &str) -> Owner {
    Owner { origin: "https://api.example.org".into(), account: account.into() }
}

fn session(account: &str) -> Session {
    Session { account: account.into(), access_token: "a".into(), refresh_token: None, expires_at: None }
}

async fn append<S: Store>(outbox: &Outbox<S>, records: Vec<Record>) -> Result<Admission, OutboxError> {
    outbox.append(Capture { records, ..Capture::default() }, NOW).await
}

async fn document<T: DeserializeOwned, S: Store>(outbox: &Outbox<S>, document: Document) -> Option<T> {
    let found = outbox.store().read(&[Query::Document(document)]).await.unwrap();
    let text = found.into_iter().find_map(Answer::document)?;
    Some(serde_json::from_str(&text).unwrap())
}

async fn rows<S: Store>(outbox: &Outbox<S>, table: Table) -> Vec<Row<S::Body>> {
    let query = Query::Rows { table, range: KeyRange::everything(), limit: usize::MAX };
    outbox.store().read(&[query]).await.unwrap().into_iter().flat_map(Answer::rows).collect()
}

async fn ids<S: Store>(outbox: &Outbox<S>, table: Table) -> Vec<String> {
    rows(outbox, table).await.into_iter().map(|row| row.head.id).collect()
}

/// All counts of the books of one kind, whoever they belong to.
async fn counts<S: Store>(outbox: &Outbox<S>, kind: Kind) -> Counts {
    let totals = *outbox.overview().await.unwrap().books.totals().of(kind);
    Counts { pending: totals.counts.pending + totals.parked, ..totals.counts }
}

/// The books balance, and say of every epoch and kind what a count of the rows says.
async fn audit<S: Store>(outbox: &Outbox<S>) {
    let books = outbox.overview().await.unwrap().books;
    assert!(books.balance());
    let quarantine = rows(outbox, Table::Quarantine).await;
    let archive = rows(outbox, Table::Archive).await;
    for kind in Kind::ALL {
        let pending = rows(outbox, Table::Outbox(kind)).await;
        for epoch in books.epochs() {
            let of_epoch = |rows: &[Row<S::Body>]| {
                rows.iter().filter(|row| row.head.kind == kind && row.key.epoch() == epoch.number).count()
                    as u64
            };
            let counts = epoch.counts.of(kind);
            assert_eq!(counts.pending, of_epoch(&pending));
            assert_eq!(counts.quarantined, of_epoch(&quarantine));
            assert_eq!(counts.archived, of_epoch(&archive));
            let below = pending.iter().filter(|row| row.key.epoch() == epoch.number);
            assert!(below.min_by_key(|row| row.key).is_none_or(|row| row.key >= *epoch.lowest.of(kind)));
        }
        let known = |row: &Row<S::Body>| books.epochs().iter().any(|epoch| epoch.number == row.key.epoch());
        assert!(pending.iter().all(known));
    }
}

async fn signed_in<S: Store>(store: S) -> Outbox<S> {
    let outbox = Outbox::new(store);
    outbox.hand_to(Some(&owner("a")), Remembered::Untouched).await.unwrap();
    outbox
}

type Sent<B> = PerKind<Vec<(Row<B>, Fate)>>;

fn acknowledged<B>(page_visits: Vec<Row<B>>, tab_aggregates: Vec<Row<B>>) -> Sent<B> {
    let all = |rows: Vec<Row<B>>| rows.into_iter().map(|row| (row, Fate::Acknowledged)).collect();
    PerKind { page_visits: all(page_visits), tab_aggregates: all(tab_aggregates) }
}

fn refused<B>(visit: Row<B>, reason: &str) -> Sent<B> {
    PerKind { page_visits: vec![(visit, Fate::Quarantined(reason.to_owned()))], tab_aggregates: Vec::new() }
}

/// Settles, and says by how many the acknowledged records grew.
async fn settle<S: Store>(outbox: &Outbox<S>, token: u64, rows: Sent<S::Body>) -> Result<u64, OutboxError> {
    let before = acknowledged_so_far(outbox).await;
    let settlement = Settlement { token, rows, lowest: PerKind::default() };
    outbox.settle(settlement, Box::new(|_| {})).await?;
    Ok(acknowledged_so_far(outbox).await - before)
}

async fn acknowledged_so_far<S: Store>(outbox: &Outbox<S>) -> u64 {
    let [visits, aggregates] = Kind::ALL.map(|kind| counts(outbox, kind));
    visits.await.acknowledged + aggregates.await.acknowledged
}

async fn token_of<S: Store>(outbox: &Outbox<S>) -> u64 {
    outbox.take_over(Box::new(|_| {})).await.unwrap().0
}

async fn state<S: Store>(outbox: &Outbox<S>) -> SyncState {
    outbox.overview().await.unwrap().state
}

pub async fn records_stand_in_the_order_in_which_they_came<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let mut records = visits(1..=3);
    records.push(aggregate_of("visit 2", "aggregate 2", 1));
    records.push(aggregate_of("visit 1", "aggregate 1", 1));
    let admission = append(&outbox, records).await.unwrap();
    assert_eq!(admission, Admission { captured: 5, held_already: 0 });
    assert_eq!(ids(&outbox, VISITS).await, ["visit 1", "visit 2", "visit 3"]);
    assert_eq!(ids(&outbox, AGGREGATES).await, ["aggregate 2", "aggregate 1"]);
    let row = &rows(&outbox, VISITS).await[0];
    assert_eq!((row.captured_at, row.note.as_deref()), (NOW, None));
    assert_eq!(row.body.text(), visit("visit 1").body);
    assert_eq!(row.head, visit("visit 1").head);
    audit(&Outbox::new(open())).await;
}

pub async fn later_records_stand_behind_earlier_ones<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (signed_in(open()).await, Outbox::new(open()));
    for number in 0..6 {
        append(if number % 2 == 0 { &one } else { &other }, visits([number])).await.unwrap();
    }
    append(&one, vec![aggregate_of("visit 5", "aggregate", 1)]).await.unwrap();
    let found = rows(&one, VISITS).await;
    assert_eq!(found.iter().map(|row| row.head.id.as_str()).collect::<Vec<_>>(), ids(&other, VISITS).await);
    assert_eq!(found[5].head.id, "visit 5");
    assert!(rows(&one, AGGREGATES).await[0].key > found[5].key);
    audit(&one).await;
}

pub async fn a_source_is_put_before_what_refers_to_it<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let records = vec![
        aggregate_of("third", "aggregate", 1),
        visit_from("third", Some("second"), 1),
        visit("alone"),
        visit_from("second", Some("first"), 1),
        visit("first"),
    ];
    append(&outbox, records).await.unwrap();
    assert_eq!(ids(&outbox, VISITS).await, ["first", "second", "third", "alone"]);
    let found = rows(&outbox, VISITS).await;
    assert_eq!(
        found.iter().map(|row| row.follows).collect::<Vec<_>>(),
        [None, Some(found[0].key), Some(found[1].key), None]
    );
    assert_eq!(rows(&outbox, AGGREGATES).await[0].follows, Some(found[2].key));
    audit(&outbox).await;
}

pub async fn a_circle_of_sources_is_kept_whole<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let records = vec![
        visit_from("a", Some("c"), 1),
        visit_from("b", Some("a"), 1),
        visit_from("c", Some("b"), 1),
        visit("d"),
    ];
    assert_eq!(append(&outbox, records).await.unwrap().captured, 4);
    let mut found = ids(&outbox, VISITS).await;
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d"]);
    audit(&outbox).await;
}

pub async fn a_record_follows_the_place_of_what_it_refers_to<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits([1])).await.unwrap();
    let place = rows(&outbox, VISITS).await[0].key;
    let later = vec![
        visit_from("visit 2", Some("visit 1"), 1),
        aggregate_of("visit 1", "aggregate 1", 1),
        aggregate_of("a visit that was sent long ago", "aggregate 2", 1),
    ];
    append(&outbox, later).await.unwrap();
    assert_eq!(rows(&outbox, VISITS).await[1].follows, Some(place));
    let aggregates = rows(&outbox, AGGREGATES).await;
    assert_eq!((aggregates[0].follows, aggregates[1].follows), (Some(place), None));
}

pub async fn a_record_that_is_held_word_for_word_counts_nowhere<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits([1])).await.unwrap();
    let mut again = visits([1, 2, 2]);
    again.push(aggregate_of("visit 1", "aggregate", 1));
    again.push(aggregate_of("visit 1", "aggregate", 1));
    let admission = append(&outbox, again).await.unwrap();
    assert_eq!(admission, Admission { captured: 2, held_already: 3 });
    assert_eq!(ids(&outbox, VISITS).await, ["visit 1", "visit 2"]);
    assert_eq!(counts(&outbox, Kind::PageVisit).await.captured, 2);
    audit(&outbox).await;
}

pub async fn another_body_at_a_held_revision_is_refused_and_takes_the_whole_call_back<S: Store>(
    open: impl Fn() -> S,
) {
    let outbox = signed_in(open()).await;
    append(&outbox, vec![visit("held")]).await.unwrap();
    let mut other = visit("held");
    other.body = other.body.replace("held at", "changed at");
    let capture = Capture {
        records: vec![visit("before"), other, visit("behind")],
        tracker: Some("t".into()),
        ..Capture::default()
    };
    let refused = outbox.append(capture, NOW).await;
    assert_eq!(refused, Err(OutboxError::RevisionHeld { kind: Kind::PageVisit, id: "held".into() }));
    assert_eq!(ids(&outbox, VISITS).await, ["held"]);
    assert_eq!(document::<Value, _>(&outbox, Document::Tracker).await, None);
    assert_eq!(counts(&outbox, Kind::PageVisit).await.captured, 1);
    audit(&outbox).await;
}

pub async fn two_bodies_at_one_revision_in_one_call_are_refused<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let mut other = aggregate_of("visit", "twice", 1);
    other.body = other.body.replace("45", "46");
    let refused = append(&outbox, vec![aggregate_of("visit", "twice", 1), other]).await;
    assert_eq!(refused, Err(OutboxError::RevisionHeld { kind: Kind::TabAggregate, id: "twice".into() }));
    assert!(rows(&outbox, AGGREGATES).await.is_empty());
    // A visit may have the id of an aggregate.
    let same_id = vec![aggregate_of("shared", "shared", 1), visit("shared")];
    assert_eq!(append(&outbox, same_id).await.unwrap().captured, 2);
}

pub async fn a_newer_revision_is_a_row_of_its_own<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, vec![visit("v"), visit_from("v", None, 2)]).await.unwrap();
    append(&outbox, vec![visit_from("v", None, 3), visit_from("v", None, 2)]).await.unwrap();
    let revisions: Vec<_> = rows(&outbox, VISITS).await.iter().map(|row| row.head.revision).collect();
    assert_eq!(revisions, [1, 2, 3]);
    assert_eq!(counts(&outbox, Kind::PageVisit).await.captured, 3);
    audit(&outbox).await;
}

pub async fn the_trackers_memory_is_written_with_its_records<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let with =
        |records, tracker: &str| Capture { records, tracker: Some(tracker.to_owned()), ..Capture::default() };
    outbox.append(with(visits([1]), "1"), NOW).await.unwrap();
    assert_eq!(document::<u32, _>(&outbox, Document::Tracker).await, Some(1));
    outbox.append(with(Vec::new(), "2"), NOW).await.unwrap();
    assert_eq!(document::<u32, _>(&outbox, Document::Tracker).await, Some(2));
    append(&outbox, visits([2])).await.unwrap();
    assert_eq!(document::<u32, _>(&outbox, Document::Tracker).await, Some(2));
    assert_eq!(ids(&outbox, VISITS).await.len(), 2);
}

pub async fn captures_of_two_contexts_at_once_are_all_kept<S: Store>(open: impl Fn() -> S) {
    let contexts = [signed_in(open()).await, Outbox::new(open())];
    let capture = |number: u32| append(&contexts[number as usize % 2], visits([number]));
    for admitted in all((0..20).map(capture)).await {
        assert_eq!(admitted, Ok(Admission { captured: 1, held_already: 0 }));
    }
    assert_eq!(ids(&contexts[0], VISITS).await.len(), 20);
    audit(&contexts[1]).await;
}

pub async fn a_capture_that_is_killed_is_in_rows_and_books_or_in_neither<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let mut kept = 0;
    for polls in 0.. {
        let mut records = visits([polls]);
        records.push(aggregate_of(&format!("visit {polls}"), &format!("aggregate {polls}"), 1));
        let answered = killed_after(polls as usize, append(&outbox, records)).await;
        let next = Outbox::new(open());
        audit(&next).await;
        let (visits, aggregates) = (ids(&next, VISITS).await.len(), ids(&next, AGGREGATES).await.len());
        assert_eq!(visits, aggregates, "after {polls} polls");
        if answered.is_some() {
            assert_eq!(visits, kept + 1, "after {polls} polls");
            break;
        }
        kept = visits;
    }
}

pub async fn a_window_shows_the_oldest_of_each_kind_from_where_it_begins<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=5)).await.unwrap();
    append(&outbox, vec![aggregate_of("visit 1", "aggregate", 1)]).await.unwrap();
    let (_, mut ranges) = outbox.overview().await.unwrap().books.next_to_send(&owner("a"), None).unwrap();
    let window = outbox.window(ranges, 3).await.unwrap();
    let seen = |rows: &[Row<S::Body>]| rows.iter().map(|row| row.head.id.clone()).collect::<Vec<_>>();
    assert_eq!(seen(&window.page_visits), ["visit 1", "visit 2", "visit 3"]);
    assert_eq!(seen(&window.tab_aggregates), ["aggregate"]);
    ranges.page_visits.from = window.page_visits[2].key.next();
    ranges.tab_aggregates.from = ranges.tab_aggregates.to;
    let window = outbox.window(ranges, 3).await.unwrap();
    assert_eq!(seen(&window.page_visits), ["visit 4", "visit 5"]);
    assert!(window.tab_aggregates.is_empty());
}

pub async fn a_settlement_deletes_exactly_what_was_sent<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=5)).await.unwrap();
    append(&outbox, vec![aggregate_of("visit 1", "aggregate", 1)]).await.unwrap();
    let token = token_of(&outbox).await;
    let mut sent = rows(&outbox, VISITS).await;
    sent.truncate(3);
    let batch = acknowledged(sent, rows(&outbox, AGGREGATES).await);
    let settlement = Settlement { token, rows: batch, lowest: PerKind::default() };
    let after = outbox.settle(settlement, Box::new(|state| state.last_success_at = Some(NOW))).await.unwrap();
    assert_eq!((after.token, after.last_success_at), (token, Some(NOW)));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 4", "visit 5"]);
    assert!(rows(&outbox, AGGREGATES).await.is_empty());
    let of_visits = counts(&outbox, Kind::PageVisit).await;
    assert_eq!((of_visits.captured, of_visits.acknowledged, of_visits.pending), (5, 3, 2));
    assert_eq!(state(&outbox).await.last_success_at, Some(NOW));
    audit(&Outbox::new(open())).await;
}

pub async fn what_came_meanwhile_is_not_touched<S: Store>(open: impl Fn() -> S) {
    let (syncer, capturer) = (signed_in(open()).await, Outbox::new(open()));
    append(&capturer, visits(1..=3)).await.unwrap();
    let token = token_of(&syncer).await;
    let sent = rows(&syncer, VISITS).await;
    append(&capturer, visits(4..=6)).await.unwrap();
    append(&capturer, vec![visit_from("visit 2", None, 2)]).await.unwrap();
    assert_eq!(settle(&syncer, token, acknowledged(sent, Vec::new())).await, Ok(3));
    assert_eq!(ids(&syncer, VISITS).await, ["visit 4", "visit 5", "visit 6", "visit 2"]);
    audit(&capturer).await;
}

pub async fn a_row_between_sent_ones_stays<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=6)).await.unwrap();
    let token = token_of(&outbox).await;
    let mut sent = rows(&outbox, VISITS).await;
    sent.remove(4);
    sent.remove(2);
    assert_eq!(settle(&outbox, token, acknowledged(sent, Vec::new())).await, Ok(4));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 3", "visit 5"]);
    audit(&outbox).await;
}

pub async fn rows_of_another_owner_between_sent_ones_stay<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    for (number, account) in [(1, "a"), (2, "b"), (3, "a")] {
        outbox.hand_to(Some(&owner(account)), Remembered::Untouched).await.unwrap();
        append(&outbox, visits([number])).await.unwrap();
    }
    let token = token_of(&outbox).await;
    let mut sent = rows(&outbox, VISITS).await;
    sent.remove(1);
    assert_eq!(settle(&outbox, token, acknowledged(sent, Vec::new())).await, Ok(2));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 2"]);
    audit(&outbox).await;
}

pub async fn rows_that_are_gone_are_not_counted_again<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=4)).await.unwrap();
    let token = token_of(&outbox).await;
    let sent = rows(&outbox, VISITS).await;
    assert_eq!(settle(&outbox, token, acknowledged(sent[1..3].to_vec(), Vec::new())).await, Ok(2));
    assert_eq!(settle(&outbox, token, acknowledged(sent.clone(), Vec::new())).await, Ok(2));
    assert_eq!(settle(&outbox, token, acknowledged(sent.clone(), Vec::new())).await, Ok(0));
    assert_eq!(settle(&outbox, token, refused(sent[0].clone(), "{}")).await, Ok(0));
    assert!(rows(&outbox, Table::Quarantine).await.is_empty());
    assert_eq!(counts(&outbox, Kind::PageVisit).await.acknowledged, 4);
    audit(&outbox).await;
}

// Moves the first visit of the outbox to the archive, as the archive itself does it later.
async fn archive_first<S: Store>(outbox: &Outbox<S>) {
    let row = rows(outbox, VISITS).await.remove(0);
    let mut books = outbox.overview().await.unwrap().books;
    books.transfer(row.key.epoch(), Kind::PageVisit, Place::Pending, Place::Archived, 1).unwrap();
    let changes = vec![
        Change::Delete(VISITS, KeyRange::closed(row.key, row.key)),
        Change::Insert(Table::Archive, row),
        Change::Write(Document::Books, serde_json::to_string(&books).unwrap()),
    ];
    outbox.store().update::<(), OutboxError>(&[], |_| Ok((changes, ()))).await.unwrap();
}

pub async fn an_acknowledged_revision_takes_lower_ones_along_wherever_they_are<S: Store>(
    open: impl Fn() -> S,
) {
    let outbox = signed_in(open()).await;
    let token = token_of(&outbox).await;
    append(&outbox, vec![visit_from("v", None, 1)]).await.unwrap();
    archive_first(&outbox).await;
    append(&outbox, vec![visit_from("v", None, 2)]).await.unwrap();
    let second = rows(&outbox, VISITS).await.remove(0);
    settle(&outbox, token, refused(second, "{}")).await.unwrap();
    append(&outbox, vec![visit_from("v", None, 3), visit("other")]).await.unwrap();
    append(&outbox, vec![visit_from("v", None, 4)]).await.unwrap();
    audit(&outbox).await;
    let fourth = rows(&outbox, VISITS).await.pop().unwrap();
    assert_eq!(settle(&outbox, token, acknowledged(vec![fourth], Vec::new())).await, Ok(4));
    assert_eq!(ids(&outbox, VISITS).await, ["other"]);
    assert!(rows(&outbox, Table::Quarantine).await.is_empty());
    assert!(rows(&outbox, Table::Archive).await.is_empty());
    assert_eq!(counts(&outbox, Kind::PageVisit).await.acknowledged, 4);
    audit(&outbox).await;
}

pub async fn an_acknowledged_revision_leaves_higher_ones_and_the_other_kind<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let token = token_of(&outbox).await;
    let records = vec![
        visit_from("shared", None, 2),
        visit_from("shared", None, 3),
        aggregate_of("shared", "shared", 1),
        visit("shared and more"),
    ];
    append(&outbox, records).await.unwrap();
    let second = rows(&outbox, VISITS).await.remove(0);
    assert_eq!(settle(&outbox, token, acknowledged(vec![second], Vec::new())).await, Ok(1));
    assert_eq!(ids(&outbox, VISITS).await, ["shared", "shared and more"]);
    assert_eq!(ids(&outbox, AGGREGATES).await, ["shared"]);
    audit(&outbox).await;
}

pub async fn a_refused_record_moves_to_quarantine_with_its_reason<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=3)).await.unwrap();
    let token = token_of(&outbox).await;
    let bad = rows(&outbox, VISITS).await.remove(1);
    assert_eq!(settle(&outbox, token, refused(bad.clone(), "{\"reason\":\"no\"}")).await, Ok(0));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 1", "visit 3"]);
    let quarantine = rows(&outbox, Table::Quarantine).await;
    assert_eq!((quarantine.len(), quarantine[0].note.as_deref()), (1, Some("{\"reason\":\"no\"}")));
    assert_eq!(quarantine[0].body.text(), bad.body.text());
    assert_eq!(counts(&outbox, Kind::PageVisit).await.quarantined, 1);
    audit(&outbox).await;
}

pub async fn a_discarded_record_leaves_its_id_and_nothing_of_its_content<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=2)).await.unwrap();
    let token = token_of(&outbox).await;
    let mut batch = acknowledged(rows(&outbox, VISITS).await, Vec::new());
    batch.page_visits.truncate(1);
    batch.page_visits[0].1 = Fate::Discarded("{\"reason\":\"excluded\"}".into());
    assert_eq!(settle(&outbox, token, batch).await, Ok(0));
    let discarded = rows(&outbox, Table::Discarded).await;
    assert_eq!((discarded.len(), discarded[0].head.id.as_str()), (1, "visit 1"));
    assert_eq!((discarded[0].body.text().as_str(), discarded[0].head.sites.len()), ("", 0));
    assert_eq!(discarded[0].note.as_deref(), Some("{\"reason\":\"excluded\"}"));
    assert_eq!(counts(&outbox, Kind::PageVisit).await.discarded, 1);
    audit(&outbox).await;
}

pub async fn one_settlement_may_hold_every_fate<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=5)).await.unwrap();
    let token = token_of(&outbox).await;
    let mut batch = acknowledged(rows(&outbox, VISITS).await, Vec::new());
    for bad in [0, 3] {
        batch.page_visits[bad].1 = Fate::Quarantined("{}".into());
    }
    batch.page_visits[4].1 = Fate::Discarded("{}".into());
    assert_eq!(settle(&outbox, token, batch).await, Ok(2));
    assert!(rows(&outbox, VISITS).await.is_empty());
    assert_eq!(ids(&outbox, Table::Quarantine).await, ["visit 1", "visit 4"]);
    assert_eq!(ids(&outbox, Table::Discarded).await, ["visit 5"]);
    audit(&outbox).await;
}

pub async fn a_settlement_with_an_old_token_changes_nothing<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (signed_in(open()).await, Outbox::new(open()));
    append(&one, visits(1..=3)).await.unwrap();
    let old = token_of(&one).await;
    let sent = rows(&one, VISITS).await;
    let new = token_of(&other).await;
    assert!(new > old);
    let settlement =
        Settlement { token: old, rows: acknowledged(sent.clone(), Vec::new()), lowest: PerKind::default() };
    let fenced = one.settle(settlement, Box::new(|state| state.last_success_at = Some(NOW))).await;
    assert_eq!(fenced, Err(OutboxError::Fenced));
    assert_eq!(ids(&one, VISITS).await.len(), 3);
    assert_eq!(state(&one).await.last_success_at, None);
    assert_eq!(settle(&other, new, acknowledged(sent, Vec::new())).await, Ok(3));
    audit(&one).await;
}

pub async fn a_note_with_an_old_token_changes_nothing<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let old = token_of(&outbox).await;
    let new = token_of(&outbox).await;
    let trouble = |state: &mut SyncState| state.trouble(ProblemCode::NotAllowed, NOW);
    assert_eq!(outbox.note(old, Box::new(trouble)).await, Err(OutboxError::Fenced));
    assert_eq!(state(&outbox).await.problem, None);
    assert_eq!(outbox.note(new, Box::new(trouble)).await.unwrap().token, new);
    assert_eq!(state(&outbox).await.problem.unwrap().code, ProblemCode::NotAllowed);
    assert_eq!(state(&outbox).await.token, new);
}

pub async fn a_settlement_that_the_books_do_not_carry_changes_nothing<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=3)).await.unwrap();
    let token = token_of(&outbox).await;
    let sent = rows(&outbox, VISITS).await;
    let lost = vec![Change::Erase(Document::Books)];
    outbox.store().update::<(), OutboxError>(&[], |_| Ok((lost, ()))).await.unwrap();
    let settled = settle(&outbox, token, acknowledged(sent, Vec::new())).await;
    assert!(matches!(settled, Err(OutboxError::Books(_))));
    assert_eq!(ids(&outbox, VISITS).await.len(), 3);
}

pub async fn the_lowest_place_moves_up_and_never_back<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=4)).await.unwrap();
    let token = token_of(&outbox).await;
    let sent = rows(&outbox, VISITS).await;
    let places: Vec<RowKey> = sent.iter().map(|row| row.key).collect();
    for (settled, lowest, expected) in [(0..2, places[2], places[2]), (2..3, places[1], places[2])] {
        let settlement = Settlement {
            token,
            rows: acknowledged(sent[settled].to_vec(), Vec::new()),
            lowest: PerKind { page_visits: vec![lowest], tab_aggregates: Vec::new() },
        };
        outbox.settle(settlement, Box::new(|_| {})).await.unwrap();
        let (_, ranges) = outbox.overview().await.unwrap().books.next_to_send(&owner("a"), None).unwrap();
        assert_eq!(ranges.page_visits.from, expected);
        assert_eq!(ranges.tab_aggregates.from, RowKey::first_of(places[0].epoch()));
        audit(&outbox).await;
    }
}

pub async fn a_settlement_that_is_killed_is_in_rows_and_books_or_in_neither<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=40)).await.unwrap();
    let token = token_of(&outbox).await;
    let mut left = 40;
    for polls in 0.. {
        let mut sent = rows(&outbox, VISITS).await;
        sent.truncate(3);
        let mut batch = acknowledged(sent, Vec::new());
        batch.page_visits[1].1 = Fate::Quarantined("{}".into());
        let settlement = Settlement { token, rows: batch, lowest: PerKind::default() };
        let answered = killed_after(polls, outbox.settle(settlement, Box::new(|_| {}))).await;
        let next = Outbox::new(open());
        audit(&next).await;
        let rows_left = ids(&next, VISITS).await.len();
        assert!(rows_left == left || rows_left == left - 3, "after {polls} polls");
        if answered.is_some() {
            assert_eq!(rows_left, left - 3, "after {polls} polls");
            break;
        }
        left = rows_left;
    }
}

// A visit with its aggregate in quarantine, another visit beside them, and a third one that still waits.
async fn with_quarantine<S: Store>(store: S) -> Outbox<S> {
    let outbox = signed_in(store).await;
    let mut records = visits(1..=3);
    records.push(aggregate_of("visit 1", "aggregate 1", 1));
    append(&outbox, records).await.unwrap();
    let token = token_of(&outbox).await;
    let mut batch = acknowledged(rows(&outbox, VISITS).await, rows(&outbox, AGGREGATES).await);
    batch.page_visits.truncate(2);
    for (_, fate) in batch.page_visits.iter_mut().chain(&mut batch.tab_aggregates) {
        *fate = Fate::Quarantined("{}".into());
    }
    settle(&outbox, token, batch).await.unwrap();
    assert_eq!(outbox.list(Aside::Quarantine).await.unwrap().len(), 3);
    outbox
}

pub async fn what_was_set_aside_comes_back_behind_all_others<S: Store>(open: impl Fn() -> S) {
    let outbox = with_quarantine(open()).await;
    assert_eq!(outbox.put_back(Aside::Archive, None, NOW).await, Ok(0));
    assert_eq!(outbox.put_back(Aside::Quarantine, Some(vec!["visit 1".into()]), NOW).await, Ok(2));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 3", "visit 1"]);
    let (visits, aggregates) = (rows(&outbox, VISITS).await, rows(&outbox, AGGREGATES).await);
    assert_eq!((aggregates[0].follows, aggregates[0].note.as_deref()), (Some(visits[1].key), None));
    assert_eq!(ids(&outbox, Table::Quarantine).await, ["visit 2"]);
    audit(&outbox).await;
    assert_eq!(outbox.put_back(Aside::Quarantine, None, NOW).await, Ok(1));
    assert_eq!(ids(&outbox, VISITS).await, ["visit 3", "visit 1", "visit 2"]);
    assert_eq!(counts(&outbox, Kind::PageVisit).await.captured, 3);
    audit(&outbox).await;
}

pub async fn what_was_set_aside_is_given_up_by_the_users_will<S: Store>(open: impl Fn() -> S) {
    let outbox = with_quarantine(open()).await;
    assert_eq!(outbox.discard(Aside::Quarantine, vec!["visit 1".into(), "unknown".into()]).await, Ok(2));
    assert_eq!(ids(&outbox, Table::Quarantine).await, ["visit 2"]);
    assert!(rows(&outbox, Table::Discarded).await.iter().all(|row| row.body.text().is_empty()));
    assert_eq!(counts(&outbox, Kind::PageVisit).await.discarded, 1);
    assert_eq!(counts(&outbox, Kind::TabAggregate).await.discarded, 1);
    audit(&outbox).await;
}

pub async fn a_visit_that_is_on_this_machine_is_found_wherever_it_is<S: Store>(open: impl Fn() -> S) {
    let outbox = with_quarantine(open()).await;
    outbox.discard(Aside::Quarantine, vec!["visit 2".into()]).await.unwrap();
    let asked = ["visit 1", "visit 2", "visit 3", "aggregate 1", "unknown"].map(str::to_owned);
    let found = outbox.whereabouts(&asked).await.unwrap();
    assert_eq!(found.get("visit 1"), Some(&Table::Quarantine));
    assert_eq!(found.get("visit 2"), Some(&Table::Discarded));
    assert_eq!(found.get("visit 3"), Some(&VISITS));
    assert_eq!(found.len(), 3);
}

pub async fn signing_out_keeps_every_record_for_its_owner<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=2)).await.unwrap();
    outbox.hand_to(None, Remembered::Untouched).await.unwrap();
    append(&outbox, visits([3])).await.unwrap();
    let books = outbox.overview().await.unwrap().books;
    assert_eq!((books.owner(), books.pending_of(&owner("a")).page_visits), (None, 2));
    assert_eq!(ids(&outbox, VISITS).await.len(), 3);
    audit(&outbox).await;
}

pub async fn another_account_finds_nothing_of_the_first_one<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=2)).await.unwrap();
    outbox.hand_to(Some(&owner("b")), Remembered::Untouched).await.unwrap();
    assert_eq!(outbox.overview().await.unwrap().books.next_to_send(&owner("b"), None), None);
    append(&outbox, visits([3])).await.unwrap();
    let books = outbox.overview().await.unwrap().books;
    let (_, ranges) = books.next_to_send(&owner("b"), None).unwrap();
    let window = outbox.window(ranges, 9).await.unwrap();
    assert_eq!(window.page_visits.iter().map(|row| row.head.id.as_str()).collect::<Vec<_>>(), ["visit 3"]);
    let totals = books.totals().page_visits;
    assert_eq!((totals.counts.pending, totals.parked), (1, 2));
    audit(&outbox).await;
}

pub async fn an_account_that_returns_finds_its_records<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits([1])).await.unwrap();
    outbox.hand_to(Some(&owner("b")), Remembered::Untouched).await.unwrap();
    append(&outbox, visits([2])).await.unwrap();
    outbox.hand_to(Some(&owner("a")), Remembered::Untouched).await.unwrap();
    append(&outbox, visits([3])).await.unwrap();
    let token = token_of(&outbox).await;
    let mut delivered = Vec::new();
    while let Some((_, ranges)) = outbox.overview().await.unwrap().books.next_to_send(&owner("a"), None) {
        let window = outbox.window(ranges, 9).await.unwrap().page_visits;
        delivered.extend(window.iter().map(|row| row.head.id.clone()));
        settle(&outbox, token, acknowledged(window, Vec::new())).await.unwrap();
    }
    assert_eq!(delivered, ["visit 1", "visit 3"]);
    assert_eq!(ids(&outbox, VISITS).await, ["visit 2"]);
    audit(&outbox).await;
}

pub async fn a_later_revision_and_a_late_aggregate_stay_with_the_owner_of_the_first<S: Store>(
    open: impl Fn() -> S,
) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits([1])).await.unwrap();
    outbox.hand_to(Some(&owner("b")), Remembered::Untouched).await.unwrap();
    let late =
        vec![visit_from("visit 1", None, 2), aggregate_of("visit 1", "aggregate 1", 1), visit("visit 2")];
    append(&outbox, late).await.unwrap();
    let books = outbox.overview().await.unwrap().books;
    let pending = |account| books.pending_of(&owner(account));
    assert_eq!((pending("a").page_visits, pending("a").tab_aggregates), (2, 1));
    assert_eq!((pending("b").page_visits, pending("b").tab_aggregates), (1, 0));
    audit(&outbox).await;
}

pub async fn of_what_may_not_be_kept_only_the_id_is<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let forbidden = vec![visit("secret")];
    let capture = Capture { records: visits([1]), forbidden, ..Capture::default() };
    assert_eq!(outbox.append(capture, NOW).await.unwrap().captured, 1);
    assert_eq!(ids(&outbox, VISITS).await, ["visit 1"]);
    let known = rows(&outbox, Table::Discarded).await.remove(0);
    assert_eq!((known.head.id.as_str(), known.head.sites.len()), ("secret", 0));
    assert_eq!(known.body.text(), "");
    assert_eq!(counts(&outbox, Kind::PageVisit).await.captured, 1);
    audit(&outbox).await;
}

pub async fn records_captured_signed_out_go_to_the_first_account_alone<S: Store>(open: impl Fn() -> S) {
    let outbox = Outbox::new(open());
    append(&outbox, visits([1])).await.unwrap();
    outbox.hand_to(Some(&owner("a")), Remembered::Untouched).await.unwrap();
    assert_eq!(outbox.overview().await.unwrap().books.pending_of(&owner("a")).page_visits, 1);
    outbox.hand_to(None, Remembered::Untouched).await.unwrap();
    append(&outbox, visits([2])).await.unwrap();
    outbox.hand_to(Some(&owner("b")), Remembered::Untouched).await.unwrap();
    let books = outbox.overview().await.unwrap().books;
    assert_eq!(books.pending_of(&owner("b")).total(), 0);
    assert_eq!(books.pending_of(&owner("a")).page_visits, 1);
    audit(&outbox).await;
}

pub async fn the_same_owner_again_changes_nothing<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits([1])).await.unwrap();
    let before = outbox.overview().await.unwrap().books;
    outbox.hand_to(Some(&owner("a")), Remembered::Untouched).await.unwrap();
    assert_eq!(outbox.overview().await.unwrap().books, before);
}

pub async fn the_login_is_kept_or_forgotten_with_the_change_of_owner<S: Store>(open: impl Fn() -> S) {
    let outbox = Outbox::new(open());
    outbox.take_over(Box::new(|state| state.trouble(ProblemCode::SignInAgain, NOW))).await.unwrap();
    outbox.hand_to(Some(&owner("a")), Remembered::Keep(&session("a"))).await.unwrap();
    let kept = document::<Session, _>(&Outbox::new(open()), Document::Session).await;
    assert!(kept == Some(session("a")));
    assert_eq!(state(&outbox).await.problem, None);
    outbox.hand_to(Some(&owner("b")), Remembered::Untouched).await.unwrap();
    assert!(document::<Session, _>(&outbox, Document::Session).await.is_some());
    outbox.hand_to(None, Remembered::Forget).await.unwrap();
    assert!(document::<Session, _>(&outbox, Document::Session).await.is_none());
}

pub async fn a_reset_forgets_progress_and_keeps_every_record<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    append(&outbox, visits(1..=3)).await.unwrap();
    let (old, _) = outbox
        .take_over(Box::new(|state| {
            state.trouble(ProblemCode::Unreachable, NOW);
            state.last_success_at = Some(NOW);
        }))
        .await
        .unwrap();
    outbox.reset().await.unwrap();
    let state = state(&outbox).await;
    assert_eq!((state.problem, state.retry, state.last_success_at), (None, None, Some(NOW)));
    assert!(state.token > old);
    assert_eq!(ids(&outbox, VISITS).await.len(), 3);
    audit(&outbox).await;
}

pub async fn a_document_that_can_not_be_read_is_told_by_name<S: Store>(open: impl Fn() -> S) {
    let outbox = signed_in(open()).await;
    let damage = vec![Change::Write(Document::Books, "{".into())];
    outbox.store().update::<(), OutboxError>(&[], |_| Ok((damage, ()))).await.unwrap();
    assert_eq!(append(&outbox, visits([1])).await, Err(OutboxError::Unreadable(Document::Books)));
    assert!(rows(&outbox, VISITS).await.is_empty());
    assert!(matches!(outbox.overview().await, Err(OutboxError::Unreadable(Document::Books))));
}
