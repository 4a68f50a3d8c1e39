//! Bodies: content type, encoding, length, and the memory that all of them may take together.

use std::{io::Read, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{app::App, error::ApiError, policy, validation::object};

const KIB: usize = 1024;

/// Bounds what bodies take of the memory, however many requests there are at a time.
#[derive(Clone)]
pub struct BodyBudget {
    kibibytes: Arc<Semaphore>,
    inflations: Arc<Semaphore>,
}

impl BodyBudget {
    /// The budget of one server.
    pub fn new() -> Self {
        Self {
            kibibytes: Arc::new(Semaphore::new(policy::MAX_BODY_BYTES_IN_FLIGHT / KIB)),
            inflations: Arc::new(Semaphore::new(policy::MAX_PARALLEL_INFLATIONS)),
        }
    }

    /// Room for a body, announced or as long as may be.
    async fn reserve(&self, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, ApiError> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        let bytes = announced.unwrap_or(policy::MAX_BODY_BYTES);
        if bytes > policy::MAX_BODY_BYTES {
            return Err(ApiError::BodyTooLarge { limit_bytes: policy::MAX_BODY_BYTES });
        }
        acquire(&self.kibibytes, bytes / KIB + 1).await
    }
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new()
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let permits = u32::try_from(permits).map_err(ApiError::internal)?;
    let wait = Duration::from_secs(policy::BODY_WAIT_SECONDS);
    match timeout(wait, Arc::clone(semaphore).acquire_many_owned(permits)).await {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => Err(ApiError::Busy),
    }
}

/// The body of a request that carries records: JSON text, unpacked, at most [`policy::MAX_BODY_BYTES`]. Keeps its
/// share of the memory budget until it is dropped.
pub struct RecordBody {
    /// The text.
    pub text: Bytes,
    _shares: [Option<OwnedSemaphorePermit>; 2],
}

impl FromRequest<App> for RecordBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let packed = is_packed(request.headers())?;
        let share = app.body_budget.reserve(request.headers()).await?;
        let body = read(request.into_body(), policy::MAX_BODY_BYTES).await?;
        if !packed {
            return Ok(Self { text: body, _shares: [Some(share), None] });
        }
        let inflation = acquire(&app.body_budget.inflations, 1).await?;
        let text = tokio::task::spawn_blocking(move || inflate(&body, policy::MAX_BODY_BYTES))
            .await
            .map_err(ApiError::internal)??;
        Ok(Self { text: text.into(), _shares: [Some(share), Some(inflation)] })
    }
}

/// A small JSON object, such as a sign-in form.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let body = read(request.into_body(), policy::MAX_SMALL_BODY_BYTES).await?;
        object(&body)
            .map(Self)
            .ok_or(ApiError::BadRequest("The body must be a JSON object with the fields of this form."))
    }
}

/// Whether the body is packed. Names of encodings are case-insensitive (RFC 9110, 8.4.1).
fn is_packed(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii())
    else {
        return Ok(false);
    };
    let is = |name: &str| encoding.eq_ignore_ascii_case(name.as_bytes());
    if is("gzip") || is("x-gzip") {
        Ok(true)
    } else if is("identity") || encoding.is_empty() {
        Ok(false)
    } else {
        Err(ApiError::UnsupportedMediaType("The only content encoding read here is gzip."))
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType("The content type must be application/json.")),
    }
}

/// Reads the body, in bounds of length and time.
async fn read(body: Body, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let whole = timeout(Duration::from_secs(policy::BODY_SECONDS), Limited::new(body, limit_bytes).collect());
    match whole.await.map_err(|_| ApiError::RequestTimeout)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge { limit_bytes }),
        Err(_) => Err(ApiError::BadRequest("The body didn't arrive whole.")),
    }
}

/// Unpacks gzip, and stops as soon as more than `limit_bytes` come out.
fn inflate(packed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut unpacked = Vec::with_capacity(limit_bytes.min(packed.len().saturating_mul(6)));
    let more_than_allowed = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(more_than_allowed)
        .read_to_end(&mut unpacked)
        .map_err(|_| ApiError::BadRequest("The body isn't valid gzip."))?;
    if unpacked.len() > limit_bytes { Err(ApiError::BodyTooLarge { limit_bytes }) } else { Ok(unpacked) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_body_is_unpacked_up_to_the_limit() {
        assert_eq!(inflate(&gzip(b"0123456789"), 10).unwrap(), b"0123456789");
    }

    #[test]
    fn one_byte_above_the_limit_is_refused() {
        assert!(matches!(inflate(&gzip(b"0123456789"), 9), Err(ApiError::BodyTooLarge { limit_bytes: 9 })));
    }

    #[test]
    fn a_body_that_is_cut_off_is_a_bad_request() {
        let packed = gzip(b"0123456789");
        assert!(matches!(inflate(&packed[..packed.len() - 9], 10), Err(ApiError::BadRequest(_))));
    }
}
