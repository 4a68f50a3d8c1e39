//! One HTTP exchange.

use std::pin::Pin;

use crate::decisions::protocol::Answer;
use crate::decisions::verdict::NoAnswer;
use crate::words::time::Millis;

/// What is sent.
pub enum Payload<B> {
    /// Nothing: the request is a `GET`.
    Nothing,
    /// A batch: the records' bodies, to be framed by the envelope of `protocol`.
    Batch {
        /// Bodies of page visits.
        page_visits: Vec<B>,
        /// Bodies of tab aggregates.
        tab_aggregates: Vec<B>,
    },
    /// A batch that [`Transport::compress`] has packed.
    Gzip(Vec<u8>),
    /// A JSON text.
    Json(String),
}

/// A `POST`, or a `GET` where there is no payload.
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

/// A body that is being compressed.
pub type Packing<'a> = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + 'a>>;

/// Sends requests.
///
/// An implementation sends no cookies and follows no redirect, aborts at the time-out, and reads at most
/// `policy::MAX_ANSWER_BYTES` of the answer. A request that failed may have arrived all the same.
pub trait Transport<B> {
    /// Sends, and brings the answer or the reason why there is none.
    fn send(&self, request: Request<B>) -> Exchange<'_>;

    /// The body of a payload as gzip (RFC 1952); none where this machine can't do that.
    fn compress(&self, payload: Payload<B>) -> Packing<'_>;
}
