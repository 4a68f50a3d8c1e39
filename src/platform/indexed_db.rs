//! [`Store`] over IndexedDB, through rexie.
//!
//! What rexie's names don't tell (`done` that says committed after a failed request, handlers that are attached at the
//! first poll, drops that commit) is kept out by one rule: every transaction ends in `commit`, asked for when its last
//! request has ended well.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{FutureExt, maybe_done};
use rexie::{Direction, KeyRange as IdbKeyRange, Rexie, Transaction, TransactionMode};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::row::{JsBody, from_number, from_stored, key_of, to_number, to_stored};
use super::{generations, reserve, schema};
use crate::ports::store::{Answer, Change, Decide, Pending, Query, Store, StoreError, Table};
use crate::words::key::KeyRange;

/// A database of this extension.
#[derive(Debug)]
pub struct IndexedDb {
    name: String,
    // The generation that is in use, once it is known.
    current: RefCell<Option<String>>,
    connection: RefCell<Option<Rc<Rexie>>>,
    commits_early: bool,
    // Whether the reserve needs no more looking after in this worker's life.
    reserved: Cell<bool>,
}

impl IndexedDb {
    /// The database `name`; opened, and created if need be, by the first transaction.
    pub fn new(name: String) -> Self {
        let (current, connection) = (RefCell::new(None), RefCell::new(None));
        Self { name, current, connection, commits_early: is_chromium(), reserved: Cell::new(false) }
    }

    /// Closes the connection; the next transaction opens a new one.
    pub fn close(&self) {
        if let Some(Ok(connection)) = self.connection.take().map(Rc::try_unwrap) {
            connection.close();
        }
    }

    async fn connection(&self) -> Result<Rc<Rexie>, StoreError> {
        if let Some(connection) = self.connection.borrow().as_ref() {
            return Ok(Rc::clone(connection));
        }
        let known = self.current.borrow().clone();
        let current = match known {
            Some(current) => current,
            None => generations::current(&self.name).await,
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
        // Another transaction may have been first; a second connection, forgotten, would block every later version.
        if let Some(first) = self.connection.borrow().as_ref() {
            opened.close();
            return Ok(Rc::clone(first));
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

async fn answer(transaction: &Transaction, query: &Query) -> Result<Answer<JsBody>, StoreError> {
    let rows = |found: Vec<JsValue>| Answer::Rows(found.into_iter().filter_map(from_stored).collect());
    let keys = |found: Vec<JsValue>| Answer::Keys(found.iter().filter_map(from_number).collect());
    let table = |table: Table| transaction.store(schema::store_of(table)).map_err(failure);
    match query {
        Query::Document(document) => {
            let key = JsValue::from_str(schema::key_of(*document));
            let found =
                transaction.store(schema::DOCUMENTS).map_err(failure)?.get(key).await.map_err(failure)?;
            Ok(Answer::Document(found.and_then(|text| text.as_string())))
        }
        Query::Rows { range, limit, .. } if holds_nothing(*range, *limit) => Ok(Answer::Rows(Vec::new())),
        Query::Last { range, .. } if holds_nothing(*range, 1) => Ok(Answer::Rows(Vec::new())),
        Query::Keys { range, limit, .. } if holds_nothing(*range, *limit) => Ok(Answer::Keys(Vec::new())),
        Query::Rows { table: name, range, limit } => {
            let store = table(*name)?;
            let (mut range, mut rows) = (*range, Vec::new());
            // Rows that can't be read are left out; others come in their place.
            loop {
                let wanted = limit.saturating_sub(rows.len());
                let found =
                    store.get_all(Some(idb_range(range)?), limit_of(wanted)).await.map_err(failure)?;
                let behind = found.last().and_then(key_of).map(|key| key.next());
                let is_full = found.len() >= wanted;
                rows.extend(found.into_iter().filter_map(from_stored));
                match behind.filter(|from| is_full && rows.len() < *limit && *from < range.to) {
                    Some(from) => range.from = from,
                    None => return Ok(Answer::Rows(rows)),
                }
            }
        }
        Query::Last { table: name, range } => {
            let range = Some(idb_range(*range)?);
            let found =
                table(*name)?.scan(range, Some(1), None, Some(Direction::Prev)).await.map_err(failure)?;
            Ok(rows(found.into_iter().map(|(_, row)| row).collect()))
        }
        Query::Keys { table: name, range, limit } => {
            let range = Some(idb_range(*range)?);
            table(*name)?.get_all_keys(range, limit_of(*limit)).await.map(keys).map_err(failure)
        }
        Query::Revisions { table: name, id } => {
            let index = table(*name)?.index(schema::BY_ID).map_err(failure)?;
            index.get_all(Some(only(id)?), None).await.map(rows).map_err(failure)
        }
        Query::Referring { table: name, id } => {
            let index = table(*name)?.index(schema::BY_REFERENCE).map_err(failure)?;
            index.get_all(Some(only(id)?), None).await.map(rows).map_err(failure)
        }
        Query::KeysOf { table: name, id } => {
            let index = table(*name)?.index(schema::BY_ID).map_err(failure)?;
            index.get_all_keys(Some(only(id)?), None).await.map(keys).map_err(failure)
        }
    }
}

async fn answers(transaction: &Transaction, queries: &[Query]) -> Result<Vec<Answer<JsBody>>, StoreError> {
    let mut requests: Vec<_> =
        queries.iter().map(|query| maybe_done(answer(transaction, query).boxed_local())).collect();
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

type Request = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

// A request owns its store and nothing of the transaction, which has to be free for the commit while it is pending.
fn request(transaction: &Transaction, change: &Change<JsBody>) -> Result<Request, StoreError> {
    let store = |name: &str| transaction.store(name).map_err(failure);
    Ok(match change {
        Change::Write(document, text) => {
            let store = store(schema::DOCUMENTS)?;
            let (key, text) = (JsValue::from_str(schema::key_of(*document)), JsValue::from_str(text));
            Box::pin(async move { store.put(&text, Some(&key)).await.map(|_| ()).map_err(failure) })
        }
        Change::Erase(document) => {
            let store = store(schema::DOCUMENTS)?;
            let key = JsValue::from_str(schema::key_of(*document));
            Box::pin(async move { store.delete(key).await.map_err(failure) })
        }
        Change::Insert(table, row) => {
            let store = store(schema::store_of(*table))?;
            let row = to_stored(row);
            Box::pin(async move { store.add(&row, None).await.map(|_| ()).map_err(failure) })
        }
        Change::Delete(_, range) if holds_nothing(*range, 1) => Box::pin(async { Ok(()) }),
        Change::Delete(table, range) => {
            let store = store(schema::store_of(*table))?;
            let range = idb_range(*range)?;
            Box::pin(async move { store.delete(range.into()).await.map_err(failure) })
        }
    })
}

// All changes are asked for at once and end in their order, so that the last one's end is everybody's. Only then comes
// the commit, as Firefox keeps the rest of a transaction if one of its requests fails after `commit` was called; Chromium
// keeps nothing then, and is spared the wait (a third of a capture's time).
async fn apply_all(
    transaction: Transaction,
    changes: &[Change<JsBody>],
    commits_early: bool,
) -> Result<(), StoreError> {
    let mut requests: Vec<Request> =
        changes.iter().map(|change| request(&transaction, change)).collect::<Result<_, _>>()?;
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
            answers(&transaction, queries).await
        })
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, JsBody>) -> Pending<'a, ()> {
        Box::pin(async move {
            let transaction = self.begin(&schema::ALL, TransactionMode::ReadWrite).await?;
            if let Some(changes) = decide(answers(&transaction, queries).await?) {
                let applied = apply_all(transaction, &changes, self.commits_early).await;
                // What frees room has to be written too: it gets the reserve, at its next attempt.
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
        if !self.reserved.replace(true) {
            let name = self.name.clone();
            spawn_local(async move { drop(reserve::keep(&name).await) });
        }
    }

    fn rebuild(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let damaged = match self.current.take() {
                Some(current) => current,
                None => generations::current(&self.name).await,
            };
            self.close();
            generations::move_on(&self.name, &damaged).await.map_err(failure)
        })
    }

    fn delete_left_behind(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.connection().await?;
            let in_use = self.current.borrow().clone().unwrap_or_default();
            generations::delete_others(&self.name, &in_use).await.map_err(failure)
        })
    }
}

