//! What can go wrong with a request, and the answer that the client gets.
//!
//! What happened inside is logged and never returned; nothing here carries a payload.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::rate_limit::Usage, policy, store::StoreError, time::UnixMillis};

/// A record that is in the way of its batch, and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FailedRecord {
    /// The record's own id; null where it has none that could be read.
    #[schema(required)]
    pub id: Option<String>,
    /// Position in the array that the record came in.
    pub index: usize,
    /// `page_visit` or `tab_aggregate`.
    pub record_type: &'static str,
    /// Name of the first field that breaks a rule; null if the record as a whole does.
    #[schema(required)]
    pub field: Option<String>,
    /// The rule, without the value that broke it.
    pub error: &'static str,
}

/// Every answer that isn't a success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request as a whole can't be understood.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// 400: nothing was stored, because of these records.
    #[error("{} records refused", .0.len())]
    RecordsRefused(Vec<FailedRecord>),
    /// 400: more records than a request may carry.
    #[error("batch of {got} records")]
    BatchTooLarge {
        /// Records in the request.
        got: usize,
        /// Records allowed.
        limit: usize,
    },
    /// 401: no token, or none that is good any more. One answer for all causes.
    #[error("unauthorised")]
    Unauthorized,
    /// 401: e-mail and password don't belong together. Doesn't tell which of the two is wrong.
    #[error("bad credentials")]
    BadCredentials,
    /// 404: no such route.
    #[error("not found")]
    NotFound,
    /// 405: the route exists for another method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// 413: body too long, packed or unpacked.
    #[error("body of more than {limit_bytes} bytes")]
    BodyTooLarge {
        /// Bytes allowed.
        limit_bytes: usize,
    },
    /// 415: a content type or encoding that isn't read here.
    #[error("unsupported media type: {0}")]
    UnsupportedMediaType(&'static str),
    /// 422: a field of a form breaks a rule.
    #[error("field {field}: {message}")]
    InvalidField {
        /// Name of the field.
        field: &'static str,
        /// The rule.
        message: &'static str,
    },
    /// 429: too many requests in this window of time.
    #[error("rate limited")]
    RateLimited {
        /// The window.
        usage: Usage,
        /// The moment of the request.
        now: UnixMillis,
    },
    /// 408: the body took too long to arrive.
    #[error("request timeout")]
    RequestTimeout,
    /// 503: so much is being worked on that there is no memory for more.
    #[error("busy")]
    Busy,
    /// 503: the database is out of reach or overloaded; the same request may succeed later.
    #[error("unavailable")]
    Unavailable(#[source] StoreError),
    /// 500: a defect of the server.
    #[error("internal: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// Wraps a defect of the server.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::RecordsRefused(_) | Self::BatchTooLarge { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized | Self::BadCredentials => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidField { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Stable word for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::RecordsRefused(_) => "records_refused",
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::Unauthorized => "unauthorized",
            Self::BadCredentials => "bad_credentials",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::InvalidField { .. } => "invalid_field",
            Self::RateLimited { .. } => "rate_limited",
            Self::RequestTimeout => "request_timeout",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Sentence for people.
    fn message(&self) -> String {
        match self {
            Self::BadRequest(message) | Self::UnsupportedMediaType(message) => (*message).to_owned(),
            Self::RecordsRefused(failed) => {
                format!("Nothing was saved: {} record(s) break the rules", failed.len())
            }
            Self::BatchTooLarge { got, limit } => {
                format!("Batch size exceeded. Maximum {limit} records of a kind allowed, got {got}")
            }
            Self::Unauthorized => "You need to sign in or sign up before continuing.".to_owned(),
            Self::BadCredentials => "E-mail or password is wrong.".to_owned(),
            Self::NotFound => "There is nothing here.".to_owned(),
            Self::MethodNotAllowed => "This address doesn't take that method.".to_owned(),
            Self::BodyTooLarge { limit_bytes } => format!("The body may have at most {limit_bytes} bytes."),
            Self::InvalidField { field, message } => format!("{field} {message}"),
            Self::RateLimited { .. } => "Too many requests. Please try again later.".to_owned(),
            Self::RequestTimeout => "The body took too long to arrive.".to_owned(),
            Self::Unavailable(_) | Self::Busy => {
                "The server is overloaded. Please try again later.".to_owned()
            }
            Self::Internal(_) => "Something went wrong on the server.".to_owned(),
        }
    }

    fn log(&self) {
        match self {
            Self::Internal(error) => tracing::error!(error = %error, "request failed"),
            Self::Unavailable(error) => tracing::warn!(error = %error, "database unavailable"),
            other => tracing::debug!(code = other.code(), "request refused"),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AccountGone => Self::Unauthorized,
            StoreError::TooManyErasures => Self::InvalidField {
                field: "scope",
                message: "is one too many beside the erasures so far; one that includes them can be made",
            },
            error if error.is_temporary() => Self::Unavailable(error),
            error => Self::internal(error),
        }
    }
}

/// The body of every answer that isn't a success.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    #[schema(example = false)]
    success: bool,
    /// Stable word for programs.
    #[schema(example = "rate_limited")]
    error: &'static str,
    /// Sentence for people.
    message: String,
    /// With `invalid_field`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// With `rate_limited`: seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<i64>,
    /// With `records_refused`: every record that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_records: Option<Vec<FailedRecord>>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let mut headers = HeaderMap::new();
        let mut refusal = Refusal {
            success: false,
            error: self.code(),
            message: self.message(),
            field: None,
            retry_after: None,
            failed_records: None,
        };
        match self {
            Self::RecordsRefused(failed) => refusal.failed_records = Some(failed),
            Self::InvalidField { field, .. } => refusal.field = Some(field),
            Self::RateLimited { usage, now } => {
                refusal.retry_after = Some(usage.seconds_left(now));
                usage.write_refusal(&mut headers, now);
            }
            Self::Unavailable(_) | Self::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(policy::RETRY_AFTER_OVERLOAD_SECONDS));
            }
            Self::Unauthorized | Self::BadCredentials => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        (status, headers, Json(refusal)).into_response()
    }
}
