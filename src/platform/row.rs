//! A row as IndexedDB keeps it: one plain object a record, its body a string that stays in JavaScript.

use js_sys::{JsString, Object};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::ports::store::{Body, Row};
use crate::words::key::RowKey;
use crate::words::kind::Kind;
use crate::words::record::Head;
use crate::words::time::UnixMillis;

#[wasm_bindgen]
extern "C" {
    /// `{ key, kind, id, revision, refersTo?, follows?, sites?, bytes, capturedAt, body, note? }`
    #[wasm_bindgen(extends = Object)]
    type StoredRow;

    #[wasm_bindgen(method, structural, getter, catch)]
    fn key(this: &StoredRow) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_key(this: &StoredRow, value: f64);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn kind(this: &StoredRow) -> Result<u8, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_kind(this: &StoredRow, value: u8);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn id(this: &StoredRow) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_id(this: &StoredRow, value: &str);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn revision(this: &StoredRow) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_revision(this: &StoredRow, value: u32);
    #[wasm_bindgen(method, structural, getter, catch, js_name = refersTo)]
    fn refers_to(this: &StoredRow) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, structural, setter, js_name = refersTo)]
    fn set_refers_to(this: &StoredRow, value: &str);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn follows(this: &StoredRow) -> Result<Option<f64>, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_follows(this: &StoredRow, value: f64);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn sites(this: &StoredRow) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_sites(this: &StoredRow, value: &str);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn bytes(this: &StoredRow) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_bytes(this: &StoredRow, value: u32);
    #[wasm_bindgen(method, structural, getter, catch, js_name = capturedAt)]
    fn captured_at(this: &StoredRow) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, structural, setter, js_name = capturedAt)]
    fn set_captured_at(this: &StoredRow, value: f64);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn body(this: &StoredRow) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_body(this: &StoredRow, value: &JsString);
    #[wasm_bindgen(method, structural, getter, catch)]
    fn note(this: &StoredRow) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, structural, setter)]
    fn set_note(this: &StoredRow, value: &str);
}

/// A record's text as a JavaScript string.
#[derive(Clone)]
pub struct JsBody(pub JsString);

impl std::fmt::Debug for JsBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsBody(..)")
    }
}

impl From<String> for JsBody {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Body for JsBody {
    fn text(&self) -> String {
        String::from(&self.0)
    }
}

/// The object to be stored.
pub fn to_stored(row: &Row<JsBody>) -> JsValue {
    let stored = Object::new().unchecked_into::<StoredRow>();
    stored.set_key(to_number(row.key));
    stored.set_kind(row.head.kind as u8);
    stored.set_id(&row.head.id);
    stored.set_revision(row.head.revision);
    if let Some(id) = &row.head.refers_to {
        stored.set_refers_to(id);
    }
    if let Some(key) = row.follows {
        stored.set_follows(to_number(key));
    }
    if !row.head.sites.is_empty() {
        stored.set_sites(&row.head.sites.join("\n"));
    }
    stored.set_bytes(row.head.bytes);
    stored.set_captured_at(row.captured_at.0 as f64);
    stored.set_body(&row.body.0);
    if let Some(note) = &row.note {
        stored.set_note(note);
    }
    stored.into()
}

/// The row of a stored object; none where it is not one of ours.
pub fn from_stored(value: JsValue) -> Option<Row<JsBody>> {
    let stored = value.dyn_into::<Object>().ok()?.unchecked_into::<StoredRow>();
    let kind = match stored.kind().ok()? {
        0 => Kind::PageVisit,
        1 => Kind::TabAggregate,
        _ => return None,
    };
    Some(Row {
        key: key_of(&stored)?,
        head: Head {
            kind,
            id: stored.id().ok()?.filter(|id| !id.is_empty())?,
            revision: stored.revision().ok()?,
            refers_to: stored.refers_to().ok()?,
            bytes: stored.bytes().ok()?,
            sites: stored
                .sites()
                .ok()?
                .map(|sites| sites.split('\n').map(str::to_owned).collect())
                .unwrap_or_default(),
        },
        follows: stored.follows().ok()?.map(|number| RowKey::from_packed(number as u64)),
        captured_at: UnixMillis(stored.captured_at().ok()? as i64),
        body: JsBody(stored.body().ok()?.dyn_into().ok()?),
        note: stored.note().ok()?,
    })
}

/// A key as IndexedDB compares it.
pub fn to_number(key: RowKey) -> f64 {
    key.packed() as f64
}

/// The key of a number; none where it is not one of ours.
pub fn from_number(number: &JsValue) -> Option<RowKey> {
    let number = number.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
    Some(RowKey::from_packed(number as u64))
}

/// The key of a stored object, whatever else it is.
pub fn key_of(stored: &JsValue) -> Option<RowKey> {
    from_number(&stored.unchecked_ref::<StoredRow>().key().ok()?)
}
