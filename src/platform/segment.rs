//! A segment: up to fifty rows of an outbox as one stored object, so that a long backlog costs IndexedDB few objects.
//!
//! Rows that come together are stored so ([`MIN_ROWS`] or more in one transaction), all others each by itself until many
//! wait. Rows of an outbox come behind all others of their epoch ([`crate::ports::store::Change::Insert`]), so that no two segments
//! overlap: in the order of their last places they are in the order of all their rows. A segment lies within one epoch.
//!
//! Its key is `[last place, first place, a random number]`. IndexedDB sorts lists behind all numbers, so that segments and
//! single rows share a table and never meet in a range. A segment is never changed: rows that leave it make another one
//! of the rest, with a number of its own. So whoever has read one may know it again by its key ([`Shelf`]).

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{Array, JsString, Math, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::row::{JsBody, from_number, to_number};
use super::schema;
use crate::ports::store::Row;
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::Kind;
use crate::words::policy::WINDOW_RECORDS;
use crate::words::record::Head;
use crate::words::time::UnixMillis;

/// Most rows of a segment. A full batch is some of them, so that batches and windows end where segments do, and it stays
/// below 64 KiB with records as they are in life: Chromium keeps a larger value as a file of its own, which takes six
/// times as long to read.
pub const fn most_rows(kind: Kind) -> usize {
    match kind {
        Kind::PageVisit => 25,
        Kind::TabAggregate => 50,
    }
}
/// Fewer are stored one by one: a settlement that takes some of a segment writes the others anew.
pub const MIN_ROWS: usize = 20;
/// Most single rows that are looked at to make segments of them.
pub const TIDIED_ROWS: usize = 500;
/// Most bytes of a segment's bodies.
const MAX_BYTES: u64 = 48 * 1024;

// Three windows of each kind: in flight, waiting, and being read; of segments as short as they may be.
const MOST_KEPT: usize = 6 * WINDOW_RECORDS.div_ceil(MIN_ROWS);

// Neither stands in what is put together here: a row with one of them is stored by itself.
const FIELD: char = '\u{1f}';
const ROW: char = '\u{1e}';

const HEADS: &str = "heads";
const BODIES: &str = "bodies";

/// A stored segment, by what its key tells.
#[derive(Clone)]
pub struct Segment {
    /// The place of its first row.
    pub first: RowKey,
    /// The place of its last row.
    pub last: RowKey,
    /// What tells it from every other of these places.
    mark: f64,
    value: JsValue,
    // The places of its rows, once they have been read.
    places: Rc<OnceCell<Vec<RowKey>>>,
}

impl Segment {
    /// The segment of a stored object; none where the object's key is none of a segment.
    pub fn from_stored(value: JsValue) -> Option<Self> {
        let (first, last, mark) = span_of(&Reflect::get(&value, &schema::KEY.into()).ok()?)?;
        Some(Self { first, last, mark, value, places: Rc::default() })
    }

    /// The segment with this key, for who asks of it where it lies: none of its rows can be read.
    pub fn from_key(key: &JsValue) -> Option<Self> {
        let (first, last, mark) = span_of(key)?;
        Some(Self { first, last, mark, value: JsValue::UNDEFINED, places: Rc::default() })
    }

    /// Whether one of these ranges holds all of it.
    pub fn is_within(&self, ranges: &[KeyRange]) -> bool {
        ranges.iter().any(|range| range.from <= self.first && range.contains(self.last))
    }

    /// Whether it has a row in one of these ranges, or lies around one.
    pub fn meets(&self, ranges: &[KeyRange]) -> bool {
        ranges.iter().any(|range| self.first < range.to && range.from <= self.last)
    }

    /// Its key.
    pub fn key(&self) -> JsValue {
        Reflect::get(&self.value, &schema::KEY.into()).unwrap_or_default()
    }

    /// The object as it is stored.
    pub const fn value(&self) -> &JsValue {
        &self.value
    }

    /// Its rows in their order; none where it can't be read.
    pub fn rows(&self, kind: Kind) -> Option<Vec<Row<JsBody>>> {
        let part = |name: &str| Reflect::get(&self.value, &name.into()).ok();
        let heads = part(HEADS)?.as_string()?;
        let bodies = part(BODIES)?.dyn_into::<Array>().ok()?;
        let rows = heads.split(ROW).zip(0..).map(|(head, index)| row(head, kind, bodies.get(index)));
        let rows: Vec<Row<JsBody>> = rows.collect::<Option<_>>()?;
        self.places.get_or_init(|| rows.iter().map(|row| row.key).collect());
        Some(rows)
    }

    /// The places of its rows. One that can't be read is seen, and can be deleted, by its last place.
    pub fn places(&self, kind: Kind) -> &[RowKey] {
        if self.places.get().is_none() {
            self.rows(kind);
        }
        self.places.get().map_or(std::slice::from_ref(&self.last), Vec::as_slice)
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Segment(..)")
    }
}

/// Segments that this worker has read or written and not deleted: what is settled was read just before.
#[derive(Debug, Default)]
pub struct Shelf(RefCell<Vec<Segment>>);

impl Shelf {
    /// Keeps a segment for a while.
    pub fn put(&self, segment: &Segment) {
        self.forget(segment);
        let mut kept = self.0.borrow_mut();
        kept.push(segment.clone());
        if kept.len() > MOST_KEPT {
            kept.remove(0);
        }
    }

    /// Keeps it no longer.
    pub fn forget(&self, segment: &Segment) {
        self.0.borrow_mut().retain(|known| known.mark != segment.mark);
    }

    /// The segment with this key, if it is kept.
    pub fn find(&self, key: &JsValue) -> Option<Segment> {
        let (first, last, mark) = span_of(key)?;
        let is_meant = |known: &&Segment| known.mark == mark && known.last == last && known.first == first;
        self.0.borrow().iter().find(is_meant).cloned()
    }

    /// Keeps none any more.
    pub fn clear(&self) {
        self.0.take();
    }
}

/// The segment of these rows of one kind, in the order of their places; none where they can't be put together.
pub fn of_rows(rows: &[&Row<JsBody>]) -> Option<Segment> {
    let (first, last) = (rows.first()?.key, rows.last()?.key);
    let (heads, ids, bodies) = (text_of(rows)?, Array::new(), Array::new());
    for row in rows {
        ids.push(&row.head.id.as_str().into());
        bodies.push(&row.body.0);
    }
    let (stored, mark) = (Object::new(), Math::random());
    let key = Array::of3(&to_number(last).into(), &to_number(first).into(), &mark.into());
    for (name, value) in
        [(schema::KEY, key.as_ref()), (schema::ID, ids.as_ref()), (HEADS, &heads), (BODIES, bodies.as_ref())]
    {
        Reflect::set(&stored, &name.into(), value).ok()?;
    }
    Some(Segment { first, last, mark, value: stored.into(), places: Rc::default() })
}

/// The place of the first row of the segment with this key.
pub fn first_of(key: &JsValue) -> Option<RowKey> {
    span_of(key).map(|(first, _, _)| first)
}

fn span_of(key: &JsValue) -> Option<(RowKey, RowKey, f64)> {
    let key = key.dyn_ref::<Array>()?;
    Some((from_number(&key.get(1))?, from_number(&key.get(0))?, key.get(2).as_f64().unwrap_or(f64::NAN)))
}

/// How many of the first rows make a segment; none where they are too few, or not in order within one epoch.
pub fn length(rows: &[&Row<JsBody>]) -> Option<usize> {
    let mut bytes = 0;
    let fits = |row: &&&Row<JsBody>| {
        bytes += u64::from(row.head.bytes);
        bytes <= MAX_BYTES
    };
    let most = most_rows(rows.first()?.head.kind);
    let length = rows.iter().take(most).take_while(fits).count();
    let rows = rows.get(..length).filter(|rows| rows.len() >= MIN_ROWS)?;
    let in_order = |two: &[&Row<JsBody>]| match two {
        [one, next] => one.key < next.key && one.key.epoch() == next.key.epoch(),
        _ => true,
    };
    rows.windows(2).all(in_order).then_some(length)
}

fn text_of(rows: &[&Row<JsBody>]) -> Option<JsValue> {
    let mut text = String::with_capacity(160 * rows.len());
    for row in rows {
        if !text.is_empty() {
            text.push(ROW);
        }
        let head = &row.head;
        let number = |number: u64| number.to_string();
        let follows = row.follows.map(|key| number(key.packed())).unwrap_or_default();
        let sites = head.sites.join("\n");
        let parts = [
            &number(row.key.packed()),
            &head.id,
            &number(head.revision.into()),
            &number(head.bytes.into()),
            &number(row.captured_at.0.unsigned_abs()),
            &follows,
            head.refers_to.as_deref().unwrap_or_default(),
            &sites,
        ];
        let is_odd = row.note.is_some() || row.captured_at.0 < 0 || head.refers_to.as_deref() == Some("");
        if is_odd || parts.iter().any(|part| part.contains([FIELD, ROW])) {
            return None;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                text.push(FIELD);
            }
            text.push_str(part);
        }
    }
    Some(JsValue::from_str(&text))
}

fn row(head: &str, kind: Kind, body: JsValue) -> Option<Row<JsBody>> {
    let mut parts = head.split(FIELD);
    let mut next = || parts.next();
    let key = RowKey::from_packed(next()?.parse().ok()?);
    let id = next()?.to_owned();
    let revision = next()?.parse().ok()?;
    let bytes = next()?.parse().ok()?;
    let captured_at = UnixMillis(next()?.parse().ok()?);
    let follows = match next()? {
        "" => None,
        place => Some(RowKey::from_packed(place.parse().ok()?)),
    };
    let refers_to = Some(next()?).filter(|id| !id.is_empty()).map(str::to_owned);
    let sites = next()?.split('\n').filter(|site| !site.is_empty()).map(str::to_owned).collect();
    let body = JsBody(body.dyn_into::<JsString>().ok()?);
    let head = Head { kind, id, revision, refers_to, bytes, sites };
    Some(Row { key, head, follows, captured_at, body, note: None })
}
