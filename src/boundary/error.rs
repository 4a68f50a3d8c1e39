//! Errors as JavaScript sees them: real `Error` objects with a stable `name` and `code`, and no payload.

use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

use crate::engine::EngineError;
use crate::outbox::OutboxError;
use crate::ports::store::StoreError;
use crate::words::kind::Kind;

fn error(name: &str, code: &str, message: &str, properties: &[(&str, JsValue)]) -> JsValue {
    let error = Error::new(message);
    error.set_name(name);
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    for (name, value) in properties {
        let _ = Reflect::set(&error, &(*name).into(), value);
    }
    error.into()
}

/// An option or argument that the module can't take.
pub(super) fn invalid(field: &str, what: &str) -> JsValue {
    error("ArgumentError", "invalid_argument", &format!("{field} {what}"), &[("field", field.into())])
}

pub(super) fn from_engine(failure: EngineError) -> JsValue {
    match failure {
        EngineError::Record { kind, index, error: cause } => {
            let place = of_record(kind, index, cause.field());
            error("RecordError", cause.code(), &cause.to_string(), &place)
        }
        EngineError::NobodysChoice => error("AccountError", "no_account", &failure.to_string(), &[]),
        EngineError::Outbox(failure) => from_outbox(failure),
    }
}

pub(super) fn from_outbox(failure: OutboxError) -> JsValue {
    let message = failure.to_string();
    match failure {
        OutboxError::Fenced => error("SyncError", "fenced", &message, &[]),
        OutboxError::Books(_) | OutboxError::Unreadable(_) | OutboxError::RevisionHeld { .. } => {
            error("StorageError", "damaged", &message, &[])
        }
        OutboxError::Store(failure) => {
            let code = match failure {
                StoreError::QuotaExceeded => "quota_exceeded",
                StoreError::Closed => "closed",
                StoreError::Broken(_) => "broken",
                StoreError::Newer => "newer_version",
                StoreError::Failed(_) => "failed",
            };
            error("StorageError", code, &message, &[])
        }
    }
}

fn of_record(kind: Kind, index: usize, field: &str) -> [(&'static str, JsValue); 3] {
    let list = match kind {
        Kind::PageVisit => "pageVisits",
        Kind::TabAggregate => "tabAggregates",
    };
    [("list", list.into()), ("index", JsValue::from_f64(index as f64)), ("field", field.into())]
}
