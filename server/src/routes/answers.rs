//! What the answers to successful requests have in common.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

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
