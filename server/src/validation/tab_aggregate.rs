//! The rules for a tab aggregate (the published backend's API form, with the fields that its extension form stores).

use serde::Serialize;

use super::{
    NOT_A_REVISION, Record, extra,
    fields::{FieldError, Fields, required},
    page_visit::rounded,
    web_address,
};
use crate::policy;

/// A tab aggregate that may be stored; the fields are named as the columns. No `Debug`: it is somebody's browsing.
#[derive(Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0002_records.sql")]
pub struct TabAggregate {
    pub id: String,
    pub revision: i64,
    pub page_visit_id: String,
    pub total_time_seconds: f64,
    pub active_time_seconds: f64,
    pub scroll_depth_percent: Option<f64>,
    pub closed_at_ms: Option<i64>,
    pub domain_durations: Option<String>,
    pub page_count: Option<i64>,
    pub current_url: Option<String>,
    pub current_host: Option<String>,
    pub current_domain: Option<String>,
    pub statistics: Option<String>,
    pub extra: Option<String>,
}

impl Record for TabAggregate {
    const RECORD_TYPE: &'static str = "tab_aggregate";
    const ID_NAMES: &'static [&'static str] = &["id"];

    fn check(mut fields: Fields<'_>) -> Result<Self, FieldError> {
        const SECONDS: (f64, f64) = (0.0, policy::MAX_AGGREGATE_SECONDS);
        const NOT_SECONDS: &str = "must be from 0 to 2147483647";
        let f = &mut fields;
        let id = required("id", f.id(Self::ID_NAMES))?;
        let page_visit_id = required("page_visit_id", f.id(&["page_visit_id", "pageVisitId"]))?;
        let total = f.number(&["total_time_seconds", "totalTimeSeconds"], SECONDS, NOT_SECONDS);
        let active = f.number(&["active_time_seconds", "activeTimeSeconds"], SECONDS, NOT_SECONDS);
        let scroll =
            f.number(&["scroll_depth_percent", "scrollDepthPercent"], (0.0, 100.0), "must be from 0 to 100");
        let (current_url, current_host) =
            f.url(&["current_url", "currentUrl"])?.map(|address| (address.url, address.host)).unzip();
        Ok(Self {
            id,
            page_visit_id,
            revision: f.integer(&["revision"], (1, policy::MAX_REVISION), NOT_A_REVISION)?.unwrap_or(1),
            total_time_seconds: rounded(required("total_time_seconds", total)?, 3),
            active_time_seconds: rounded(required("active_time_seconds", active)?, 3),
            scroll_depth_percent: scroll?.map(|percent| rounded(percent, 2)),
            closed_at_ms: f.moment_ms(&["closed_at", "closedAt"])?,
            domain_durations: f.json(&["domain_durations", "domainDurations"])?,
            page_count: f.integer(
                &["page_count", "pageCount"],
                (0, policy::MAX_REVISION),
                "must be from 0 to 9007199254740991",
            )?,
            current_host,
            current_url,
            current_domain: f
                .text(&["current_domain", "currentDomain"])?
                .map(|domain| web_address::normal_domain(&domain)),
            statistics: f.json(&["statistics"])?,
            extra: extra(fields)?,
        })
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> i64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(extra_fields: Value) -> Result<TabAggregate, FieldError> {
        let mut aggregate =
            json!({ "id": "a", "page_visit_id": "1", "total_time_seconds": 245, "active_time_seconds": 210 });
        aggregate.as_object_mut().unwrap().extend(extra_fields.as_object().unwrap().clone());
        TabAggregate::check(serde_json::from_str(&aggregate.to_string()).unwrap())
    }

    #[test]
    fn each_rule_names_its_field() {
        for (fields, name) in [
            (json!({ "id": null }), "id"),
            (json!({ "page_visit_id": null }), "page_visit_id"),
            (json!({ "total_time_seconds": null }), "total_time_seconds"),
            (json!({ "total_time_seconds": -1 }), "total_time_seconds"),
            (json!({ "total_time_seconds": 2_147_483_648_i64 }), "total_time_seconds"),
            (json!({ "active_time_seconds": "1" }), "active_time_seconds"),
            (json!({ "scroll_depth_percent": 100.5 }), "scroll_depth_percent"),
            (json!({ "closed_at": "2025-10-21" }), "closed_at"),
            (json!({ "page_count": -1 }), "page_count"),
            (json!({ "page_count": 1e300 }), "page_count"),
            (json!({ "current_url": "about:blank" }), "current_url"),
            (json!({ "statistics": vec!["x".repeat(1_000); 52] }), "statistics"),
        ] {
            let refused = check(fields.clone()).err().and_then(|error| error.field);
            assert_eq!(refused.as_deref(), Some(name), "{fields}");
        }
    }

    #[test]
    fn an_open_tab_has_no_closing_time() {
        assert_eq!(check(json!({ "closed_at": null })).ok().unwrap().closed_at_ms, None);
    }

    #[test]
    fn what_only_the_extension_form_stored_is_stored_here() {
        let aggregate = check(json!({
            "domain_durations": { "e.com": 5 }, "page_count": 3, "statistics": { "x": 1 },
            "current_url": "https://www.e.com/", "current_domain": "WWW.e.com",
        }))
        .ok()
        .unwrap();
        assert_eq!(aggregate.domain_durations.as_deref(), Some(r#"{"e.com":5}"#));
        assert_eq!((aggregate.page_count, aggregate.current_host.as_deref()), (Some(3), Some("e.com")));
        assert_eq!(aggregate.current_domain.as_deref(), Some("e.com"));
    }
}
