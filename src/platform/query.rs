//! What a transaction reads.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Waker};

use futures_util::future::{FutureExt, join, maybe_done};
use js_sys::Array;
use rexie::{Direction, KeyRange as IdbKeyRange, Store as IdbStore, Transaction};
use wasm_bindgen::{JsCast, JsValue};

use super::failure::failure;
use super::row::{JsBody, from_number, from_stored, key_of, to_number};
use super::schema;
use super::segment::{self, Segment, Shelf};
use crate::ports::store::{Answer, Query, Row, StoreError, Table};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::Kind;
use crate::words::order;

/// What a transaction has met: the segments, and where it has looked for all that is there.
pub struct Met<'a> {
    segments: Vec<(Table, Segment)>,
    looked: Vec<Looked>,
    shelf: &'a Shelf,
}

struct Looked {
    table: Table,
    range: KeyRange,
    singles: bool,
}

impl<'a> Met<'a> {
    /// Nothing yet, in this worker.
    pub fn new(shelf: &'a Shelf) -> RefCell<Self> {
        RefCell::new(Self { segments: Vec::new(), looked: Vec::new(), shelf })
    }

    /// The segments that the worker knows.
    pub const fn shelf(&self) -> &'a Shelf {
        self.shelf
    }

    fn note(&mut self, looked: Looked, segments: Vec<Segment>) {
        let table = looked.table;
        self.looked.push(looked);
        for segment in segments {
            let known = |(of, known): &(Table, Segment)| *of == table && known.last == segment.last;
            if !self.segments.iter().any(known) {
                self.segments.push((table, segment));
            }
        }
    }

    fn looked_at(&self, table: Table, range: KeyRange) -> Option<&Looked> {
        let covers = |looked: &&Looked| {
            looked.table == table && looked.range.from <= range.from && range.to <= looked.range.to
        };
        self.looked.iter().find(covers)
    }

    /// Whether it is known that no row stands by itself in a range.
    pub fn has_no_singles(&self, table: Table, range: KeyRange) -> bool {
        self.looked_at(table, range).is_some_and(|looked| !looked.singles)
    }
}

/// The answer to one query.
async fn answer(
    transaction: &Transaction,
    query: &Query,
    met: &RefCell<Met<'_>>,
) -> Result<Answer<JsBody>, StoreError> {
    let table = |table: Table| transaction.store(schema::store_of(table)).map_err(failure);
    match query {
        Query::Document(document) => {
            let key = JsValue::from_str(schema::key_of(*document));
            let found =
                transaction.store(schema::DOCUMENTS).map_err(failure)?.get(key).await.map_err(failure)?;
            Ok(Answer::Document(found.and_then(|text| text.as_string())))
        }
        Query::Rows { table: name, range, limit } => {
            let found = places(&table(*name)?, *name, *range, *limit, true, met).await?;
            Ok(Answer::Rows(found.into_iter().filter_map(|(_, row)| row).collect()))
        }
        Query::Keys { table: name, range, limit } => {
            let found = places(&table(*name)?, *name, *range, *limit, false, met).await?;
            Ok(Answer::Keys(found.into_iter().map(|(key, _)| key).collect()))
        }
        Query::Last { range, .. } if range.is_empty() => Ok(Answer::Rows(Vec::new())),
        Query::Last { table: name, range } => {
            let shelf = met.borrow().shelf();
            last(&table(*name)?, *name, *range, shelf)
                .await
                .map(|row| Answer::Rows(row.into_iter().collect()))
        }
        Query::Revisions { table: name, id } => {
            let index = table(*name)?.index(schema::BY_ID).map_err(failure)?;
            let found = index.get_all(Some(only(id)?), None).await.map_err(failure)?;
            Ok(Answer::Rows(named(found, *name, id)))
        }
        Query::KeysOf { table: name, id } => {
            let index = table(*name)?.index(schema::BY_ID).map_err(failure)?;
            let keys = index.get_all_keys(Some(only(id)?), None).await.map_err(failure)?;
            if keys.iter().all(|key| !Array::is_array(key)) {
                return Ok(Answer::Keys(keys.iter().filter_map(from_number).collect()));
            }
            let found = index.get_all(Some(only(id)?), None).await.map_err(failure)?;
            Ok(Answer::Keys(named(found, *name, id).into_iter().map(|row| row.key).collect()))
        }
        Query::Referring { table: name, id } => {
            let index = table(*name)?.index(schema::BY_REFERENCE).map_err(failure)?;
            let found = index.get_all(Some(only(id)?), None).await.map_err(failure)?;
            Ok(Answer::Rows(found.into_iter().filter_map(from_stored).collect()))
        }
    }
}

