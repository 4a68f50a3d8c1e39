//! Bodies: content type, encoding, length.

use std::{io::Read, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{app::App, auth::Caller, error::ApiError, memory::MemoryShare, policy, validation::object};

/// The body of a request that carries records: JSON text, unpacked, at most [`policy::MAX_BODY_BYTES`], with its share of
/// the memory.
pub struct RecordBody {
    text: Bytes,
    share: MemoryShare,
}

impl RecordBody {
    /// Bytes of the text.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Works on the text, off the threads that serve requests. The share stays with the work until it is done, also
    /// when the client has left, and then with what came out of it.
    pub async fn judge<T: Send + 'static>(
        self,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<(T, MemoryShare), ApiError> {
        spawn_blocking(move || {
            let Self { text, share } = self;
            (work(&text), share)
        })
        .await
        .map_err(ApiError::internal)
    }
}

impl FromRequest<App> for RecordBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let packed = is_packed(request.headers())?;
        let caller = request.extensions().get::<Caller>().ok_or(ApiError::Unauthorized)?;
        let mut share = app.memory.arrival(caller.user_id, length(request.headers())?).await?;
        let text = read(request.into_body(), policy::MAX_BODY_BYTES).await?;
        app.memory.work(&mut share).await?;
        let body = Self { text, share };
        if !packed {
            return Ok(body);
        }
        let (text, share) = body.judge(|packed| inflate(packed, policy::MAX_BODY_BYTES)).await?;
        Ok(Self { text: text?.into(), share })
    }
}

/// As announced, or as long as may be.
fn length(headers: &HeaderMap) -> Result<usize, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    let bytes = announced.unwrap_or(policy::MAX_BODY_BYTES);
    if bytes > policy::MAX_BODY_BYTES {
        return Err(ApiError::BodyTooLarge { limit_bytes: policy::MAX_BODY_BYTES });
    }
    Ok(bytes)
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
    use crate::memory::MemoryBudget;

    #[tokio::test]
    async fn the_memory_of_a_client_that_leaves_is_free_when_the_work_is_done() {
        let budget = MemoryBudget::new();
        let all_of_user = || budget.arrival(1, policy::MAX_BODY_BYTES_OF_USER);
        let body = RecordBody { text: Bytes::new(), share: all_of_user().await.ok().unwrap() };
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let leaving = tokio::spawn(body.judge(move |_| {
            begin.send(()).unwrap();
            let _ = ended.recv();
        }));
        begun.await.unwrap();
        leaving.abort();
        assert!(leaving.await.is_err());
        assert!(timeout(Duration::ZERO, all_of_user()).await.is_err());
        drop(end);
        assert!(all_of_user().await.is_ok());
    }

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
