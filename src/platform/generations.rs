//! A damaged database is left behind for a new one: `name`, then `name~2`, `name~3`.
//!
//! A new generation counts as soon as it is marked, when everything that can be read was copied into it. Until then the
//! damaged one is in use, and a worker that finds it damaged goes on with the copying; if it could be written meanwhile,
//! the copy is begun anew. A damaged database is deleted only if nothing in it was left behind.

use js_sys::{Array, Promise, Reflect};
use rexie::{Direction, KeyRange, Rexie, TransactionMode};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::failure::{self, failure};
use super::schema;
use crate::ports::store::{Document, StoreError};

/// Objects that are copied at once; a segment is up to fifty rows.
const PAGE: u32 = 50;
/// The document that marks a generation: `true` if it is whole, else what the copied one looked like ([`look_of`]).
const MARK: &str = "rebuilt";

#[wasm_bindgen]
extern "C" {
    type Factory;
    #[wasm_bindgen(method, catch)]
    fn databases(this: &Factory) -> Result<Promise, JsValue>;
}

fn name_of(base: &str, generation: u32) -> String {
    if generation < 2 { base.to_owned() } else { format!("{base}~{generation}") }
}

fn generation_of(base: &str, name: &str) -> Option<u32> {
    match name.strip_prefix(base)? {
        "" => Some(1),
        rest => rest.strip_prefix('~')?.parse().ok().filter(|generation| *generation > 1),
    }
}

/// The name of the generation that is in use. Where that can't be told now, an error: to begin an empty one beside it
/// would lose what comes.
pub async fn current(base: &str) -> Result<String, StoreError> {
    let all = all(base).await?;
    let newest = all.iter().copied().max().unwrap_or(1);
    // One that is not marked is a copy that was interrupted, as long as there is what it was copied from; one that only
    // a newer release can open is in use there. A copy has had all tables from the first moment on.
    let is_in_use = !all.contains(&(newest - 1))
        || match is_marked(&name_of(base, newest)).await.map_err(failure) {
            Err(StoreError::Broken(name)) if name != "NotFoundError" => return Err(StoreError::Failed(name)),
            Err(StoreError::Newer | StoreError::Broken(_)) => true,
            looked => looked?,
        };
    Ok(name_of(base, if is_in_use { newest } else { newest - 1 }))
}

// None where the browser can't tell at all: it is an old one.
async fn all(base: &str) -> Result<Vec<u32>, StoreError> {
    let factory: Factory =
        Reflect::get(&js_sys::global(), &"indexedDB".into()).unwrap_or_default().unchecked_into();
    let Ok(asked) = factory.databases() else { return Ok(Vec::new()) };
    let known = JsFuture::from(asked).await.map_err(|error| StoreError::Failed(failure::name_of(&error)))?;
    let name = |one: JsValue| Reflect::get(&one, &"name".into()).ok()?.as_string();
    Ok(Array::from(&known).iter().filter_map(|one| generation_of(base, &name(one)?)).collect())
}

/// Deletes every generation but the one that is in use.
pub async fn delete_others(base: &str, in_use: &str) -> Result<(), StoreError> {
    for generation in all(base).await? {
        let name = name_of(base, generation);
        if name != in_use {
            Rexie::delete(&name).await.map_err(failure)?;
        }
    }
    Ok(())
}

async fn is_marked(name: &str) -> rexie::Result<bool> {
    let database = schema::builder(name).build().await?;
    let mark = document(&database, MARK).await;
    // A connection that is forgotten open blocks every deletion.
    database.close();
    Ok(mark?.is_some_and(|mark| mark == JsValue::TRUE))
}

async fn document(database: &Rexie, key: &str) -> rexie::Result<Option<JsValue>> {
    let transaction = database.transaction(&[schema::DOCUMENTS], TransactionMode::ReadOnly)?;
    transaction.store(schema::DOCUMENTS)?.get(key.into()).await
}

/// Leaves the generation `damaged` behind for the next one, with everything in it that can be read.
pub async fn move_on(base: &str, damaged: &str) -> rexie::Result<()> {
    let next = name_of(base, generation_of(base, damaged).unwrap_or(1) + 1);
    let target = schema::builder(&next).build().await?;
    let moved = copy_and_mark(damaged, &target).await;
    target.close();
    if moved? {
        // Not waited for: another context may hold a connection, and what stays is in nobody's way.
        let damaged = damaged.to_owned();
        spawn_local(async move { drop(Rexie::delete(&damaged).await) });
    }
    Ok(())
}