/// The answers in the order of their queries, which are asked at once.
pub async fn answers(
    transaction: &Transaction,
    queries: &[Query],
    met: &RefCell<Met<'_>>,
) -> Result<Vec<Answer<JsBody>>, StoreError> {
    let mut requests: Vec<_> =
        queries.iter().map(|query| maybe_done(answer(transaction, query, met).boxed_local())).collect();
    let mut context = Context::from_waker(Waker::noop());
    // All are asked for at once; they end in their order.
    for request in &mut requests {
        let _ = request.poll_unpin(&mut context);
    }
    let mut found = Vec::with_capacity(requests.len());
    for mut request in requests {
        (&mut request).await;
        found.extend(Pin::new(&mut request).take_output());
    }
    found.into_iter().collect()
}

// A place, and its row where rows are asked for and it can be read.
type Place = (RowKey, Option<Row<JsBody>>);

// The first places of a range, as many as `limit`. With `rows` those that can't be read are left out, and others come in
// their place.
async fn places(
    store: &IdbStore,
    table: Table,
    mut range: KeyRange,
    limit: usize,
    rows: bool,
    met: &RefCell<Met<'_>>,
) -> Result<Vec<Place>, StoreError> {
    let mut found: Vec<Place> = Vec::new();
    let shelf = met.borrow().shelf();
    while !range.is_empty() && found.len() < limit {
        let wanted = limit - found.len();
        let most_segments = wanted.div_ceil(segment::most_rows(kind_of(table)));
        let single = Some(numbers(range)?);
        let (singles, segments) = join(
            async {
                match rows {
                    true => store.get_all(single, limit_of(wanted)).await,
                    false => store.get_all_keys(single, limit_of(wanted)).await,
                }
            },
            segments_of(store, table, range, most_segments, rows, shelf),
        )
        .await;
        let (singles, segments) = (singles.map_err(failure)?, segments?);
        // Behind the last one of a list that is full there may be others, before the last one of the other list.
        let place_of = |single: &JsValue| if rows { key_of(single) } else { from_number(single) };
        let last_single = singles.last().and_then(place_of).filter(|_| singles.len() >= wanted);
        let (mut segments, is_full) = segments;
        let last_segment = segments.last().map(|segment| segment.last).filter(|_| is_full);
        let reached = match (last_single, last_segment) {
            (Some(one), Some(other)) => one.min(other).next(),
            (one, other) => one.or(other).map_or(range.to, RowKey::next),
        };
        let here = KeyRange { from: range.from, to: reached.min(range.to) };
        // Nothing lies across the end where something ends just there.
        let ends = [singles.last().and_then(place_of), segments.last().map(|segment| segment.last)];
        if here.to == range.to && !ends.contains(&Some(range.to.previous())) {
            segments.extend(segment_across(store, table, range.to, shelf).await?);
        }
        let before = found.len();
        let looked = Looked { table, range: here, singles: !singles.is_empty() };
        for single in singles {
            let Some(key) = place_of(&single) else { continue };
            let row = if rows { from_stored(single) } else { None };
            found.push((key, row));
        }
        for segment in &segments {
            let kind = kind_of(table);
            match if rows { segment.rows(kind) } else { None } {
                Some(all) => found.extend(all.into_iter().map(|row| (row.key, Some(row)))),
                None => found.extend(segment.places(kind).iter().map(|place| (*place, None))),
            }
        }
        met.borrow_mut().note(looked, segments);
        let mut new = found.split_off(before);
        new.retain(|(key, row)| here.contains(*key) && (row.is_some() || !rows));
        order::by_number(&mut new, |(key, _)| key.packed());
        found.append(&mut new);
        range.from = here.to;
    }
    found.truncate(limit);
    Ok(found)
}

