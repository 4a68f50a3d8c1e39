//! What a transaction writes.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rexie::{Store as IdbStore, Transaction};
use wasm_bindgen::JsValue;

use super::failure::failure;
use super::query::{Met, first_singles, kind_of, lists, numbers, segments_in};
use super::row::{JsBody, to_stored};
use super::schema;
use super::segment::{self, Segment, Shelf};
use crate::ports::store::{Change, Row, StoreError, Table};
use crate::words::key::KeyRange;
use crate::words::kind::Kind;

type Request = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

// An outbox that loses rows, and its segments that have some of them.
struct Losing {
    table: Table,
    ranges: Vec<KeyRange>,
    segments: Vec<Segment>,
}

/// Applies all changes and commits, or none.
pub async fn apply_all(
    transaction: Transaction,
    changes: &[Change<JsBody>],
    met: &RefCell<Met<'_>>,
    commits_early: bool,
) -> Result<(), StoreError> {
    let mut losing = Vec::new();
    for table in Kind::ALL.map(Table::Outbox) {
        let ranges: Vec<KeyRange> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Delete(of, range) if *of == table && !range.is_empty() => Some(*range),
                _ => None,
            })
            .collect();
        if !ranges.is_empty() {
            let segments = segments_in(&transaction, table, &ranges, met).await?;
            losing.push(Losing { table, ranges, segments });
        }
    }
    let requests = requests(&transaction, changes, losing, &met.borrow())?;
    commit_after(transaction, requests, commits_early).await
}

/// Makes segments of the first single rows of a range, but for the last few.
pub async fn put_together(
    transaction: Transaction,
    table: Table,
    range: KeyRange,
    shelf: &Shelf,
    commits_early: bool,
) -> Result<(), StoreError> {
    let met = Met::new(shelf);
    let singles = first_singles(&transaction, table, range, segment::TIDIED_ROWS).await?;
    let rows: Vec<&Row<JsBody>> = singles.iter().collect();
    let mut requests = Vec::new();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let range = KeyRange::closed(first.key, last.key);
        let segments = segments_in(&transaction, table, &[range], &met).await?;
        let enough = 2 * segment::most_rows(kind_of(table));
        let mut from = 0;
        while let Some(rest) = rows.get(from..).filter(|rest| rest.len() >= enough) {
            let Some(together) = segment::length(rest).and_then(|length| rest.get(..length)) else { break };
            from += together.len();
            let (Some(first), Some(last)) = (together.first(), together.last()) else { break };
            let meets = |segment: &Segment| segment.first <= last.key && first.key <= segment.last;
            let made = segment::of_rows(together).filter(|_| !segments.iter().any(meets));
            if let Some(made) = made {
                let store = || transaction.store(schema::store_of(table)).map_err(failure);
                let gone = KeyRange::closed(first.key, last.key);
                requests.push(delete(store()?, numbers(gone)?.into()));
                requests.push(add(store()?, made.value().clone()));
            }
        }
    }
    commit_after(transaction, requests, commits_early).await
}

fn requests(
    transaction: &Transaction,
    changes: &[Change<JsBody>],
    mut losing: Vec<Losing>,
    met: &Met<'_>,
) -> Result<Vec<Request>, StoreError> {
    let store = |name: &str| transaction.store(name).map_err(failure);
    let kept_apart: Vec<Table> = losing.iter().map(|losing| losing.table).collect();
    let mut requests = Vec::with_capacity(changes.len());
    let mut gains = Vec::new();
    let mut rest = changes;
    while let Some((change, others)) = rest.split_first() {
        rest = others;
        match change {
            Change::Write(document, text) => {
                let store = store(schema::DOCUMENTS)?;
                let (key, text) = (JsValue::from_str(schema::key_of(*document)), JsValue::from_str(text));
                requests.push(put(store, text, Some(key)));
            }
            Change::Erase(document) => {
                requests
                    .push(delete(store(schema::DOCUMENTS)?, JsValue::from_str(schema::key_of(*document))));
            }
            Change::Insert(table, row) => {
                let together = match kept_apart.contains(table) {
                    true => None,
                    false => together(*table, row, others),
                };
                let store = store(schema::store_of(*table))?;
                match together {
                    Some((made, length)) => {
                        requests.push(add(store, made.value().clone()));
                        rest = others.get(length - 1..).unwrap_or_default();
                    }
                    None => {
                        requests.push(add(store, to_stored(row)));
                        gains.push(*table);
                    }
                }
            }
            Change::Delete(_, range) if range.is_empty() => {}
            Change::Delete(table, range) => {
                if gains.contains(table) || !met.has_no_singles(*table, *range) {
                    requests.push(delete(store(schema::store_of(*table))?, numbers(*range)?.into()));
                }
                if let Some(place) = losing.iter().position(|losing| losing.table == *table) {
                    let store = || store(schema::store_of(*table));
                    carve(&losing.swap_remove(place), store, met.shelf(), &mut requests)?;
                }
            }
        }
    }
    Ok(requests)
}

