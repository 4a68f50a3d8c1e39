//! Quarantine and archive, as JavaScript sees them.

use std::rc::Rc;

use js_sys::JSON;
use serde::Serialize;
use serde_json::value::RawValue;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{from_outbox, invalid};
use super::{BrowserEngine, options};
use crate::engine::Whereabouts;
use crate::outbox::Aside;
use crate::ports::store::{Body, Row};
use crate::words::kind::Kind;
use crate::words::time::UnixMillis;

/// Records that the server refuses.
#[wasm_bindgen]
pub struct Quarantine {
    pub(super) engine: Rc<BrowserEngine>,
}

/// Records set aside because of their age.
#[wasm_bindgen]
pub struct Archive {
    pub(super) engine: Rc<BrowserEngine>,
}

#[wasm_bindgen]
impl Quarantine {
    /// What is there, oldest first, at most a thousand.
    #[wasm_bindgen(unchecked_return_type = "SetAside[]")]
    pub async fn list(&self) -> Result<JsValue, JsValue> {
        list(&self.engine, Aside::Quarantine).await
    }

    /// Tries records again, all of them if `ids` is absent; a visit's aggregates come with it. Returns how many.
    pub async fn retry(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[] | undefined")] ids: JsValue,
    ) -> Result<f64, JsValue> {
        put_back(&self.engine, Aside::Quarantine, ids).await
    }

    /// Gives records up; a visit's aggregates go with it. Returns how many.
    pub async fn discard(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[]")] ids: JsValue,
    ) -> Result<f64, JsValue> {
        let ids = ids_of(ids)?.ok_or_else(|| invalid("ids", "must be an array of strings"))?;
        let gone = self.engine.outbox().discard(Aside::Quarantine, ids).await.map_err(from_outbox)?;
        Ok(gone as f64)
    }
}

#[wasm_bindgen]
impl Archive {
    /// What is there, oldest first, at most a thousand.
    #[wasm_bindgen(unchecked_return_type = "SetAside[]")]
    pub async fn list(&self) -> Result<JsValue, JsValue> {
        list(&self.engine, Aside::Archive).await
    }

    /// Sends records after all, all of them if `ids` is absent; a visit's aggregates come with it. Returns how many.
    pub async fn restore(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[] | undefined")] ids: JsValue,
    ) -> Result<f64, JsValue> {
        put_back(&self.engine, Aside::Archive, ids).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Whereabouts>,
    kind: Kind,
    id: &'a str,
    revision: u32,
    captured_at: UnixMillis,
    note: Option<Box<RawValue>>,
    record: Option<Box<RawValue>>,
}

impl<'a> Shown<'a> {
    fn new<B: Body>(row: &'a Row<B>, place: Option<Whereabouts>) -> Self {
        let raw = |text: String| RawValue::from_string(text).ok();
        Self {
            place,
            kind: row.head.kind,
            id: &row.head.id,
            revision: row.head.revision,
            captured_at: row.captured_at,
            note: row.note.clone().and_then(raw),
            record: raw(row.body.text()),
        }
    }
}

pub(super) async fn find(engine: &BrowserEngine, text: &str) -> Result<JsValue, JsValue> {
    let found = engine.find(text).await.map_err(from_outbox)?;
    let shown: Vec<_> = found.iter().map(|found| Shown::new(&found.row, Some(found.place))).collect();
    as_js(&shown)
}

async fn list(engine: &BrowserEngine, aside: Aside) -> Result<JsValue, JsValue> {
    let rows = engine.outbox().list(aside).await.map_err(from_outbox)?;
    let shown: Vec<_> = rows.iter().map(|row| Shown::new(row, None)).collect();
    as_js(&shown)
}

fn as_js(shown: &[Shown<'_>]) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(shown).map_err(|_| invalid("list", "can't be shown"))?;
    JSON::parse(&text)
}

async fn put_back(engine: &BrowserEngine, aside: Aside, ids: JsValue) -> Result<f64, JsValue> {
    let back = engine.put_back(aside, ids_of(ids)?).await.map_err(from_outbox)?;
    Ok(back as f64)
}

fn ids_of(ids: JsValue) -> Result<Option<Vec<String>>, JsValue> {
    if ids.is_undefined() || ids.is_null() {
        return Ok(None);
    }
    options::read(ids).map(Some).map_err(|_| invalid("ids", "must be an array of strings"))
}
