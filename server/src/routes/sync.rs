//! The door for batches, and what surrounds it.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    app::App,
    auth::Caller,
    error::ApiError,
    policy,
    store::{Idempotency, SyncLogEntry},
    time::UnixMillis,
    validation::{self, BatchError},
    wire::RecordBody,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Routes for whoever comes along.
pub(super) fn open_router() -> Router<App> {
    Router::new().route("/data/sync/capabilities", get(capabilities))
}

/// Routes for users.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/data/sync", post(sync))
        .route("/data/sync/known", post(known))
        .route("/data/sync/status", get(status))
}

/// Saves the whole batch and counts what became of it, or saves nothing and names every record in the way.
async fn sync(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: RecordBody,
) -> Result<Json<Value>, ApiError> {
    let key = idempotency_key(&headers)?;
    let (checked, key) = tokio::task::spawn_blocking(move || {
        (validation::check_batch(&body.text), key.map(|key| Idempotency::new(key, &body.text)))
    })
    .await
    .map_err(ApiError::internal)?;
    let now = UnixMillis::now();
    let batch = match checked {
        Ok(batch) => batch,
        Err(BatchError::NotABatch(message)) => return Err(ApiError::BadRequest(message)),
        Err(BatchError::TooManyRecords(count)) => {
            return Err(ApiError::BatchTooLarge { got: count, limit: policy::MAX_RECORDS_PER_KIND });
        }
        Err(BatchError::Refused { failed, sent, client }) => {
            let entry = SyncLogEntry::refused(sent, failed.len(), client);
            app.metrics.batch_refused(failed.len());
            app.store.log_refused(caller.user_id, &entry, now).await?;
            return Err(ApiError::RecordsRefused(failed));
        }
    };
    let counts = app.store.save_batch(caller.user_id, &batch, key.as_ref(), now).await?;
    app.metrics.batch_saved(&counts);
    Ok(Json(json!({ "success": true, "message": "Data synced successfully", "data": counts })))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().map_err(|_| ApiError::BadRequest("Idempotency-Key must be visible ASCII."))?;
    if key.is_empty() || key.len() > policy::MAX_IDEMPOTENCY_KEY_CHARS {
        return Err(ApiError::BadRequest("Idempotency-Key must have 1 to 255 characters."));
    }
    Ok(Some(key.to_owned()))
}

/// What this server can do beyond the published one.
async fn capabilities() -> Json<Value> {
    Json(json!({
        "success": true,
        "data": {
            "compression": ["gzip"],
            "max_page_visits": policy::MAX_RECORDS_PER_KIND,
            "max_tab_aggregates": policy::MAX_RECORDS_PER_KIND,
            "max_body_bytes": policy::MAX_BODY_BYTES,
            "references_in_any_order": true,
            "revisions": true,
            "idempotency_key": true,
            "preflight": { "max_ids": policy::MAX_KNOWN_IDS },
            "erase": ["all", "site", "range"],
        },
    }))
}

/// Preflight: which of these records are held, and at which revision.
async fn known(State(app): State<App>, caller: Caller, body: RecordBody) -> Result<Json<Value>, ApiError> {
    let question = validation::check_known(&body.text).map_err(|error| match error {
        BatchError::NotABatch(message) => ApiError::BadRequest(message),
        BatchError::TooManyRecords(got) => ApiError::BatchTooLarge { got, limit: policy::MAX_KNOWN_IDS },
        BatchError::Refused { failed, .. } => ApiError::RecordsRefused(failed),
    })?;
    app.store.count_user_request(caller.user_id, UnixMillis::now()).await?;
    let known = app.store.known(caller.user_id, &question.page_visits, &question.tab_aggregates).await?;
    Ok(Json(json!({
        "success": true,
        "data": {
            "pageVisits": known.page_visits,
            "tabAggregates": known.tab_aggregates,
            "erasedPageVisits": known.erased_page_visits,
        },
    })))
}

/// The last syncs, what is held, and how good the data was.
async fn status(State(app): State<App>, caller: Caller) -> Result<Json<Value>, ApiError> {
    app.store.count_user_request(caller.user_id, UnixMillis::now()).await?;
    let status = app.store.sync_status(caller.user_id).await?;
    let recent: Vec<Value> = status
        .recent
        .iter()
        .map(|entry| {
            json!({
                "at": UnixMillis(entry.at_ms).to_iso(), "outcome": entry.outcome, "sent": entry.sent,
                "created": entry.created, "updated": entry.updated, "ignored": entry.ignored,
                "refused": entry.refused, "client": entry.client,
            })
        })
        .collect();
    Ok(Json(json!({
        "success": true,
        "data": {
            "last_sync_at": status.last_saved_at_ms.map(|millis| UnixMillis(millis).to_iso()),
            "recent_syncs": recent,
            "totals": { "page_visits": status.page_visits, "tab_aggregates": status.tab_aggregates },
            "data_quality_score": status.data_quality_score,
        },
    })))
}