// Whether nothing was left behind.
async fn copy_and_mark(damaged: &str, target: &Rexie) -> rexie::Result<bool> {
    let mark = document(target, MARK).await?;
    if mark == Some(JsValue::TRUE) {
        return Ok(false);
    }
    // Opened as it is, with whatever tables it has.
    let all_saved = match Rexie::builder(damaged).build().await {
        Ok(source) => {
            let copied = copy_all(&source, target, mark).await;
            source.close();
            copied?
        }
        Err(_) => false,
    };
    set_mark(target, &[], &JsValue::TRUE).await?;
    Ok(all_saved)
}

// Clears some stores, and marks.
async fn set_mark(target: &Rexie, cleared: &[&str], mark: &JsValue) -> rexie::Result<()> {
    let transaction = target.transaction(&schema::ALL, TransactionMode::ReadWrite)?;
    for store in cleared {
        transaction.store(store)?.clear().await?;
    }
    transaction.store(schema::DOCUMENTS)?.put(mark, Some(&MARK.into())).await?;
    transaction.commit().await
}

// Differs as soon as a row has come or gone: the books are written with every row, but where some are put together, which
// are fewer then.
async fn look_of(source: &Rexie) -> JsValue {
    let mut look = document(source, schema::key_of(Document::Books))
        .await
        .ok()
        .flatten()
        .and_then(|text| text.as_string())
        .unwrap_or_default();
    for store in schema::ALL {
        look.push(' ');
        look += &count(source, store).await.unwrap_or_default().to_string();
    }
    JsValue::from_str(&look)
}

// Whether every value was copied.
async fn copy_all(source: &Rexie, target: &Rexie, mark: Option<JsValue>) -> rexie::Result<bool> {
    let look = look_of(source).await;
    if mark.as_ref() != Some(&look) {
        set_mark(target, &schema::ALL, &look).await?;
    }
    let existing = source.store_names();
    let mut all_saved = existing.iter().all(|name| schema::ALL.contains(&name.as_str()));
    for store in schema::ALL.into_iter().filter(|store| existing.iter().any(|name| name == store)) {
        // A copy that was interrupted goes on behind its last value; the documents, which come last, are those of now.
        let mut behind = None;
        if store == schema::DOCUMENTS {
            set_mark(target, &[store], &look).await?;
        } else {
            let reached = target.transaction(&[store], TransactionMode::ReadOnly)?.store(store)?;
            let last = reached.scan(None, Some(1), None, Some(Direction::Prev)).await?;
            behind = last.into_iter().next().map(|(key, _)| key);
        }
        let mut copied = 0;
        while let Some(keys) = keys_behind(source, store, behind.as_ref()).await {
            let values = values_of(source, store, behind.as_ref(), &keys).await;
            copied += values.len() as u32;
            write(target, store, values).await?;
            behind = keys.into_iter().last();
        }
        // Among the documents is the mark.
        let saved = if store == schema::DOCUMENTS { copied } else { count(target, store).await? };
        all_saved &= count(source, store).await.ok() == Some(saved);
    }
    Ok(all_saved)
}

fn range_behind(key: Option<&JsValue>) -> Option<KeyRange> {
    KeyRange::lower_bound(key?, Some(true)).ok()
}

// The next keys; none at the end, or where not even the keys can be read.
async fn keys_behind(source: &Rexie, store: &str, behind: Option<&JsValue>) -> Option<Vec<JsValue>> {
    let table = source.transaction(&[store], TransactionMode::ReadOnly).ok()?.store(store).ok()?;
    table.get_all_keys(range_behind(behind), Some(PAGE)).await.ok().filter(|keys| !keys.is_empty())
}

// The values of these keys; one by one where one of them can't be read.
async fn values_of(
    source: &Rexie,
    store: &str,
    behind: Option<&JsValue>,
    keys: &[JsValue],
) -> Vec<(JsValue, JsValue)> {
    let table = || source.transaction(&[store], TransactionMode::ReadOnly).ok()?.store(store).ok();
    if let Some(table) = table()
        && let Ok(values) = table.get_all(range_behind(behind), Some(PAGE)).await
        && values.len() == keys.len()
    {
        return keys.iter().cloned().zip(values).collect();
    }
    let mut found = Vec::new();
    for key in keys {
        if let Some(table) = table()
            && let Ok(Some(value)) = table.get(key.clone()).await
        {
            found.push((key.clone(), value));
        }
    }
    found
}

async fn write(target: &Rexie, store: &str, values: Vec<(JsValue, JsValue)>) -> rexie::Result<()> {
    let transaction = target.transaction(&[store], TransactionMode::ReadWrite)?;
    let table = transaction.store(store)?;
    for (key, value) in values {
        let key = (store == schema::DOCUMENTS).then_some(&key);
        // What does not even have a key is nothing of ours.
        let _ = table.put(&value, key).await;
    }
    transaction.commit().await
}

async fn count(database: &Rexie, store: &str) -> rexie::Result<u32> {
    database.transaction(&[store], TransactionMode::ReadOnly)?.store(store)?.count(None).await
}
