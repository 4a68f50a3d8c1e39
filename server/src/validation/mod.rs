//! May these records be stored? Pure decisions: a body comes in, a batch or the list of what is wrong comes out.
//!
//! Every record is judged on its own, so the answer names all that are in the way, and blames no innocent one.

mod envelope;
mod fields;
mod known;
mod page_visit;
mod tab_aggregate;
mod timestamp;
mod web_address;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{error::FailedRecord, policy};

pub use envelope::object;
pub use known::{KnownQuestion, check_known};
pub use page_visit::{CATEGORIES, PageVisit};
pub use tab_aggregate::TabAggregate;
pub use timestamp::millis;
pub use web_address::site;

use fields::{FieldError, Fields};

/// Records that may be stored: each id once, at its highest revision, in the order of the ids.
#[derive(Default)]
pub struct Batch {
    /// Page visits.
    pub page_visits: Vec<PageVisit>,
    /// Tab aggregates.
    pub tab_aggregates: Vec<TabAggregate>,
    /// Records in the request, before those of the same id were joined.
    pub sent: usize,
    /// Browser and extension, if the client said so.
    pub client: Option<String>,
}

/// Why a request can't be stored.
#[derive(Debug, PartialEq)]
pub enum BatchError {
    /// Not JSON, or not of the shape of a batch.
    NotABatch(&'static str),
    /// More records of one kind than allowed; how many there were.
    TooManyRecords(usize),
    /// Some records break the rules.
    Refused {
        /// These.
        failed: Vec<FailedRecord>,
        /// Records in the request.
        sent: usize,
        /// Browser and extension, if the client said so.
        client: Option<String>,
    },
}

/// Reads and judges the body of a sync request.
///
/// # Errors
/// The shape of the request, the number of its records, or every record that breaks a rule, with its first wrong field.
pub fn check_batch(body: &[u8]) -> Result<Batch, BatchError> {
    let envelope = envelope::read(body)?;
    let sent = envelope.page_visits.len() + envelope.tab_aggregates.len();
    let mut failed = Vec::new();
    let page_visits = check_records(&envelope.page_visits, &mut failed);
    let tab_aggregates = check_records(&envelope.tab_aggregates, &mut failed);
    if failed.is_empty() {
        Ok(Batch {
            page_visits: highest_revisions(page_visits),
            tab_aggregates: highest_revisions(tab_aggregates),
            sent,
            client: envelope.client,
        })
    } else {
        Err(BatchError::Refused { failed, sent, client: envelope.client })
    }
}

const NOT_A_REVISION: &str = "must be from 1 to 9007199254740991";

/// A kind of record.
trait Record: Sized + Serialize {
    const RECORD_TYPE: &'static str;
    const ID_NAMES: &'static [&'static str];

