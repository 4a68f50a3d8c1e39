//! What the server answers, one file for each resource.

mod accounts;
mod answers;
mod browsing_data;
mod forms;
mod health;
mod observe;
mod sessions;
mod sync;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, header},
    middleware::from_fn_with_state,
    routing::get,
};
use tower_http::cors::{Any, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    auth::{authenticate, limit_address, rate_limit::RATE_LIMIT_HEADERS},
    error::ApiError,
    openapi,
};

/// All routes, and the document that describes them.
pub fn router(app: App) -> Router {
    let (routes, document) = described_routes(&app);
    routes
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], document)))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(cors())
        .with_state(app)
}

/// Every route stands in the document, because it is added to both at once.
fn described_routes(app: &App) -> (Router<App>, Bytes) {
    let mut for_users = OpenApiRouter::default()
        .merge(accounts::router())
        .merge(browsing_data::router())
        .merge(sessions::router())
        .merge(sync::router())
        .route_layer(from_fn_with_state(app.clone(), authenticate));
    openapi::describe_login(for_users.get_openapi_mut());
    let mut for_anybody = OpenApiRouter::default()
        .merge(accounts::open_router())
        .merge(sessions::open_router())
        .route_layer(from_fn_with_state(app.clone(), limit_address));
    openapi::describe_limits(for_anybody.get_openapi_mut());
    let api = OpenApiRouter::default()
        .merge(for_users)
        .merge(for_anybody)
        .merge(sync::open_router())
        .merge(health::router());
    let (routes, described) =
        OpenApiRouter::default().nest("/api/v1", api).merge(health::root_router()).split_for_parts();
    (routes, openapi::document(described).to_string().into())
}

/// Callers are extensions with origins of their own, and carry a token instead of cookies: any origin may ask.
fn cors() -> CorsLayer {
    let [limit, remaining, reset] = RATE_LIMIT_HEADERS;
    let exposed = [header::RETRY_AFTER, HeaderName::from_static("x-request-id"), limit, remaining, reset];
    CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any).expose_headers(exposed)
}
