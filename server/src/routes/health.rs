//! Is the server there, and does its database answer?

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use crate::{app::App, error::ApiError};

pub(super) fn router() -> Router<App> {
    Router::new().route("/health", get(health))
}

async fn health(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.store.ping().await?;
    Ok(Json(json!({ "success": true, "status": "ok" })))
}
