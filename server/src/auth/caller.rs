//! The account behind a request.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use super::token::Purpose;
use crate::{app::App, error::ApiError, time::UnixMillis};

/// A request that came with a good access token of an open session. Asking for it as an argument guards a route.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Leads every key and query.
    pub user_id: i64,
    /// The login that the token belongs to.
    pub session_id: String,
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let now = UnixMillis::now();
        let claims = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| app.tokens.check(token.trim(), Purpose::Access, now))
            .ok_or(ApiError::Unauthorized)?;
        let user_id = claims.user_id.parse().map_err(|_| ApiError::Unauthorized)?;
        if !app.store.session_is_open(user_id, &claims.session_id, now).await? {
            return Err(ApiError::Unauthorized);
        }
        Ok(Self { user_id, session_id: claims.session_id })
    }
}
