//! What rexie's errors mean.

use wasm_bindgen::JsValue;

use crate::ports::store::StoreError;

/// By the exception's name, never by its text, which may repeat what was stored.
pub fn failure(error: rexie::Error) -> StoreError {
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

/// The name of an exception.
pub fn name_of(value: &JsValue) -> String {
    js_sys::Reflect::get(value, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_default()
}
