//! The rules for a page visit.

use serde::Serialize;
use serde_json::Value;

use super::{
    NOT_A_REVISION, Record, clamp_chars, extra,
    fields::{FieldError, Fields, is_plain, required, value},
    web_address::{self, WebAddress},
};
use crate::policy;

/// What a visit may be filed under, as the published backend has it.
pub const CATEGORIES: &[&str] = &[
    "work_coding",
    "work_code_review",
    "work_communication",
    "work_documentation",
    "learning_video",
    "learning_reading",
    "entertainment_video",
    "entertainment_browsing",
    "entertainment_short_form",
    "social_media",
    "news",
    "shopping",
    "reference",
    "unclassified",
];

/// A page visit that may be stored; the fields are named as the columns. No `Debug`: it is somebody's browsing.
#[derive(Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0002_records.sql")]
pub struct PageVisit {
    pub id: String,
    pub revision: i64,
    pub url: String,
    pub host: String,
    pub title: Option<String>,
    pub visited_at_ms: i64,
    pub opened_at_ms: Option<i64>,
    pub source_page_visit_id: Option<String>,
    pub tab_id: Option<i64>,
    pub domain: Option<String>,
    pub duration_seconds: Option<f64>,
    pub active_duration_seconds: f64,
    pub engagement_rate: Option<f64>,
    pub idle_periods: Option<String>,
    pub last_heartbeat_ms: Option<i64>,
    pub anonymous_client_id: Option<String>,
    pub category: Option<String>,
    pub category_confidence: Option<f64>,
    pub category_method: Option<String>,
    pub metadata: String,
    pub extra: Option<String>,
}

