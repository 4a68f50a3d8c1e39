//! The shapes on the wire: the request's envelope, and what an answer says; both the reference server's counts and those
//! of the published HeyHo backend are read.

use serde_json::{Map, Value};

use crate::words::kind::{Kind, PerKind};
use crate::words::number;

/// Begins a request's body, before the page visits.
pub const BODY_HEAD: &str = "{\"pageVisits\":[";
/// Stands between the page visits and the tab aggregates.
pub const BODY_MIDDLE: &str = "],\"tabAggregates\":[";
/// Ends a request's body.
pub const BODY_TAIL: &str = "]}";
/// Bytes of a body without any record.
pub const EMPTY_BODY_BYTES: usize = BODY_HEAD.len() + BODY_MIDDLE.len() + BODY_TAIL.len();

/// An HTTP answer, as far as the core looks at it.
#[derive(Clone, Default)]
pub struct Answer {
    /// The status code; 0 for a redirect that was not followed.
    pub status: u16,
    /// Whether the answer is a redirect or came from one.
    pub redirected: bool,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `X-RateLimit-Reset` header.
    pub rate_limit_reset: Option<String>,
    /// The `Date` header.
    pub date: Option<String>,
    /// The body; at most `MAX_ANSWER_BYTES` of it are read.
    pub body: String,
    /// Whether the body was longer than what was read.
    pub cut_off: bool,
}

// A body may repeat what was sent.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What an answer's body says of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    /// It says that something failed: truthy `error`, non-empty `errors`, `success` or `ok` that isn't truthy.
    pub denies: bool,
    /// Its counts, if it gives any.
    pub counts: Option<WireCounts>,
    /// The records that it names as bad.
    pub named: Vec<NamedRecord>,
    /// Whether it complains of records that it doesn't name.
    pub complains_of_unnamed: bool,
    /// Whether it complains of the batch's size.
    pub too_large: bool,
    /// The wait that it asks for in `retry_after`, in seconds.
    pub retry_after_secs: Option<f64>,
}

/// The counts of a 200 (`data` of the reference server and of the published one). What isn't told is 0; what is told and
/// isn't a whole number is beyond every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireCounts {
    /// Stored records.
    pub stored: PerKind<u64>,
    /// Records that the server had no use for: older revisions, erased ones.
    pub ignored: u64,
    /// Records that it refused.
    pub rejected: u64,
    /// New among the stored, where told.
    pub created: Option<u64>,
    /// Known before among the stored, where told.
    pub updated: Option<u64>,
}

/// A record that the server names, with its words.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedRecord {
    /// Which kind, where told.
    pub kind: Option<Kind>,
    /// Its id.
    pub id: String,
    /// What the server says of it, bounded.
    pub words: String,
}

// The server's words may repeat a field's content.
impl std::fmt::Debug for NamedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedRecord").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Most characters of a server's words that are kept.
const MAX_WORDS: usize = 200;

/// The lists in which servers name bad records.
const LISTS: [&str; 3] = ["failed_records", "validation_errors", "errors"];

/// Reads a body; none where it is not a JSON object. What it says stands in it or in its `data`.
pub fn read_word(body: &str) -> Option<Word> {
    let Ok(Value::Object(body)) = serde_json::from_str::<Value>(body) else { return None };
    let empty = Map::new();
    let data = body.get("data").and_then(Value::as_object).unwrap_or(&empty);
    let levels = [&body, data];
    let mut named = Vec::new();
    let mut complains_of_unnamed = false;
    for list in levels.into_iter().flat_map(|level| LISTS.iter().filter_map(|list| level.get(*list))) {
        match list {
            Value::Array(records) => {
                let before = named.len();
                named.extend(records.iter().filter_map(named_record));
                complains_of_unnamed |= named.len() - before < records.len();
            }
            other => complains_of_unnamed |= is_filled(other),
        }
    }
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    Some(Word {
        denies: levels.into_iter().any(denies),
        counts: counts(data).or_else(|| counts(&body)),
        named,
        complains_of_unnamed,
        too_large: message.to_ascii_lowercase().contains("batch size exceeded"),
        retry_after_secs: levels.into_iter().find_map(|level| level.get("retry_after").and_then(seconds)),
    })
}

fn denies(level: &Map<String, Value>) -> bool {
    level.get("error").is_some_and(is_truthy)
        || level.get("errors").is_some_and(is_filled)
        || ["success", "ok"].iter().any(|flag| level.get(*flag).is_some_and(|value| !is_truthy(value)))
}

