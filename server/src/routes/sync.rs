//! The door for batches, and what surrounds it.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{self, Answer};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, Refusal},
    memory::MemoryShare,
    policy,
    store::{Idempotency, KnownRecord, SyncCounts, SyncLogEntry},
    time::UnixMillis,
    validation::{self, Batch, BatchError},
    wire::RecordBody,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Routes for whoever comes along.
pub(super) fn open_router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(capabilities))
}

/// Routes for users.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sync)).routes(routes!(known)).routes(routes!(status))
}

/// Saves the whole batch and counts what became of it, or saves nothing and names every record in the way.
///
/// The body may be packed (`Content-Encoding: gzip`).
#[utoipa::path(
    post,
    path = "/data/sync",
    tag = "sync",
    params((
        "Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$",
        description = "The client's name for this batch; the answer to a saved one is given again for a day",
    )),
    request_body(content = ref("#/components/schemas/Batch"), content_type = "application/json"),
    responses(
        (status = 200, description = "Saved as a whole", body = Answer<SyncCounts>),
        (
            status = 400, body = Refusal,
            description = "Nothing is saved. `records_refused`: these are in the way; `batch_too_large`; `bad_request`",
        ),
    )
)]
async fn sync(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<RecordBody, ApiError>,
) -> Result<Json<Answer<SyncCounts>>, ApiError> {
    let checked = check(&headers, body).await;
    let now = UnixMillis::now();
    let limited = |usage| ApiError::RateLimited { usage, now };
    let refusal = match checked {
        Ok((Ok(batch), key, share)) => {
            let saved = app.store.save_batch(caller.user_id, batch, key, now, Some(share));
            let counts = saved.await?.map_err(limited)?;
            app.metrics.batch_saved(&counts);
            return Ok(Answer::saying("Data synced successfully", counts));
        }
        Ok((Err(BatchError::Refused { failed, sent, client }), ..)) => {
            let entry = SyncLogEntry::refused(sent, failed.len(), client);
            app.metrics.batch_refused(failed.len());
            app.store.log_refused(caller.user_id, &entry, now).await?.map_err(limited)?;
            return Err(ApiError::RecordsRefused(failed));
        }
        Ok((Err(BatchError::NotABatch(message)), ..)) => ApiError::BadRequest(message),
        Ok((Err(BatchError::TooManyRecords(got)), ..)) => {
            ApiError::BatchTooLarge { got, limit: policy::MAX_RECORDS_PER_KIND }
        }
        // To be counted, it would wait for the database that those wait for who have the memory.
        Err(ApiError::Busy) => return Err(ApiError::Busy),
        Err(refusal) => refusal,
    };
    caller.count_request(&app).await?;
    Err(refusal)
}

/// Judges a batch and ties its key to it. It keeps the share of the memory that it still takes.
async fn check(
    headers: &HeaderMap,
    body: Result<RecordBody, ApiError>,
) -> Result<(Result<Batch, BatchError>, Option<Idempotency>, MemoryShare), ApiError> {
    let (key, body) = (idempotency_key(headers)?, body?);
    let bytes = body.bytes();
    let work = |text: &[u8]| (validation::check_batch(text), key.map(|key| Idempotency::new(key, text)));
    let ((batch, key), mut share) = body.judge(work).await?;
    let records = batch.as_ref().map_or(0, |batch| batch.sent);
    share.shrink_to(bytes + records * policy::RECORD_BYTES);
    Ok((batch, key, share))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().map_err(|_| ApiError::BadRequest("Idempotency-Key must be visible ASCII."))?;
    if key.is_empty() || key.len() > policy::MAX_IDEMPOTENCY_KEY_CHARS {
        return Err(ApiError::BadRequest("Idempotency-Key must have 1 to 255 characters."));
    }
    Ok(Some(key.to_owned()))
}

