//! Sessions: login, refresh, logout.

use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::forms;
use crate::{
    app::App,
    auth::{
        AddressDigest, Caller, password,
        token::{Claims, Purpose},
    },
    error::ApiError,
    policy,
    time::UnixMillis,
    wire::Form,
};

/// Routes for whoever comes along.
pub(super) fn open_router() -> Router<App> {
    Router::new().route("/auth/login", post(login)).route("/auth/refresh", post(refresh))
}

/// Routes for users.
pub(super) fn router() -> Router<App> {
    Router::new().route("/auth/logout", post(logout))
}

#[derive(Deserialize)]
struct Credentials {
    email: Option<String>,
    password: Option<String>,
}

async fn login(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Credentials>,
) -> Result<Json<Value>, ApiError> {
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
        Some(account) => {
            app.store.login_failed(account.id, &address, now).await?;
            Err(ApiError::BadCredentials)
        }
        None => Err(ApiError::BadCredentials),
    }
}

#[derive(Deserialize)]
struct Refresh {
    #[serde(alias = "refreshToken", alias = "RefreshToken")]
    refresh_token: Option<String>,
}

/// Gives the next pair of tokens for a refresh token.
async fn refresh(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Refresh>,
) -> Result<Json<Value>, ApiError> {
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

async fn logout(
    State(app): State<App>,
    caller: Caller,
    address: AddressDigest,
) -> Result<Json<Value>, ApiError> {
    app.store.end_session(caller.user_id, &caller.session_id, &address, UnixMillis::now()).await?;
    Ok(Json(json!({ "success": true, "message": "Logged out" })))
}

/// The answer to a login, in the words of the published backend.
fn token_pair(
    app: &App,
    user_id: i64,
    session_id: &str,
    generation: i64,
    message: &str,
    now: UnixMillis,
) -> Result<Json<Value>, ApiError> {
    let token = |purpose| {
        let claims = Claims::new(user_id, session_id, generation, purpose, now);
        app.tokens.sign(&claims).map_err(ApiError::internal)
    };
    Ok(Json(json!({
        "statusCode": 200,
        "success": true,
        "message": message,
        "error": false,
        "data": {
            "AccessToken": token(Purpose::Access)?,
            "RefreshToken": token(Purpose::Refresh)?,
            "ExpiresIn": policy::ACCESS_TOKEN_SECONDS,
            "TokenType": "Bearer",
        },
    })))
}
