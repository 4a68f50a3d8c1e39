//! Accounts and sessions.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    app::App,
    auth::{
        Caller, password,
        token::{Claims, Purpose},
    },
    error::ApiError,
    policy,
    store::NewAccount,
    time::UnixMillis,
    wire::Form,
};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/auth/create-account", post(create_account))
        .route("/auth/login", post(login))
        .route("/users/me", get(me))
}

#[derive(Deserialize)]
struct SignUp {
    email: Option<String>,
    password: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

/// Makes an account that can log in at once. The answer is the same if the address has one already: whoever asks
/// doesn't learn who has an account here.
async fn create_account(State(app): State<App>, form: Form<SignUp>) -> Result<Json<Value>, ApiError> {
    let Form(form) = form;
    let email = email(form.email)?;
    let password = new_password("password", form.password)?;
    let new = NewAccount {
        password_hash: password::hash(&app.password_slots, password).await?,
        first_name: name("first_name", form.first_name)?,
        last_name: name("last_name", form.last_name)?,
        email,
    };
    app.store.create_account(&new, UnixMillis::now()).await?;
    Ok(Json(json!({
        "success": true,
        "message": "If this address had no account, it has one now. Please log in.",
        "data": { "user": { "email": new.email } },
    })))
}

#[derive(Deserialize)]
struct Credentials {
    email: Option<String>,
    password: Option<String>,
}

async fn login(State(app): State<App>, form: Form<Credentials>) -> Result<Json<Value>, ApiError> {
    let Form(form) = form;
    let email = email(form.email)?;
    let given = form.password.ok_or(ApiError::InvalidField { field: "password", message: "is missing" })?;
    let account = app.store.account_by_email(&email).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = password::verify(&app.password_slots, given, hash).await?;
    let account = account.filter(|_| matches).ok_or(ApiError::BadCredentials)?;

    let now = UnixMillis::now();
    let session_id = uuid::Uuid::now_v7().to_string();
    app.store.open_session(account.id, &session_id, now, now.plus_seconds(policy::SESSION_SECONDS)).await?;
    let token = |purpose| {
        app.tokens.sign(&Claims::new(account.id, &session_id, 1, purpose, now)).map_err(ApiError::internal)
    };
    Ok(Json(json!({
        "statusCode": 200,
        "success": true,
        "message": "Login successful",
        "error": false,
        "data": {
            "AccessToken": token(Purpose::Access)?,
            "RefreshToken": token(Purpose::Refresh)?,
            "ExpiresIn": policy::ACCESS_TOKEN_SECONDS,
            "TokenType": "Bearer",
        },
    })))
}

async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let account = app.store.account_by_id(caller.user_id).await?.ok_or(ApiError::Unauthorized)?;
    Ok(Json(json!({
        "success": true,
        "data": { "user": {
            "id": account.id.to_string(),
            "email": account.email,
            "first_name": account.first_name,
            "last_name": account.last_name,
            "isVerified": account.verified_at.is_some(),
        } },
    })))
}

/// An address in lower case. Whether it exists is for a message to find out, not for a pattern.
fn email(given: Option<String>) -> Result<String, ApiError> {
    let refuse = |message| ApiError::InvalidField { field: "email", message };
    let email = given.ok_or(refuse("is missing"))?.trim().to_lowercase();
    let plausible = email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    if !plausible || email.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("isn't an e-mail address"));
    }
    if email.chars().count() > policy::MAX_EMAIL_CHARS { Err(refuse("is too long")) } else { Ok(email) }
}

fn new_password(field: &'static str, given: Option<String>) -> Result<String, ApiError> {
    let refuse = |message| ApiError::InvalidField { field, message };
    let password = given.ok_or(refuse("is missing"))?;
    if password.chars().count() < policy::MIN_PASSWORD_CHARS {
        return Err(refuse("must have at least 8 characters"));
    }
    if password.len() > policy::MAX_PASSWORD_BYTES {
        Err(refuse("may have at most 72 bytes"))
    } else {
        Ok(password)
    }
}

fn name(field: &'static str, given: Option<String>) -> Result<Option<String>, ApiError> {
    match given {
        Some(name) if name.contains('\0') => Err(ApiError::InvalidField { field, message: "contains a NUL" }),
        Some(name) if name.chars().count() > policy::MAX_NAME_CHARS => {
            Err(ApiError::InvalidField { field, message: "is too long" })
        }
        given => Ok(given),
    }
}
