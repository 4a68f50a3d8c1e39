//! The account behind a request.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    rate_limit::{RATE_LIMIT_HEADERS, Usage},
    token::Purpose,
};
use crate::{app::App, error::ApiError, time::UnixMillis};

/// A request that came with a good access token of an open session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Leads every key and query.
    pub user_id: i64,
    /// The login that the token belongs to.
    pub session_id: String,
}

impl Caller {
    /// Counts a request that makes no transaction of its own.
    pub async fn count_request(&self, app: &App) -> Result<(), ApiError> {
        let now = UnixMillis::now();
        let counted = app.store.count_user_request(self.user_id, now).await?;
        counted.map_err(|usage| ApiError::RateLimited { usage, now })
    }
}

/// Lets only callers through, and nobody whose rate limit is used up. Reads, doesn't count: that is done in the
/// transaction which the request makes anyway, and decides about those that come at the same time.
pub async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let now = UnixMillis::now();
    let (caller, usage) = match identify(&app, request.headers(), now).await {
        Ok(identified) => identified,
        Err(error) => return error.into_response(),
    };
    if usage.is_used_up() {
        return ApiError::RateLimited { usage, now }.into_response();
    }
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if !response.headers().contains_key(&RATE_LIMIT_HEADERS[0]) {
        usage.with_this_request().write_headers(response.headers_mut(), now);
    }
    response
}

async fn identify(app: &App, headers: &HeaderMap, now: UnixMillis) -> Result<(Caller, Usage), ApiError> {
    let claims = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| app.tokens.check(token.trim(), Purpose::Access, now))
        .ok_or(ApiError::Unauthorized)?;
    let user_id = claims.user_id.parse().map_err(|_| ApiError::Unauthorized)?;
    let usage =
        app.store.usage_of_session(user_id, &claims.session_id, now).await?.ok_or(ApiError::Unauthorized)?;
    Ok((Caller { user_id, session_id: claims.session_id }, usage))
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    /// Finds who `authenticate` has let through; a route outside of it lets nobody through.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Unauthorized)
    }
}
