//! What the answers to successful requests have in common.

use axum::{
    Json,
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{error::ApiError, memory::MemoryShare};

/// A success that carries something.
#[derive(Serialize, ToSchema)]
pub(super) struct Answer<T> {
    #[schema(example = true)]
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    data: T,
}

impl<T> Answer<T> {
    pub(super) fn of(data: T) -> Json<Self> {
        Json(Self { success: true, message: None, data })
    }

    pub(super) fn saying(message: &'static str, data: T) -> Json<Self> {
        Json(Self { success: true, message: Some(message), data })
    }
}

/// A long answer: it holds its share of the memory until it is on the line, however slowly its client reads.
pub(super) fn holding<T: Serialize>(data: T, mut share: MemoryShare) -> Result<Response, ApiError> {
    let Json(answer) = Answer::of(data);
    let text = serde_json::to_vec(&answer).map_err(ApiError::internal)?;
    share.shrink_to(text.len());
    let bytes = Bytes::from_owner(Leaving { text, _share: share });
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

struct Leaving {
    text: Vec<u8>,
    _share: MemoryShare,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// A success that has nothing to carry.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    #[schema(example = true)]
    success: bool,
    message: &'static str,
}

impl Done {
    pub(super) fn saying(message: &'static str) -> Json<Self> {
        Json(Self { success: true, message })
    }
}
