//! Is the server there, is it ready, and what has it done?

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    error::{ApiError, Refusal},
};

/// Under the API.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// At the root.
pub(super) fn root_router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

#[derive(Serialize, ToSchema)]
struct Health {
    success: bool,
    status: &'static str,
}

impl Health {
    fn of(status: &'static str) -> Json<Self> {
        Json(Self { success: true, status })
    }
}

/// The process answers: no reason to restart it.
#[utoipa::path(get, path = "/health", tag = "operation", responses((status = 200, description = "It answers", body = Health)))]
async fn health() -> Json<Health> {
    Health::of("ok")
}

/// The database answers too: requests may be sent here.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operation",
    responses(
        (status = 200, description = "It is ready", body = Health),
        (status = 503, description = "The database is out of reach", body = Refusal),
    )
)]
async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    app.store.ping().await?;
    Ok(Health::of("ready"))
}

/// What the server has done, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((
        status = 200,
        description = "OpenMetrics text",
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        body = String,
    ))
)]
async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = app.metrics.encode(app.store.connections()).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
