//! What the server answers, one file for each resource.

mod accounts;
mod browsing_data;
mod health;
mod sync;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, header},
};
use tower_http::cors::{Any, CorsLayer};

use crate::{app::App, error::ApiError, policy};

/// All routes.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .merge(accounts::router())
        .merge(browsing_data::router())
        .merge(health::router())
        .merge(sync::router());
    Router::new()
        .nest("/api/v1", api)
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(policy::MAX_BODY_BYTES))
        .layer(cors())
        .with_state(app)
}

/// Callers are extensions with origins of their own, and carry a token instead of cookies: any origin may ask.
fn cors() -> CorsLayer {
    const EXPOSED: [HeaderName; 1] = [header::RETRY_AFTER];
    CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any).expose_headers(EXPOSED)
}
