//! One HTTP exchange.

use std::pin::Pin;

use crate::decisions::protocol::Answer;
use crate::decisions::verdict::NoAnswer;
use crate::words::time::Millis;

/// What is posted.
pub enum Payload<B> {
    /// A batch: the records' bodies, to be framed by the envelope of `protocol`.
    Batch {
        /// Bodies of page visits.
        page_visits: Vec<B>,
        /// Bodies of tab aggregates.
        tab_aggregates: Vec<B>,
    },
    /// A JSON text.
    Json(String),
}

/// A `POST`.
pub struct Request<B> {
    /// Where to.
    pub url: String,
    /// The bearer token, if one is to be shown.
    pub bearer: Option<String>,
    /// The `Idempotency-Key`: the same for the same content.
    pub idempotency_key: Option<String>,
    /// The body.
    pub payload: Payload<B>,
    /// When to give up; the exchange is aborted then.
    pub timeout: Millis,
}

/// An exchange that is under way. Boxed, as `store::Pending` is.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Answer, NoAnswer>> + 'a>>;

/// Sends requests.
///
/// An implementation sends no cookies and follows no redirect, aborts at the time-out, and reads at most
/// `policy::MAX_ANSWER_BYTES` of the answer. A request that failed may have arrived all the same.
pub trait Transport<B> {
    /// Posts, and brings the answer or the reason why there is none.
    fn post(&self, request: Request<B>) -> Exchange<'_>;
}
