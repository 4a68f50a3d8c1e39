//! Accounts: making, proving, seeing, and changing them.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answers::{Answer, Done},
    forms,
};
use crate::{
    app::App,
    auth::{AddressDigest, Caller, password},
    error::{ApiError, Refusal},
    mail::Mailer,
    policy,
    store::NewAccount,
    time::UnixMillis,
    wire::Form,
};

/// Routes for whoever comes along.
pub(super) fn open_router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_account))
        .routes(routes!(verify_email))
        .routes(routes!(resend_verification))
}

/// Routes for users.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(change_password))
}

#[derive(Deserialize, ToSchema)]
struct SignUp {
    #[schema(required, nullable = false, max_length = 254, format = Email)]
    email: Option<String>,
    /// At most 72 bytes.
    #[schema(required, nullable = false, min_length = 8, max_length = 72, format = Password)]
    password: Option<String>,
    #[schema(max_length = 100)]
    first_name: Option<String>,
    #[schema(max_length = 100)]
    last_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SignedUp {
    user: SignedUpUser,
}

#[derive(Serialize, ToSchema)]
struct SignedUpUser {
    /// In lower case.
    email: String,
}

/// Makes an account that can log in at once; where the server sends mail, as soon as the address is proved.
///
/// The answer is the same if the address has an account already: whoever asks doesn't learn who has one here.
#[utoipa::path(
    post,
    path = "/auth/create-account",
    tag = "accounts",
    request_body = SignUp,
    responses(
        (status = 200, description = "What to do next, for a new address and for a known one", body = Answer<SignedUp>),
        (status = 422, description = "`invalid_field`", body = Refusal),
    )
)]
async fn create_account(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<SignUp>,
) -> Result<Json<Answer<SignedUp>>, ApiError> {
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
            let code = new_code()?;
            if app.store.await_proof(&new, &code_digest(&app, &new.email, &code), now).await? {
                send_code(mailer, &new.email, &code);
            } else {
                mailer.send(&new.email, "You have an account already", HAS_ACCOUNT);
            }
            "Please enter the code that we have sent to this address."
        }
    };
    Ok(Answer::saying(message, SignedUp { user: SignedUpUser { email: new.email } }))
}

const HAS_ACCOUNT: &str = "Somebody, probably you, wanted to sign up with this address.\r\n\
    It has an account already: please log in.";

#[derive(Deserialize, ToSchema)]
struct Proof {
    #[schema(required, nullable = false, max_length = 254, format = Email)]
    email: Option<String>,
    /// The six digits that were sent.
    #[schema(required, nullable = false)]
    code: Option<String>,
}

/// Makes the account of a sign-up whose code has arrived.
#[utoipa::path(
    post,
    path = "/verify-email",
    tag = "accounts",
    request_body = Proof,
    responses(
        (status = 200, description = "The account is there", body = Done),
        (status = 422, description = "`invalid_field`: the code is wrong or old, or the form is", body = Refusal),
    )
)]
async fn verify_email(
    State(app): State<App>,
    address: AddressDigest,
    Form(form): Form<Proof>,
) -> Result<Json<Done>, ApiError> {
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
    Ok(Done::saying("The address is verified. Please log in."))
}

#[derive(Deserialize, ToSchema)]
struct Address {
    #[schema(required, nullable = false, max_length = 254, format = Email)]
    email: Option<String>,
}

/// Sends another code. The answer is the same if nobody waits for one.
#[utoipa::path(
    post,
    path = "/resend-verification",
    tag = "accounts",
    request_body = Address,
    responses(
        (status = 200, description = "Sent, if a sign-up waits for one", body = Done),
        (status = 422, description = "`invalid_field`", body = Refusal),
    )
)]
async fn resend_verification(
    State(app): State<App>,
    Form(form): Form<Address>,
) -> Result<Json<Done>, ApiError> {
    let email = forms::email(form.email)?;
    let now = UnixMillis::now();
    if let Some(mailer) = &app.mailer {
        limit_messages(&app, &email, now).await?;
        let code = new_code()?;
        if app.store.renew_code(&email, &code_digest(&app, &email, &code), now).await? {
            send_code(mailer, &email, &code);
        }
    }
    Ok(Done::saying("If a sign-up waits for a code, we have sent another one."))
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

#[derive(Serialize, ToSchema)]
struct Me {
    user: User,
}

#[derive(Serialize, ToSchema)]
struct User {
    /// Stays the same for the life of the account.
    id: String,
    email: String,
    #[schema(required)]
    first_name: Option<String>,
    #[schema(required)]
    last_name: Option<String>,
    #[serde(rename = "isVerified")]
    is_verified: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

/// The account that the token belongs to.
#[utoipa::path(
    get,
    path = "/users/me",
    tag = "accounts",
    responses((status = 200, description = "The account", body = Answer<Me>))
)]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Answer<Me>>, ApiError> {
    caller.count_request(&app).await?;
    let account = app.store.account_by_id(caller.user_id).await?.ok_or(ApiError::Unauthorized)?;
    let user = User {
        id: account.id.to_string(),
        email: account.email,
        first_name: account.first_name,
        last_name: account.last_name,
        is_verified: account.verified_at.is_some(),
        created_at: account.created_at.to_iso(),
    };
    Ok(Answer::of(Me { user }))
}

#[derive(Deserialize, ToSchema)]
struct PasswordChange {
    #[schema(required, nullable = false, max_length = 72)]
    current_password: Option<String>,
    /// At most 72 bytes.
    #[schema(required, nullable = false, min_length = 8, max_length = 72, format = Password)]
    new_password: Option<String>,
}

/// Sets a new password, and signs out everywhere else.
#[utoipa::path(
    post,
    path = "/auth/change-password",
    tag = "accounts",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "Changed", body = Done),
        (status = 422, description = "`invalid_field`: the current password is wrong, or the form is", body = Refusal),
    )
)]
async fn change_password(
    State(app): State<App>,
    caller: Caller,
    address: AddressDigest,
    form: Result<Form<PasswordChange>, ApiError>,
) -> Result<Json<Done>, ApiError> {
    caller.count_request(&app).await?;
    let Form(form) = form?;
    let current = forms::password("current_password", form.current_password)?;
    let new = forms::new_password("new_password", form.new_password)?;
    let now = UnixMillis::now();
    let account = app.store.account_by_id(caller.user_id).await?.ok_or(ApiError::Unauthorized)?;
    let attempts = app.password_attempts(&account.email);
    attempts.count(now).await?;
    if !password::verify(&app.password_slots, current, Some(account.password_hash)).await? {
        app.store.login_failed(Some(caller.user_id), &address, now).await?;
        return Err(ApiError::InvalidField { field: "current_password", message: "is wrong" });
    }
    attempts.forget().await?;
    let hash = password::hash(&app.password_slots, new).await?;
    app.store.change_password(caller.user_id, &caller.session_id, &hash, &address, now).await?;
    Ok(Done::saying("The password is changed; other sessions are ended."))
}