// The segment that a row begins with those that are inserted behind it, and how many rows it has.
fn together(table: Table, first: &Row<JsBody>, others: &[Change<JsBody>]) -> Option<(Segment, usize)> {
    if !matches!(table, Table::Outbox(_)) {
        return None;
    }
    let behind = others.iter().map_while(|change| match change {
        Change::Insert(of, row) if *of == table => Some(row),
        _ => None,
    });
    let rows: Vec<&Row<JsBody>> =
        std::iter::once(first).chain(behind).take(segment::most_rows(first.head.kind)).collect();
    let length = segment::length(&rows)?;
    Some((segment::of_rows(rows.get(..length)?)?, length))
}

// Takes rows out of segments. Those of which nothing stays go together; the other rows of one become a segment again, or
// single rows where they are few.
fn carve(
    losing: &Losing,
    store: impl Fn() -> Result<IdbStore, StoreError>,
    shelf: &Shelf,
    requests: &mut Vec<Request>,
) -> Result<(), StoreError> {
    let goes = |place| losing.ranges.iter().any(|range| range.contains(place));
    for range in &losing.ranges {
        let range = std::slice::from_ref(range);
        let last_places =
            || losing.segments.iter().filter(|segment| segment.is_within(range)).map(|gone| gone.last);
        if let (Some(from), Some(to)) = (last_places().min(), last_places().max()) {
            requests.push(delete(store()?, lists(KeyRange::closed(from, to))?.into()));
        }
    }
    let is_gone = |segment: &&Segment| segment.is_within(&losing.ranges);
    losing.segments.iter().filter(is_gone).for_each(|segment| shelf.forget(segment));
    for segment in losing.segments.iter().filter(|segment| !is_gone(segment)) {
        let rows = segment.rows(kind_of(losing.table));
        let rows = match &rows {
            None if !goes(segment.last) => continue,
            rows => rows.as_deref().unwrap_or_default(),
        };
        let staying: Vec<&Row<JsBody>> = rows.iter().filter(|row| !goes(row.key)).collect();
        if !rows.is_empty() && staying.len() == rows.len() {
            continue;
        }
        shelf.forget(segment);
        requests.push(delete(store()?, segment.key()));
        let fits = segment::length(&staying).is_some_and(|length| length == staying.len());
        match segment::of_rows(&staying).filter(|_| fits) {
            Some(made) => {
                shelf.put(&made);
                requests.push(add(store()?, made.value().clone()));
            }
            None => {
                for row in staying {
                    requests.push(add(store()?, to_stored(row)));
                }
            }
        }
    }
    Ok(())
}

// A request owns its store and nothing of the transaction, which has to be free for the commit while it is pending.
fn add(store: IdbStore, value: JsValue) -> Request {
    Box::pin(async move { store.add(&value, None).await.map(|_| ()).map_err(failure) })
}

fn put(store: IdbStore, value: JsValue, key: Option<JsValue>) -> Request {
    Box::pin(async move { store.put(&value, key.as_ref()).await.map(|_| ()).map_err(failure) })
}

fn delete(store: IdbStore, key: JsValue) -> Request {
    Box::pin(async move { store.delete(key).await.map_err(failure) })
}

// All changes are asked for at once and end in their order, so that the last one's end is everybody's. Only then comes
// the commit, as Firefox keeps the rest of a transaction if one of its requests fails after `commit` was called; Chromium
// keeps nothing then, and is spared the wait (a third of a capture's time).
async fn commit_after(
    transaction: Transaction,
    mut requests: Vec<Request>,
    commits_early: bool,
) -> Result<(), StoreError> {
    let mut applied = ended(&mut requests);
    if commits_early && applied.is_ok() {
        let committed = transaction.commit().await.map_err(failure);
        ended(&mut requests)?;
        return committed.and_then(|()| match requests.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Failed("unfinished".into())),
        });
    }
    if let (Ok(()), Some(last)) = (&applied, requests.pop()) {
        let last = last.await;
        applied = ended(&mut requests).and(last);
    }
    if let Err(error) = applied {
        let _ = transaction.abort().await;
        return Err(error);
    }
    transaction.commit().await.map_err(failure)
}

// Begins those that have not begun, and takes out those that have ended. Of several failures the first is the cause, and
// those of requests that were given up for it are none.
fn ended(requests: &mut Vec<Request>) -> Result<(), StoreError> {
    let given_up = StoreError::Failed("AbortError".into());
    let mut context = Context::from_waker(Waker::noop());
    let mut ended = Ok(());
    requests.retain_mut(|request| {
        let Poll::Ready(result) = request.as_mut().poll(&mut context) else { return true };
        if ended.is_ok() || ended.as_ref() == Err(&given_up) && result.is_err() {
            ended = result;
        }
        false
    });
    ended
}
