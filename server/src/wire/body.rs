//! Bodies: content type, encoding, length.

use std::io::Read;

use axum::{
    RequestExt,
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, header},
};
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

use crate::{error::ApiError, policy};

/// The body of a request that carries records: JSON text, unpacked, at most [`policy::MAX_BODY_BYTES`].
pub struct RecordBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RecordBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let packed = match request.headers().get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"identity") => false,
            Some(b"gzip" | b"x-gzip") => true,
            Some(_) => {
                return Err(ApiError::UnsupportedMediaType("The only content encoding read here is gzip."));
            }
        };
        let body = read(request).await?;
        Ok(Self(if packed { inflate(&body, policy::MAX_BODY_BYTES)?.into() } else { body }))
    }
}

/// A small JSON object, such as a sign-in form.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let body = read(request).await?;
        if body.len() > policy::MAX_SMALL_BODY_BYTES {
            return Err(ApiError::BodyTooLarge);
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|_| ApiError::BadRequest("The body must be a JSON object with the fields of this form."))
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

/// Reads the body up to the limit that the router has set.
async fn read(request: Request) -> Result<Bytes, ApiError> {
    request.extract::<Bytes, _>().await.map_err(|rejection: BytesRejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            ApiError::BodyTooLarge
        } else {
            ApiError::BadRequest("The body didn't arrive whole.")
        }
    })
}

/// Unpacks gzip, and stops as soon as more than `limit_bytes` come out.
fn inflate(packed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut unpacked = Vec::with_capacity(limit_bytes.min(packed.len().saturating_mul(6)));
    let more_than_allowed = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(more_than_allowed)
        .read_to_end(&mut unpacked)
        .map_err(|_| ApiError::BadRequest("The body isn't valid gzip."))?;
    if unpacked.len() > limit_bytes { Err(ApiError::BodyTooLarge) } else { Ok(unpacked) }
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
        assert!(matches!(inflate(&gzip(b"0123456789"), 9), Err(ApiError::BodyTooLarge)));
    }

    #[test]
    fn a_body_that_is_cut_off_is_a_bad_request() {
        let packed = gzip(b"0123456789");
        assert!(matches!(inflate(&packed[..packed.len() - 9], 10), Err(ApiError::BadRequest(_))));
    }
}
