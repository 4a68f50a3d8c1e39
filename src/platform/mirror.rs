//! Where the mirror of the books is kept: by the host, or in a small database of its own.

use js_sys::{Function, Promise};
use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

const STORE: &str = "mirror";

/// A place for one text.
#[derive(Debug)]
pub enum Mirror {
    /// The host's own: its functions `load` and `save`.
    Host([Function; 2]),
    /// A database beside the one of this name. It does not outlive what takes all of the origin's databases, and says
    /// nothing where the other one is gone: that may have been deleted on purpose.
    Beside(String),
}

impl Mirror {
    /// Replaces the text.
    pub async fn save(&self, text: &str) -> Result<(), JsValue> {
        match self {
            Self::Host([_, save]) => ended(save.call1(&JsValue::NULL, &text.into())?).await.map(|_| ()),
            Self::Beside(database) => put(database, text).await.map_err(|_| JsValue::NULL),
        }
    }

    /// The text that was saved last.
    pub async fn load(&self, database_is_new: bool) -> Option<String> {
        match self {
            Self::Host([load, _]) => ended(load.call0(&JsValue::NULL).ok()?).await.ok()?.as_string(),
            Self::Beside(_) if database_is_new => None,
            Self::Beside(database) => get(database).await.ok()?,
        }
    }
}

// A host may answer at once or by a promise.
async fn ended(value: JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(value.dyn_into::<Promise>().unwrap_or_else(|value| Promise::resolve(&value))).await
}

async fn open(database: &str) -> rexie::Result<Rexie> {
    let name = format!("{database} mirror");
    Rexie::builder(&name).version(1).add_object_store(ObjectStore::new(STORE)).build().await
}

async fn put(database: &str, text: &str) -> rexie::Result<()> {
    let database = open(database).await?;
    let transaction = database.transaction(&[STORE], TransactionMode::ReadWrite)?;
    transaction.store(STORE)?.put(&text.into(), Some(&STORE.into())).await?;
    let committed = transaction.commit().await;
    database.close();
    committed
}

async fn get(database: &str) -> rexie::Result<Option<String>> {
    let database = open(database).await?;
    let transaction = database.transaction(&[STORE], TransactionMode::ReadOnly)?;
    let found = transaction.store(STORE)?.get(STORE.into()).await?;
    database.close();
    Ok(found.and_then(|text| text.as_string()))
}