#[derive(Serialize, ToSchema)]
struct Capabilities {
    /// This server's version: a client may try again what another version has refused.
    version: &'static str,
    /// Content encodings of bodies.
    compression: [&'static str; 1],
    max_page_visits: usize,
    max_tab_aggregates: usize,
    /// Before and after inflation.
    max_body_bytes: usize,
    references_in_any_order: bool,
    revisions: bool,
    idempotency_key: bool,
    preflight: Preflight,
    /// Scopes of `POST /data/erase`.
    erase: [&'static str; 3],
}

#[derive(Serialize, ToSchema)]
struct Preflight {
    max_ids: usize,
}

/// What this server can do beyond the published one.
#[utoipa::path(
    get,
    path = "/data/sync/capabilities",
    tag = "sync",
    responses((status = 200, description = "Abilities and limits", body = Answer<Capabilities>))
)]
async fn capabilities() -> Json<Answer<Capabilities>> {
    Answer::of(Capabilities {
        version: env!("CARGO_PKG_VERSION"),
        compression: ["gzip"],
        max_page_visits: policy::MAX_RECORDS_PER_KIND,
        max_tab_aggregates: policy::MAX_RECORDS_PER_KIND,
        max_body_bytes: policy::MAX_BODY_BYTES,
        references_in_any_order: true,
        revisions: true,
        idempotency_key: true,
        preflight: Preflight { max_ids: policy::MAX_KNOWN_IDS },
        erase: ["all", "site", "range"],
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Held {
    page_visits: Vec<KnownRecord>,
    tab_aggregates: Vec<KnownRecord>,
    /// Visits that the user has erased: they would be ignored.
    erased_page_visits: Vec<String>,
}

/// Preflight: which of these records are held, and at which revision.
#[utoipa::path(
    post,
    path = "/data/sync/known",
    tag = "sync",
    request_body(content = ref("#/components/schemas/KnownQuestion"), content_type = "application/json"),
    responses(
        (status = 200, description = "Those of them that are held", body = Answer<Held>),
        (status = 400, description = "`bad_request`, or `batch_too_large`", body = Refusal),
    )
)]
async fn known(
    State(app): State<App>,
    caller: Caller,
    body: Result<RecordBody, ApiError>,
) -> Result<Response, ApiError> {
    caller.count_request(&app).await?;
    let (question, _) = body?.judge(validation::check_known).await?;
    let question = question.map_err(|error| match error {
        BatchError::NotABatch(message) => ApiError::BadRequest(message),
        BatchError::TooManyRecords(got) => ApiError::BatchTooLarge { got, limit: policy::MAX_KNOWN_IDS },
        BatchError::Refused { failed, .. } => ApiError::RecordsRefused(failed),
    })?;
    let share = app.memory.page(caller.user_id).await?;
    let known = app.store.known(caller.user_id, &question.page_visits, &question.tab_aggregates).await?;
    let held = Held {
        page_visits: known.page_visits,
        tab_aggregates: known.tab_aggregates,
        erased_page_visits: known.erased_page_visits,
    };
    answers::holding(held, share)
}

#[derive(Serialize, ToSchema)]
struct Status {
    /// When the last batch was saved.
    #[schema(required, format = DateTime)]
    last_sync_at: Option<String>,
    /// Newest first.
    recent_syncs: Vec<LoggedSync>,
    totals: Totals,
    /// Share of the records sent lately that broke no rule, in percent.
    data_quality_score: f64,
}

#[derive(Serialize, ToSchema)]
struct LoggedSync {
    #[schema(format = DateTime)]
    at: String,
    /// `saved` or `refused`.
    outcome: String,
    sent: i64,
    created: i64,
    updated: i64,
    ignored: i64,
    refused: i64,
    /// Browser and extension, if the client said so.
    #[schema(required)]
    client: Option<String>,
}

impl From<SyncLogEntry> for LoggedSync {
    fn from(entry: SyncLogEntry) -> Self {
        let SyncLogEntry { at_ms, outcome, sent, created, updated, ignored, refused, client } = entry;
        Self { at: UnixMillis(at_ms).to_iso(), outcome, sent, created, updated, ignored, refused, client }
    }
}

/// What is held.
#[derive(Serialize, ToSchema)]
struct Totals {
    page_visits: i64,
    tab_aggregates: i64,
}

/// The last syncs, what is held, and how good the data was.
#[utoipa::path(
    get,
    path = "/data/sync/status",
    tag = "sync",
    responses((status = 200, description = "How syncing goes", body = Answer<Status>))
)]
async fn status(State(app): State<App>, caller: Caller) -> Result<Json<Answer<Status>>, ApiError> {
    caller.count_request(&app).await?;
    let status = app.store.sync_status(caller.user_id).await?;
    Ok(Answer::of(Status {
        last_sync_at: status.last_saved_at_ms.map(|millis| UnixMillis(millis).to_iso()),
        recent_syncs: status.recent.into_iter().map(LoggedSync::from).collect(),
        totals: Totals { page_visits: status.page_visits, tab_aggregates: status.tab_aggregates },
        data_quality_score: status.data_quality_score,
    }))
}