// The first segments that end in a range, in their order; whether there may be more. Those that are to be `kept` are asked
// for whole; of the others only what isn't known.
async fn segments_of(
    store: &IdbStore,
    table: Table,
    range: KeyRange,
    limit: usize,
    kept: bool,
    shelf: &Shelf,
) -> Result<(Vec<Segment>, bool), StoreError> {
    if !matches!(table, Table::Outbox(_)) {
        return Ok((Vec::new(), false));
    }
    if !kept {
        let keys = store.get_all_keys(Some(lists(range)?), limit_of(limit)).await.map_err(failure)?;
        if let Some(known) = keys.iter().map(|key| shelf.find(key)).collect() {
            return Ok((known, keys.len() >= limit));
        }
    }
    let found = store.get_all(Some(lists(range)?), limit_of(limit)).await.map_err(failure)?;
    let is_full = found.len() >= limit;
    let segments: Vec<Segment> = found.into_iter().filter_map(Segment::from_stored).collect();
    if kept {
        segments.iter().for_each(|segment| shelf.put(segment));
    }
    Ok((segments, is_full))
}

// The segment that begins before a place, and ends there or behind it: in the same epoch, like all of its rows.
async fn segment_across(
    store: &IdbStore,
    table: Table,
    place: RowKey,
    shelf: &Shelf,
) -> Result<Option<Segment>, StoreError> {
    let behind = KeyRange { from: place, to: place.previous().behind_epoch() };
    if behind.is_empty() || !matches!(table, Table::Outbox(_)) {
        return Ok(None);
    }
    let mut keys = store.get_all_keys(Some(lists(behind)?), Some(1)).await.map_err(failure)?;
    match keys.pop().filter(|key| segment::first_of(key).is_some_and(|first| first < place)) {
        Some(key) => whole(store, key, shelf).await,
        None => Ok(None),
    }
}

// The segment with this key, asked for where it isn't known.
async fn whole(store: &IdbStore, key: JsValue, shelf: &Shelf) -> Result<Option<Segment>, StoreError> {
    match shelf.find(&key) {
        Some(known) => Ok(Some(known)),
        None => Ok(store.get(key).await.map_err(failure)?.and_then(Segment::from_stored)),
    }
}

/// The first single rows of a range, up to one that can't be read; none where they are few.
pub async fn first_singles(
    transaction: &Transaction,
    table: Table,
    range: KeyRange,
    limit: usize,
) -> Result<Vec<Row<JsBody>>, StoreError> {
    let store = transaction.store(schema::store_of(table)).map_err(failure)?;
    let keys = store.get_all_keys(Some(numbers(range)?), limit_of(limit)).await.map_err(failure)?;
    if keys.len() < 2 * segment::most_rows(kind_of(table)) {
        return Ok(Vec::new());
    }
    let found = store.get_all(Some(numbers(range)?), limit_of(limit)).await.map_err(failure)?;
    Ok(found.into_iter().map_while(from_stored).collect())
}

// The last row of a range.
async fn last(
    store: &IdbStore,
    table: Table,
    range: KeyRange,
    shelf: &Shelf,
) -> Result<Option<Row<JsBody>>, StoreError> {
    let before = |range| store.scan(Some(range), Some(1), None, Some(Direction::Prev));
    let values = |found: Vec<(JsValue, JsValue)>| found.into_iter().map(|(_, value)| value);
    let single = before(numbers(range)?).await.map_err(failure)?;
    let mut rows: Vec<Row<JsBody>> = values(single).filter_map(from_stored).collect();
    if matches!(table, Table::Outbox(_)) {
        let ends_within = before(lists(range)?).await.map_err(failure)?;
        let mut segments: Vec<Segment> = values(ends_within).filter_map(Segment::from_stored).collect();
        segments.extend(segment_across(store, table, range.to, shelf).await?);
        for segment in segments {
            rows.extend(segment.rows(kind_of(table)).unwrap_or_default());
        }
    }
    Ok(rows.into_iter().filter(|row| range.contains(row.key)).max_by_key(|row| row.key))
}

