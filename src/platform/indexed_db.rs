//! [`Store`] over IndexedDB, through rexie.
//!
//! What rexie's names don't tell (`done` that says committed after a failed request, handlers that are attached at the
//! first poll, drops that commit) is kept out by one rule: every transaction ends in `commit`, asked for when its last
//! request has ended well.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rexie::{Rexie, Transaction, TransactionMode};
use tokio::sync::Mutex;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::change::{apply_all, put_together};
use super::failure::failure;
use super::query::{Met, answers};
use super::row::JsBody;
use super::segment::Shelf;
use super::{generations, reserve, schema};
use crate::ports::store::{Answer, Change, Decide, Document, Pending, Query, Store, StoreError, Table};
use crate::words::key::KeyRange;

/// A database of this extension.
#[derive(Debug)]
pub struct IndexedDb {
    name: String,
    // The generation that is in use, once it is known.
    current: RefCell<Option<String>>,
    connection: RefCell<Option<Rc<Rexie>>>,
    // Held by whoever opens a connection or rebuilds: nobody writes to a database that is being left behind.
    opening: Mutex<()>,
    commits_early: bool,
    shelf: Shelf,
    // Whether the reserve needs no more looking after in this worker's life.
    reserved: Cell<bool>,
}

impl IndexedDb {
    /// The database `name`; opened, and created if need be, by the first transaction.
    pub fn new(name: String) -> Self {
        let (current, connection) = (RefCell::new(None), RefCell::new(None));
        let (shelf, reserved) = (Shelf::default(), Cell::new(false));
        let opening = Mutex::default();
        Self { name, current, connection, opening, commits_early: is_chromium(), shelf, reserved }
    }

    /// Closes the connection; the next transaction opens a new one.
    pub fn close(&self) {
        if let Some(Ok(connection)) = self.connection.take().map(Rc::try_unwrap) {
            connection.close();
        }
    }

    async fn connection(&self) -> Result<Rc<Rexie>, StoreError> {
        let known = || self.connection.borrow().clone();
        if let Some(connection) = known() {
            return Ok(connection);
        }
        // Another transaction may be first; a second connection, forgotten, would block every later version.
        let _turn = self.opening.lock().await;
        if let Some(connection) = known() {
            return Ok(connection);
        }
        let known = self.current.borrow().clone();
        let current = match known {
            Some(current) => current,
            None => generations::current(&self.name).await?,
        };
        let opened = schema::builder(&current).build().await.map_err(|error| match failure(error) {
            StoreError::Failed(name) => StoreError::Broken(name),
            other => other,
        })?;
        *self.current.borrow_mut() = Some(current);
        let tables = opened.store_names();
        if schema::ALL.iter().any(|table| !tables.iter().any(|known| known == table)) {
            opened.close();
            return Err(StoreError::Broken("NotFoundError".into()));
        }
        let opened = Rc::new(opened);
        *self.connection.borrow_mut() = Some(Rc::clone(&opened));
        Ok(opened)
    }

    // A connection that somebody else has closed (a new version, the browser's own cleaning) is opened anew, once.
    async fn begin(&self, stores: &[&str], mode: TransactionMode) -> Result<Transaction, StoreError> {
        let connection = self.connection().await?;
        match connection.transaction(stores, mode).map_err(failure) {
            Err(StoreError::Closed) => {
                self.connection.borrow_mut().take_if(|known| Rc::ptr_eq(known, &connection));
                self.current.take();
                self.connection().await?.transaction(stores, mode).map_err(failure)
            }
            begun => begun,
        }
    }
}

impl Store for IndexedDb {
    type Body = JsBody;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<JsBody>>> {
        Box::pin(async move {
            if queries.is_empty() {
                return Ok(Vec::new());
            }
            let is_asked = |store: &&str| queries.iter().any(|query| store_for(query) == *store);
            let stores: Vec<&str> = schema::ALL.into_iter().filter(is_asked).collect();
            let transaction = self.begin(&stores, TransactionMode::ReadOnly).await?;
            answers(&transaction, queries, &Met::new(&self.shelf)).await
        })
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, JsBody>) -> Pending<'a, ()> {
        Box::pin(async move {
            let transaction = self.begin(&schema::ALL, TransactionMode::ReadWrite).await?;
            let met = Met::new(&self.shelf);
            if let Some(changes) = decide(answers(&transaction, queries, &met).await?) {
                let applied = apply_all(transaction, &changes, &met, self.commits_early).await;
                // What frees room has to be written too: it gets the reserve, at its next attempt. What the user does
                // in the tabs does not.
                if applied == Err(StoreError::QuotaExceeded) && !changes.iter().any(captures) {
                    self.close();
                    self.reserved.set(true);
                    reserve::give_back(&self.name).await;
                }
                return applied;
            }
            let _ = transaction.abort().await;
            Ok(())
        })
    }

    fn rests(&self) {
        self.shelf.clear();
        if !self.reserved.replace(true) {
            let name = self.name.clone();
            spawn_local(async move { drop(reserve::keep(&name).await) });
        }
    }

    fn tidy(&self, table: Table, range: KeyRange) -> Pending<'_, ()> {
        Box::pin(async move {
            let transaction = self.begin(&[schema::store_of(table)], TransactionMode::ReadWrite).await?;
            put_together(transaction, table, range, &self.shelf, self.commits_early).await
        })
    }

    fn rebuild(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let _turn = self.opening.lock().await;
            self.close();
            let damaged = match self.current.take() {
                Some(current) => current,
                None => generations::current(&self.name).await?,
            };
            generations::move_on(&self.name, &damaged).await.map_err(failure)
        })
    }

    fn delete_left_behind(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.connection().await?;
            let _turn = self.opening.lock().await;
            // None where it was left behind just now.
            let in_use = self.current.borrow().clone().ok_or(StoreError::Closed)?;
            generations::delete_others(&self.name, &in_use).await
        })
    }
}

fn captures(change: &Change<JsBody>) -> bool {
    matches!(change, Change::Insert(Table::Outbox(_), _) | Change::Write(Document::Tracker, _))
}

fn is_chromium() -> bool {
    let of = |object: &JsValue, name: &str| js_sys::Reflect::get(object, &name.into()).unwrap_or_default();
    let user_agent = of(&of(&js_sys::global(), "navigator"), "userAgent");
    user_agent.as_string().is_some_and(|text| text.contains("Chrome/"))
}

fn store_for(query: &Query) -> &'static str {
    match query {
        Query::Document(_) => schema::DOCUMENTS,
        Query::Rows { table, .. }
        | Query::Revisions { table, .. }
        | Query::Last { table, .. }
        | Query::Referring { table, .. }
        | Query::KeysOf { table, .. }
        | Query::Keys { table, .. } => schema::store_of(*table),
    }
}
