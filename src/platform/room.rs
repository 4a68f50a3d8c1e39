//! Whether an aborted transaction was one too many for the disk.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::row::JsBody;
use crate::ports::store::Change;

/// Room that no browser is out of.
const ENOUGH_BYTES: f64 = 1024.0 * 1024.0;

/// Whether the browser has hardly more room left than these changes need. Browsers refuse for lack of space when they
/// commit, and rexie keeps the reason of such a refusal to itself: this tells the likely one.
pub async fn is_short(changes: &[Change<JsBody>]) -> bool {
    let bytes: usize = changes
        .iter()
        .map(|change| match change {
            Change::Write(_, text) => text.len(),
            Change::Insert(_, row) => row.body.0.length() as usize,
            Change::Erase(_) | Change::Delete(..) => 0,
        })
        .sum();
    left().await.is_some_and(|left| left < ENOUGH_BYTES + 2.0 * bytes as f64)
}

async fn left() -> Option<f64> {
    let get = |from: &JsValue, name: &str| Reflect::get(from, &name.into()).ok();
    let storage = get(&get(&js_sys::global(), "navigator")?, "storage")?;
    let estimate: Function = get(&storage, "estimate")?.dyn_into().ok()?;
    let told: Promise = estimate.call0(&storage).ok()?.dyn_into().ok()?;
    let told = JsFuture::from(told).await.ok()?;
    Some(get(&told, "quota")?.as_f64()? - get(&told, "usage")?.as_f64()?)
}