// An object with an id, or the mere id.
fn named_record(value: &Value) -> Option<NamedRecord> {
    let id =
        [Some(value), value.get("id"), value.get("record_id")].into_iter().flatten().find_map(id_text)?;
    let words =
        value.get("error").or_else(|| value.get("message")).and_then(Value::as_str).unwrap_or_default();
    let kind = match value.get("record_type").and_then(Value::as_str) {
        Some("page_visit") => Some(Kind::PageVisit),
        Some("tab_aggregate") => Some(Kind::TabAggregate),
        _ => None,
    };
    Some(NamedRecord { kind, id, words: words.chars().take(MAX_WORDS).collect() })
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn counts(level: &Map<String, Value>) -> Option<WireCounts> {
    let count = |name: &str| level.get(name).filter(|count| !count.is_null());
    let whole = |count: &Value| count.as_u64().unwrap_or(u64::MAX);
    let [visits, aggregates, ignored, rejected] =
        ["page_visits_synced", "tab_aggregates_synced", "ignored_records_count", "rejected_records_count"]
            .map(|name| count(name).map(whole));
    [visits, aggregates, ignored, rejected].iter().any(Option::is_some).then(|| WireCounts {
        stored: PerKind {
            page_visits: visits.unwrap_or_default(),
            tab_aggregates: aggregates.unwrap_or_default(),
        },
        ignored: ignored.unwrap_or_default(),
        rejected: rejected.unwrap_or_default(),
        created: count("created").and_then(Value::as_u64),
        updated: count("updated").and_then(Value::as_u64),
    })
}

fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(number::of_json(number)),
        Value::String(text) => number::decimal(text.trim()),
        _ => None,
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number::of_json(number) != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
        other => is_truthy(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_naming_a_record_are_read() {
        let all_or_nothing =
            read_word(r#"{"error":"x","failed_records":[{"id":"a","error":"bad"}]}"#).unwrap();
        assert!(all_or_nothing.denies);
        assert_eq!(
            (all_or_nothing.named[0].id.as_str(), all_or_nothing.named[0].words.as_str()),
            ("a", "bad")
        );
        let partial = read_word(
            r#"{"success":true,"data":{"page_visits_synced":1,"tab_aggregates_synced":0,"rejected_records_count":1,
               "validation_errors":[{"record_id":"b","record_type":"page_visit","field":"url","message":"no"}]}}"#,
        )
        .unwrap();
        assert!(!partial.denies);
        assert_eq!(partial.counts.unwrap().rejected, 1);
        assert_eq!(partial.named[0].kind, Some(Kind::PageVisit));
    }

    #[test]
    fn a_body_that_denies_is_seen_as_such() {
        for body in [
            r#"{"error":"x"}"#,
            r#"{"error":true}"#,
            r#"{"errors":["x"]}"#,
            r#"{"errors":{"a":1}}"#,
            r#"{"success":false}"#,
            r#"{"success":0}"#,
            r#"{"ok":false}"#,
            r#"{"success":true,"data":{"errors":["x"]}}"#,
        ] {
            assert!(read_word(body).unwrap().denies, "{body}");
        }
        for body in [r#"{"error":false}"#, r#"{"error":null,"errors":[]}"#, r#"{"success":true}"#, "{}"] {
            assert!(!read_word(body).unwrap().denies, "{body}");
        }
    }

    #[test]
    fn counts_are_given_where_any_of_them_stands_and_only_whole_numbers_count() {
        let counts = |body: &str| read_word(body).unwrap().counts;
        assert_eq!(counts(r#"{"data":{"rejected_records_count":2}}"#).unwrap().rejected, 2);
        assert_eq!(counts(r#"{"ignored_records_count":2}"#).unwrap().ignored, 2);
        assert_eq!(counts(r#"{"page_visits_synced":"2"}"#).unwrap().stored.page_visits, u64::MAX);
        assert_eq!(counts(r#"{"page_visits_synced":null,"created":1}"#), None);
    }

    #[test]
    fn a_complaint_that_names_nobody_is_heard() {
        for body in [r#"{"failed_records":[{"error":"x"}]}"#, r#"{"data":{"validation_errors":{"url":"x"}}}"#]
        {
            let word = read_word(body).unwrap();
            assert!(word.complains_of_unnamed && word.named.is_empty(), "{body}");
        }
        let bare = read_word(r#"{"failed_records":["a",{"id":null,"record_id":7}]}"#).unwrap();
        let ids: Vec<&str> = bare.named.iter().map(|record| record.id.as_str()).collect();
        assert_eq!((ids, bare.complains_of_unnamed), (vec!["a", "7"], false));
    }

    #[test]
    fn what_is_not_an_object_says_nothing() {
        for body in ["", "<html>", "[]", "1", "\"ok\"", "null", "{"] {
            assert_eq!(read_word(body), None, "{body}");
        }
    }

    #[test]
    fn a_servers_words_are_bounded() {
        let body = format!(r#"{{"failed_records":[{{"id":"a","error":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(read_word(&body).unwrap().named[0].words.len(), MAX_WORDS);
    }
}