    fn check(fields: Fields<'_>) -> Result<Self, FieldError>;
    fn id(&self) -> &str;
    fn revision(&self) -> i64;
}

fn check_records<R: Record>(raw_records: &[&RawValue], failed: &mut Vec<FailedRecord>) -> Vec<R> {
    let mut records = Vec::with_capacity(raw_records.len());
    for (index, raw) in raw_records.iter().enumerate() {
        match check_record(raw) {
            Ok(record) => records.push(record),
            Err((id, FieldError { field, error })) => {
                failed.push(FailedRecord { id, index, record_type: R::RECORD_TYPE, field, error });
            }
        }
    }
    records
}

fn check_record<R: Record>(raw: &RawValue) -> Result<R, (Option<String>, FieldError)> {
    if raw.get().len() > policy::MAX_RECORD_BYTES {
        return Err((envelope::readable_id(raw, R::ID_NAMES), FieldError::record("is larger than 256 KiB")));
    }
    let fields: Fields<'_> = serde_json::from_str(raw.get())
        .map_err(|error| (envelope::readable_id(raw, R::ID_NAMES), fields::unreadable(raw, &error)))?;
    fields::check_content(raw)
        .and_then(|()| R::check(fields))
        .map_err(|error| (envelope::readable_id(raw, R::ID_NAMES), error))
}

/// Keeps the highest revision of each id (the first of equals), sorted by id: transactions that meet the same rows
/// meet them in the same order, so they wait for each other instead of blocking each other for ever.
fn highest_revisions<R: Record>(mut records: Vec<R>) -> Vec<R> {
    records.sort_by(|a, b| a.id().cmp(b.id()).then(b.revision().cmp(&a.revision())));
    records.dedup_by(|later, first| later.id() == first.id());
    records
}

/// Cuts after so many characters.
pub fn clamp_chars(text: &mut String, max_chars: usize) {
    if text.len() > max_chars
        && let Some((end, _)) = text.char_indices().nth(max_chars)
    {
        text.truncate(end);
    }
}

/// Whether the text is longer than so many characters.
pub fn is_longer(text: &str, max_chars: usize) -> bool {
    text.len() > max_chars && text.chars().nth(max_chars).is_some()
}

/// What is left of a record after its known fields were taken out, as JSON text.
fn extra(fields: Fields<'_>) -> Result<Option<String>, FieldError> {
    let text = fields.into_rest()?;
    if text.as_ref().is_some_and(|text| text.len() > policy::MAX_JSON_FIELD_BYTES) {
        return Err(FieldError::record("unknown fields are larger than 51200 bytes of JSON"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(body: &str) -> Vec<FailedRecord> {
        match check_batch(body.as_bytes()) {
            Err(BatchError::Refused { failed, .. }) => failed,
            Err(other) => panic!("{other:?}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn every_bad_record_is_named_and_no_good_one() {
        let failed = failures(
            r#"{"pageVisits":[
                {"id":"bad","url":"ftp://e.com/","visited_at":1761040000000},
                {"id":"good","url":"https://e.com/","visited_at":1761040000000},
                {"url":"https://e.com/","visited_at":1761040000000},
                "text"],
              "tabAggregates":[{"id":"a","total_time_seconds":1,"active_time_seconds":1}]}"#,
        );
        let named: Vec<_> =
            failed.iter().map(|f| (f.id.as_deref(), f.index, f.record_type, f.field.as_deref())).collect();
        assert_eq!(
            named,
            [
                (Some("bad"), 0, "page_visit", Some("url")),
                (None, 2, "page_visit", Some("id")),
                (None, 3, "page_visit", None),
                (Some("a"), 0, "tab_aggregate", Some("page_visit_id")),
            ]
        );
    }

    #[test]
    fn a_lone_surrogate_is_blamed_on_the_record_that_holds_it() {
        let failed = failures(
            r#"{"pageVisits":[{"id":"good","url":"https://e.com/","visited_at":1},
                              {"id":"bad","url":"https://e.com/","visited_at":1,"title":"\ud83d"}]}"#,
        );
        assert_eq!(failed.iter().map(|f| (f.id.as_deref(), f.index)).collect::<Vec<_>>(), [(Some("bad"), 1)]);
    }

    #[test]
    fn a_nul_is_found_wherever_it_hides() {
        for hiding_place in
            [r#""title":"a\u0000""#, r#""metadata":{"a":["\u0000"]}"#, r#""new":{"\u0000":1}"#]
        {
            let body = format!(
                r#"{{"pageVisits":[{{"id":"1","url":"https://e.com/","visited_at":1,{hiding_place}}}]}}"#
            );
            assert_eq!(failures(&body).first().map(|f| f.error), Some("contains a NUL character"));
        }
    }

    #[test]
    fn what_is_written_with_escapes_is_kept_as_what_it_says() {
        let body = r#"{"pageVisits":[{"id":"1","url":"https:\/\/e.com\/","visited_at":1,"metadata":{"a":"e\u002ecom"},
            "idlePeriods":["\/"],"n\u0065w":"\u0065","metadat\u0061":{"b":"e\u002ecom\/"}}]}"#;
        let batch = check_batch(body.as_bytes()).ok().unwrap();
        let visit = batch.page_visits.first().unwrap();
        assert_eq!((visit.url.as_str(), visit.metadata.as_str()), ("https://e.com/", r#"{"b":"e.com/"}"#));
        assert_eq!(visit.idle_periods.as_deref(), Some(r#"["/"]"#));
        assert_eq!(visit.extra.as_deref(), Some(r#"{"new":"e"}"#));
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_one_counts() {
        let body = r#"{"pageVisits":[{"id":"1","url":"https://e.com/","visited_at":1,"title":"a","new":1,"title":"b","new":2}]}"#;
        let batch = check_batch(body.as_bytes()).ok().unwrap();
        let visit = batch.page_visits.first().unwrap();
        assert_eq!((visit.title.as_deref(), visit.extra.as_deref()), (Some("b"), Some(r#"{"new":2}"#)));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"pageVisits":[{{"id":"1","url":"https://e.com/","visited_at":1,"new":{value}}}]}}"#)
        };
        assert!(failures(&nested(policy::MAX_JSON_DEPTH - 1)).is_empty());
        assert_eq!(failures(&nested(policy::MAX_JSON_DEPTH)).len(), 1);
        assert_eq!(failures(&nested(100_000)).len(), 1);
    }

    #[test]
    fn a_record_is_at_most_256_kib_long() {
        let long = format!("[{}0]", "0,".repeat(policy::MAX_RECORD_BYTES / 2));
        let failed = failures(&format!(
            r#"{{"pageVisits":[{{"id":"1","url":"https://e.com/","visited_at":1,"new":{long}}}]}}"#
        ));
        assert_eq!(
            failed.first().map(|f| (f.id.as_deref(), f.error)),
            Some((Some("1"), "is larger than 256 KiB"))
        );
    }

    #[test]
    fn of_one_id_the_highest_revision_is_kept_and_of_equal_ones_the_first() {
        let visit = |id, revision, title| {
            format!(
                r#"{{"id":"{id}","revision":{revision},"title":"{title}","url":"https://e.com/","visited_at":1}}"#
            )
        };
        let body = format!(
            r#"{{"pageVisits":[{},{},{},{}]}}"#,
            visit("b", 1, "low"),
            visit("b", 3, "first"),
            visit("b", 3, "second"),
            visit("a", 1, "other"),
        );
        let batch = check_batch(body.as_bytes()).ok().unwrap();
        let titles: Vec<_> = batch.page_visits.iter().filter_map(|visit| visit.title.as_deref()).collect();
        assert_eq!((titles, batch.sent), (vec!["other", "first"], 4));
    }
}