// The rows with an id, of all that was found by it.
fn named(found: Vec<JsValue>, table: Table, id: &str) -> Vec<Row<JsBody>> {
    let mut rows = Vec::new();
    for value in found {
        match Segment::from_stored(value.clone()) {
            Some(segment) => {
                let all = segment.rows(kind_of(table)).unwrap_or_default();
                rows.extend(all.into_iter().filter(|row| row.head.id == id));
            }
            None => rows.extend(from_stored(value)),
        }
    }
    order::by_number(&mut rows, |row| row.key.packed());
    rows
}

/// The segments of a table that have rows in one of these ranges. Of those that lie within one nothing but that is read.
pub async fn segments_in(
    transaction: &Transaction,
    table: Table,
    ranges: &[KeyRange],
    met: &RefCell<Met<'_>>,
) -> Result<Vec<Segment>, StoreError> {
    let is_known = |range: &&KeyRange| met.borrow().looked_at(table, **range).is_some();
    let unknown: Vec<KeyRange> = ranges.iter().filter(|range| !is_known(range)).copied().collect();
    let (from, to) =
        (unknown.iter().map(|range| range.from).min(), unknown.iter().map(|range| range.to).max());
    let mut found = Vec::new();
    if let (Some(from), Some(to)) = (from, to) {
        let range = KeyRange { from, to };
        let store = transaction.store(schema::store_of(table)).map_err(failure)?;
        let shelf = met.borrow().shelf();
        for key in store.get_all_keys(Some(lists(range)?), None).await.map_err(failure)? {
            let Some(mut segment) = Segment::from_key(&key).filter(|segment| segment.meets(ranges)) else {
                continue;
            };
            if !segment.is_within(ranges) {
                let Some(whole) = whole(&store, key, shelf).await? else { continue };
                segment = whole;
            }
            found.push(segment);
        }
        found.extend(segment_across(&store, table, range.to, shelf).await?);
    }
    // What was met is whole. What was found need not be: it is for these ranges alone, and isn't noted.
    let met = met.borrow();
    let of_table = met.segments.iter().filter(|(of, _)| *of == table).map(|(_, segment)| segment);
    let known: Vec<&Segment> = of_table.filter(|segment| segment.meets(ranges)).collect();
    found.retain(|segment| segment.meets(ranges) && known.iter().all(|known| known.last != segment.last));
    found.extend(known.into_iter().cloned());
    Ok(found)
}

/// The kind of the rows in an outbox; others hold no segments.
pub const fn kind_of(table: Table) -> Kind {
    match table {
        Table::Outbox(kind) => kind,
        _ => Kind::PageVisit,
    }
}

/// The range of the single rows of these places.
pub fn numbers(range: KeyRange) -> Result<IdbKeyRange, StoreError> {
    bound(&to_number(range.from).into(), &to_number(range.to).into())
}

/// The range of the segments that end at these places.
pub fn lists(range: KeyRange) -> Result<IdbKeyRange, StoreError> {
    let list = |place| Array::of1(&to_number(place).into()).unchecked_into();
    bound(&list(range.from), &list(range.to))
}

fn bound(from: &JsValue, to: &JsValue) -> Result<IdbKeyRange, StoreError> {
    IdbKeyRange::bound(from, to, Some(false), Some(true)).map_err(|error| failure(error.into()))
}

fn only(id: &str) -> Result<IdbKeyRange, StoreError> {
    IdbKeyRange::only(&JsValue::from_str(id)).map_err(|error| failure(error.into()))
}

fn limit_of(limit: usize) -> Option<u32> {
    u32::try_from(limit).ok()
}