fn captures(change: &Change<JsBody>) -> bool {
    matches!(change, Change::Insert(Table::Outbox(_), _))
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

// IndexedDB knows no empty range, and takes a limit of 0 for none.
fn holds_nothing(range: KeyRange, limit: usize) -> bool {
    range.from >= range.to || limit == 0
}

fn idb_range(range: KeyRange) -> Result<IdbKeyRange, StoreError> {
    let (from, to) = (to_number(range.from).into(), to_number(range.to).into());
    IdbKeyRange::bound(&from, &to, Some(false), Some(true)).map_err(|error| failure(error.into()))
}

fn only(id: &str) -> Result<IdbKeyRange, StoreError> {
    IdbKeyRange::only(&JsValue::from_str(id)).map_err(|error| failure(error.into()))
}

fn limit_of(limit: usize) -> Option<u32> {
    u32::try_from(limit).ok()
}

// By the exception's name, never by its text, which may repeat what was stored.
pub(super) fn failure(error: rexie::Error) -> StoreError {
    // All that was asked for was taken, and refused at the commit: browsers do that where there is no room for it, or the
    // disk fails. Which, rexie keeps to itself; that there is room left is told by browsers whose disk is full too.
    let rexie::Error::IdbError(error) = error else { return StoreError::QuotaExceeded };
    let name = match error {
        idb::Error::DomException(exception) => exception.name(),
        idb::Error::TransactionOpenFailed(value)
        | idb::Error::IndexedDbOpenFailed(value)
        | idb::Error::AddFailed(value)
        | idb::Error::UpdateFailed(value)
        | idb::Error::DeleteFailed(value)
        | idb::Error::GetFailed(value)
        | idb::Error::GetAllFailed(value)
        | idb::Error::GetAllKeysFailed(value)
        | idb::Error::ObjectStoreNotFound(value)
        | idb::Error::IndexNotFound(value)
        | idb::Error::TransactionCommitError(value) => name_of(&value),
        _ => "unknown".into(),
    };
    match name.as_str() {
        "QuotaExceededError" => StoreError::QuotaExceeded,
        "InvalidStateError" => StoreError::Closed,
        "VersionError" => StoreError::Newer,
        // A table or an index is gone, or the browser can't read its own files.
        "NotFoundError" | "UnknownError" | "NotReadableError" => StoreError::Broken(name),
        _ => StoreError::Failed(name),
    }
}

fn name_of(value: &JsValue) -> String {
    js_sys::Reflect::get(value, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
}