impl Record for PageVisit {
    const RECORD_TYPE: &'static str = "page_visit";
    const ID_NAMES: &'static [&'static str] = &["id", "visitId"];

    fn check(mut fields: Fields<'_>) -> Result<Self, FieldError> {
        const UNIT: (f64, f64) = (0.0, 1.0);
        const ANY_DURATION: (f64, f64) = (0.0, f64::MAX);
        let f = &mut fields;
        let id = required("id", f.id(Self::ID_NAMES))?;
        let WebAddress { url, host } = required("url", f.url(&["url"]))?;
        let duration =
            f.number(&["durationSeconds", "duration_seconds"], ANY_DURATION, "must not be negative")?;
        // This one travels in milliseconds.
        let active_ms = f.number(&["activeDuration"], ANY_DURATION, "must not be negative")?;
        Ok(Self {
            id,
            host,
            url: web_address::without_tracking(url),
            revision: f.integer(&["revision"], (1, policy::MAX_REVISION), NOT_A_REVISION)?.unwrap_or(1),
            title: f.text(&["title"])?.map(clean_title),
            visited_at_ms: required("visited_at", f.moment_ms(&["visited_at", "startedAt"]))?,
            opened_at_ms: f.moment_ms(&["opened_at", "openedAt"])?,
            source_page_visit_id: f.id(&["source_page_visit_id", "sourcePageVisitId"])?,
            tab_id: f.integer(&["tabId"], (i32::MIN.into(), i32::MAX.into()), "must fit in 32 bits")?,
            domain: f.text(&["domain"])?.map(|domain| web_address::normal_domain(&domain)),
            duration_seconds: duration.map(|seconds| rounded(seconds.min(policy::MAX_VISIT_SECONDS), 2)),
            active_duration_seconds: rounded(
                (active_ms.unwrap_or(0.0) / 1_000.0).min(policy::MAX_VISIT_SECONDS),
                3,
            ),
            engagement_rate: f
                .number(&["engagementRate", "engagement_rate"], UNIT, "must be from 0 to 1")?
                .map(|rate| rounded(rate, 4)),
            idle_periods: f.json(&["idlePeriods", "idle_periods"])?,
            last_heartbeat_ms: f.moment_ms(&["lastHeartbeat", "last_heartbeat"])?,
            anonymous_client_id: f.label(&["anonymousClientId", "anonymous_client_id"])?,
            category: f.word(&["category"], CATEGORIES, "isn't one of the known categories")?,
            category_confidence: f.number(&["categoryConfidence"], UNIT, "must be from 0 to 1")?,
            category_method: f.label(&["categoryMethod"])?,
            metadata: metadata(f)?,
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

/// So many digits after the point.
pub(super) fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

fn clean_title(title: String) -> String {
    let mut clean: String = title.trim().chars().filter(|c| !c.is_control()).collect();
    clamp_chars(&mut clean, policy::MAX_TITLE_CHARS);
    clean
}

/// Metadata comes from web pages: what isn't an object is dropped, long strings are cut, the rest must fit.
fn metadata(fields: &mut Fields<'_>) -> Result<String, FieldError> {
    let Some((name, raw)) = fields.any(&["metadata"]) else { return Ok("{}".to_owned()) };
    let text = raw.get();
    // Most has nothing to be cut: no string is longer than the whole, and what is harmful isn't named in it.
    let is_harmless = |text: &str| !text.contains("proto") && !text.contains("constructor");
    if text.starts_with('{')
        && text.len() <= policy::MAX_METADATA_STRING_CHARS
        && is_plain(raw)
        && is_harmless(text)
    {
        return Ok(text.to_owned());
    }
    let Value::Object(mut map) = value(raw).map_err(|error| FieldError::new(name, error))? else {
        return Ok("{}".to_owned());
    };
    for harmful in ["__proto__", "constructor", "prototype"] {
        map.remove(harmful);
    }
    let mut metadata = Value::Object(map);
    clamp_strings(&mut metadata);
    let text = metadata.to_string();
    if text.len() > policy::MAX_JSON_FIELD_BYTES {
        return Err(FieldError::new(name, "is larger than 51200 bytes of JSON"));
    }
    Ok(text)
}

fn clamp_strings(value: &mut Value) {
    match value {
        Value::String(text) => {
            let bytes = text.len();
            clamp_chars(text, policy::MAX_METADATA_STRING_CHARS);
            if text.len() < bytes {
                text.push_str("...");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(clamp_strings),
        Value::Object(fields) => fields.values_mut().for_each(clamp_strings),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(extra_fields: Value) -> Result<PageVisit, FieldError> {
        let mut visit = json!({ "id": "1", "url": "https://e.com/", "visited_at": 1_761_040_000_000_i64 });
        visit.as_object_mut().unwrap().extend(extra_fields.as_object().unwrap().clone());
        PageVisit::check(serde_json::from_str(&visit.to_string()).unwrap())
    }

    fn refused_field(extra_fields: Value) -> Option<String> {
        check(extra_fields).err().and_then(|error| error.field)
    }

    #[test]
    fn active_duration_travels_in_ms_and_is_kept_in_seconds() {
        assert_eq!(check(json!({ "activeDuration": 150_500 })).ok().unwrap().active_duration_seconds, 150.5);
    }

    #[test]
    fn a_visit_is_at_most_a_day_long() {
        assert_eq!(check(json!({ "durationSeconds": 1e9 })).ok().unwrap().duration_seconds, Some(86_400.0));
    }

    #[test]
    fn each_rule_names_its_field() {
        for (fields, name) in [
            (json!({ "url": "ftp://e.com/" }), "url"),
            (json!({ "id": " " }), "id"),
            (json!({ "id": "i".repeat(256) }), "id"),
            (json!({ "visited_at": "yesterday" }), "visited_at"),
            (json!({ "durationSeconds": -1 }), "durationSeconds"),
            (json!({ "durationSeconds": "12" }), "durationSeconds"),
            (json!({ "activeDuration": "12" }), "activeDuration"),
            (json!({ "engagementRate": 1.01 }), "engagementRate"),
            (json!({ "tabId": 2_147_483_648_i64 }), "tabId"),
            (json!({ "tabId": "7" }), "tabId"),
            (json!({ "category": "sports" }), "category"),
            (json!({ "categoryConfidence": 2 }), "categoryConfidence"),
            (json!({ "revision": 0 }), "revision"),
            (json!({ "revision": 1.5 }), "revision"),
            (json!({ "title": 7 }), "title"),
            (json!({ "source_page_visit_id": [] }), "source_page_visit_id"),
            (json!({ "metadata": { "a": vec!["x".repeat(1_000); 52] } }), "metadata"),
        ] {
            assert_eq!(refused_field(fields.clone()).as_deref(), Some(name), "{fields}");
        }
    }

    #[test]
    fn a_required_field_that_is_null_is_missing() {
        for name in ["id", "url", "visited_at"] {
            let mut fields = serde_json::Map::new();
            fields.insert(name.to_owned(), Value::Null);
            assert_eq!(refused_field(Value::Object(fields)).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_nobody_knows_is_kept() {
        let visit = check(json!({ "mood": { "a": [1, "x"] }, "endedAt": 5 })).ok().unwrap();
        let extra: Value = serde_json::from_str(&visit.extra.unwrap()).unwrap();
        assert_eq!(extra, json!({ "mood": { "a": [1, "x"] }, "endedAt": 5 }));
    }

    #[test]
    fn titles_and_metadata_are_cut_to_size() {
        let visit = check(
            json!({ "title": format!(" a\u{7}{}", "é".repeat(600)), "metadata": { "d": "x".repeat(2_001) } }),
        )
        .ok()
        .unwrap();
        assert_eq!(visit.title.map(|title| title.chars().count()), Some(policy::MAX_TITLE_CHARS));
        assert_eq!(visit.metadata, json!({ "d": format!("{}...", "x".repeat(2_000)) }).to_string());
    }

    #[test]
    fn metadata_that_is_no_object_is_empty() {
        assert_eq!(check(json!({ "metadata": "text" })).ok().unwrap().metadata, "{}");
    }
}
