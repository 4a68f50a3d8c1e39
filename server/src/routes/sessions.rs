//! Sessions: login, refresh, logout.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{answers::Done, forms};
use crate::{
    app::App,
    auth::{
        AddressDigest, Caller, password,
        token::{Claims, Purpose},
    },
    error::{ApiError, Refusal},
    policy,
    time::UnixMillis,
    wire::Form,
};

/// Routes for whoever comes along.
pub(super) fn open_router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(refresh))
}

/// Routes for users.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(logout))
}

#[derive(Deserialize, ToSchema)]
struct Credentials {
    #[schema(required, nullable = false, max_length = 254, format = Email)]
    email: Option<String>,
    /// At most 72 bytes.
    #[schema(required, nullable = false, max_length = 72)]
    password: Option<String>,
}

/// A login, in the words of the published backend.
#[derive(Serialize, ToSchema)]
struct LoggedIn {
    #[serde(rename = "statusCode")]
    #[schema(example = 200)]
    status_code: u16,
    success: bool,
    message: &'static str,
    #[schema(example = false)]
    error: bool,
    data: TokenPair,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct TokenPair {
    /// Goes with every request, as a bearer token.
    access_token: String,
    /// Good for one `POST /auth/refresh`.
    refresh_token: String,
    /// Life of the access token in seconds.
    expires_in: i64,
    #[schema(example = "Bearer")]
    token_type: &'static str,
}

/// Gives a pair of tokens for an address and its password.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "accounts",
    request_body = Credentials,
    responses(
        (status = 200, description = "Logged in", body = LoggedIn),
        (status = 401, description = "`bad_credentials`: they don't belong together", body = Refusal),
        (status = 422, description = "`invalid_field`", body = Refusal),
    )
)]
async fn login(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Credentials>,
) -> Result<Json<LoggedIn>, ApiError> {
    let email = forms::email(form.email)?;
    let given = forms::password("password", form.password)?;
    let now = UnixMillis::now();
    let attempts = app.password_attempts(&email);
    attempts.count(now).await?;
    let account = app.store.account_by_email(&email).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = password::verify(&app.password_slots, given, hash).await?;
    match account {
        Some(account) if matches => {
            attempts.forget().await?;
            let session_id = uuid::Uuid::now_v7().to_string();
            app.store.open_session(account.id, &session_id, &address, now).await?;
            token_pair(&app, account.id, &session_id, 1, "Login successful", now)
        }
        other => {
            app.store.login_failed(other.map(|account| account.id), &address, now).await?;
            Err(ApiError::BadCredentials)
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct Refresh {
    #[serde(alias = "refreshToken", alias = "RefreshToken")]
    #[schema(required, nullable = false)]
    refresh_token: Option<String>,
}

/// Gives the next pair of tokens for a refresh token.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "accounts",
    request_body = Refresh,
    responses(
        (status = 200, description = "The next pair", body = LoggedIn),
        (status = 401, description = "`unauthorized`: the token is worth nothing, or was replaced", body = Refusal),
        (status = 422, description = "`invalid_field`", body = Refusal),
    )
)]
async fn refresh(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Refresh>,
) -> Result<Json<LoggedIn>, ApiError> {
    let missing = ApiError::InvalidField { field: "refresh_token", message: "is missing" };
    let token = form.refresh_token.ok_or(missing)?;
    let now = UnixMillis::now();
    let claims = app.tokens.check(&token, Purpose::Refresh, now).ok_or(ApiError::Unauthorized)?;
    let user_id = claims.user_id.parse().map_err(|_| ApiError::Unauthorized)?;
    if !app.store.use_refresh_token(user_id, &claims, &address, now).await? {
        return Err(ApiError::Unauthorized);
    }
    token_pair(&app, user_id, &claims.session_id, claims.generation + 1, "Token refreshed", now)
}

/// Ends the session: none of its tokens is good any more.
#[utoipa::path(
    post,
    path = "/auth/logout",
    tag = "accounts",
    responses((status = 200, description = "Logged out", body = Done))
)]
async fn logout(
    State(app): State<App>,
    caller: Caller,
    address: AddressDigest,
) -> Result<Json<Done>, ApiError> {
    caller.count_request(&app).await?;
    app.store.end_session(caller.user_id, &caller.session_id, &address, UnixMillis::now()).await?;
    Ok(Done::saying("Logged out"))
}

fn token_pair(
    app: &App,
    user_id: i64,
    session_id: &str,
    generation: i64,
    message: &'static str,
    now: UnixMillis,
) -> Result<Json<LoggedIn>, ApiError> {
    let token = |purpose| {
        let claims = Claims::new(user_id, session_id, generation, purpose, now);
        app.tokens.sign(&claims).map_err(ApiError::internal)
    };
    let data = TokenPair {
        access_token: token(Purpose::Access)?,
        refresh_token: token(Purpose::Refresh)?,
        expires_in: policy::ACCESS_TOKEN_SECONDS,
        token_type: "Bearer",
    };
    Ok(Json(LoggedIn { status_code: 200, success: true, message, error: false, data }))
}
