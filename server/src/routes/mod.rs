//! What the server answers, one file for each resource.

mod accounts;
mod browsing_data;
mod forms;
mod health;
mod observe;
mod sessions;
mod sync;

use axum::{
    Router,
    http::{HeaderName, header},
    middleware::from_fn_with_state,
};
use tower_http::cors::{Any, CorsLayer};

use crate::{
    app::App,
    auth::{authenticate, limit_address, rate_limit::RATE_LIMIT_HEADERS},
    error::ApiError,
};

/// All routes.
pub fn router(app: App) -> Router {
    let for_users = Router::new()
        .merge(accounts::router())
        .merge(browsing_data::router())
        .merge(sessions::router())
        .merge(sync::router())
        .route_layer(from_fn_with_state(app.clone(), authenticate));
    let for_anybody = Router::new()
        .merge(accounts::open_router())
        .merge(sessions::open_router())
        .route_layer(from_fn_with_state(app.clone(), limit_address));
    let api =
        Router::new().merge(for_users).merge(for_anybody).merge(sync::open_router()).merge(health::router());
    Router::new()
        .nest("/api/v1", api)
        .merge(health::root_router())
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(cors())
        .with_state(app)
}

/// Callers are extensions with origins of their own, and carry a token instead of cookies: any origin may ask.
fn cors() -> CorsLayer {
    let [limit, remaining, reset] = RATE_LIMIT_HEADERS;
    let exposed = [header::RETRY_AFTER, HeaderName::from_static("x-request-id"), limit, remaining, reset];
    CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any).expose_headers(exposed)
}
