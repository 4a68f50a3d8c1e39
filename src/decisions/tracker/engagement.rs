//! The engagement with one page visit, as the aggregate record that goes with it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::iso;
use crate::words::time::UnixMillis;

/// The aggregate of one page visit: revision 1 comes with the visit, revision 2 when its tab closes. Where the visit
/// ends because the tab closes, revision 1 has `closed_at` already and is the only one. Serializes to the names of
/// the wire.
#[derive(Clone, PartialEq, Serialize)]
pub struct AggregateDraft {
    /// UUID v7.
    pub id: String,
    /// The visit that this is about.
    pub page_visit_id: String,
    /// The visit's duration in seconds.
    pub total_time_seconds: i64,
    /// The visit's active time in seconds, at most the total.
    pub active_time_seconds: i64,
    /// The deepest point that the page was scrolled to, in percent; absent if nothing was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scroll_depth_percent: Option<f64>,
    /// When the tab was closed; null while it is open.
    #[serde(serialize_with = "iso::serialize_option")]
    pub closed_at: Option<UnixMillis>,
    /// Seconds of visits in this tab until now, by domain.
    pub domain_durations: BTreeMap<String, i64>,
    /// Pages shown in this tab until now; coming back to the same page is not another one.
    pub page_count: u32,
    /// The page of the tab's last visit.
    pub current_url: Option<String>,
    /// The domain of the tab's last visit.
    pub current_domain: Option<String>,
    /// 1 or 2.
    pub revision: u32,
}

/// What must be remembered of an aggregate until its tab closes: id, visit, total and active seconds, scroll depth.
/// The rest of revision 2 is the tab's, and kept there once.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenAggregate(pub String, pub String, pub i64, pub i64, pub Option<f64>);

// An aggregate names pages; nothing of them may reach a log (rule 11).
impl fmt::Debug for AggregateDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateDraft")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
