//! Accounts: making, proving, seeing, and changing them.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::forms;
use crate::{
    app::App,
    auth::{AddressDigest, Caller, password},
    error::ApiError,
    mail::Mailer,
    policy,
    store::NewAccount,
    time::UnixMillis,
    wire::Form,
};

/// Routes for whoever comes along.
pub(super) fn open_router() -> Router<App> {
    Router::new()
        .route("/auth/create-account", post(create_account))
        .route("/verify-email", post(verify_email))
        .route("/resend-verification", post(resend_verification))
}

/// Routes for users.
pub(super) fn router() -> Router<App> {
    Router::new().route("/users/me", get(me)).route("/auth/change-password", post(change_password))
}

#[derive(Deserialize)]
struct SignUp {
    email: Option<String>,
    password: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

/// Makes an account that can log in at once; where the server sends mail, as soon as the address is proved.
///
/// The answer is the same if the address has an account already: whoever asks doesn't learn who has one here.
async fn create_account(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<SignUp>,
) -> Result<Json<Value>, ApiError> {
    let email = forms::email(form.email)?;
    let new = NewAccount {
        first_name: forms::name("first_name", form.first_name)?,
        last_name: forms::name("last_name", form.last_name)?,
        password_hash: password::hash(&app.password_slots, forms::new_password("password", form.password)?)
            .await?,
        email,
    };
    let now = UnixMillis::now();
    let message = match &app.mailer {
        None => {
            app.store.create_account(&new, &address, now).await?;
            "If this address had no account, it has one now. Please log in."
        }
        Some(mailer) => {
            limit_messages(&app, &new.email, now).await?;
            if app.store.account_by_email(&new.email).await?.is_some() {
                mailer.send(&new.email, "You have an account already", HAS_ACCOUNT);
            } else {
                let code = new_code()?;
                app.store.await_proof(&new, &code_digest(&app, &new.email, &code), now).await?;
                send_code(mailer, &new.email, &code);
            }
            "Please enter the code that we have sent to this address."
        }
    };
    Ok(Json(json!({ "success": true, "message": message, "data": { "user": { "email": new.email } } })))
}

const HAS_ACCOUNT: &str = "Somebody, probably you, wanted to sign up with this address.\r\n\
    It has an account already: please log in.";

#[derive(Deserialize)]
struct Proof {
    email: Option<String>,
    code: Option<String>,
}

/// Makes the account of a sign-up whose code has arrived.
async fn verify_email(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Proof>,
) -> Result<Json<Value>, ApiError> {
    let email = forms::email(form.email)?;
    let code = form.code.ok_or(ApiError::InvalidField { field: "code", message: "is missing" })?;
    let now = UnixMillis::now();
    let subject = app.tokens.digest(&["verify", &email]);
    let usage = app.store.count_request(&subject, policy::VERIFY_ATTEMPTS, now).await?;
    if usage.is_exceeded() {
        return Err(ApiError::RateLimited { usage, now });
    }
    if !app.store.prove_address(&email, &code_digest(&app, &email, code.trim()), &address, now).await? {
        return Err(ApiError::InvalidField { field: "code", message: "is wrong or has expired" });
    }
    Ok(Json(json!({ "success": true, "message": "The address is verified. Please log in." })))
}

#[derive(Deserialize)]
struct Address {
    email: Option<String>,
}

/// Sends another code. The answer is the same if nobody waits for one.
async fn resend_verification(
    State(app): State<App>,
    Form(form): Form<Address>,
) -> Result<Json<Value>, ApiError> {
    let email = forms::email(form.email)?;
    let now = UnixMillis::now();
    if let Some(mailer) = &app.mailer {
        limit_messages(&app, &email, now).await?;
        let code = new_code()?;
        if app.store.renew_code(&email, &code_digest(&app, &email, &code), now).await? {
            send_code(mailer, &email, &code);
        }
    }
    Ok(Json(
        json!({ "success": true, "message": "If a sign-up waits for a code, we have sent another one." }),
    ))
}

async fn limit_messages(app: &App, email: &str, now: UnixMillis) -> Result<(), ApiError> {
    let subject = app.tokens.digest(&["message", email]);
    let usage = app.store.count_request(&subject, policy::MESSAGES_TO_ADDRESS, now).await?;
    if usage.is_exceeded() { Err(ApiError::RateLimited { usage, now }) } else { Ok(()) }
}

fn send_code(mailer: &Mailer, email: &str, code: &str) {
    mailer.send(email, "Your code", &format!("Your code is {code}. It is good for an hour."));
}

fn code_digest(app: &App, email: &str, code: &str) -> String {
    app.tokens.digest(&["code", email, code])
}

/// Six random digits.
fn new_code() -> Result<String, ApiError> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(ApiError::internal)?;
    Ok(format!("{:06}", u64::from_be_bytes(random) % 1_000_000))
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
            "created_at": account.created_at.to_iso(),
        } },
    })))
}

#[derive(Deserialize)]
struct PasswordChange {
    current_password: Option<String>,
    new_password: Option<String>,
}

/// Sets a new password, and signs out everywhere else.
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    address: AddressDigest,
    Form(form): Form<PasswordChange>,
) -> Result<Json<Value>, ApiError> {
    let current = forms::password("current_password", form.current_password)?;
    let new = forms::new_password("new_password", form.new_password)?;
    let now = UnixMillis::now();
    let account = app.store.account_by_id(caller.user_id).await?.ok_or(ApiError::Unauthorized)?;
    let attempts = app.password_attempts(&account.email);
    attempts.count(now).await?;
    if !password::verify(&app.password_slots, current, Some(account.password_hash)).await? {
        app.store.login_failed(caller.user_id, &address, now).await?;
        return Err(ApiError::InvalidField { field: "current_password", message: "is wrong" });
    }
    attempts.forget().await?;
    let hash = password::hash(&app.password_slots, new).await?;
    app.store.change_password(caller.user_id, &caller.session_id, &hash, &address, now).await?;
    Ok(Json(json!({ "success": true, "message": "The password is changed; other sessions are ended." })))
}
