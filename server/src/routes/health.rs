//! Is the server there, is it ready, and what has it done?

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{app::App, error::ApiError};

/// Under the API.
pub(super) fn router() -> Router<App> {
    Router::new().route("/health", get(health)).route("/health/ready", get(ready))
}

/// At the root.
pub(super) fn root_router() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

/// The process answers: no reason to restart it.
async fn health() -> Json<Value> {
    Json(json!({ "success": true, "status": "ok" }))
}

/// The database answers too: requests may be sent here.
async fn ready(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.store.ping().await?;
    Ok(Json(json!({ "success": true, "status": "ready" })))
}

async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = app.metrics.encode(app.store.connections()).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
