//! The preflight question: which of these records are held?

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BatchError, envelope::array, object};
use crate::policy;

/// Ids to look for. Their revisions may come along and aren't needed: the answer gives the ones that are held.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownQuestion {
    /// Ids of page visits.
    pub page_visits: Vec<String>,
    /// Ids of tab aggregates.
    pub tab_aggregates: Vec<String>,
}

#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(borrow, default, rename = "pageVisits")]
    page_visits: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "tabAggregates")]
    tab_aggregates: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
}

const NOT_A_QUESTION: &str = "The body must have arrays pageVisits and tabAggregates of ids.";

/// Reads the body of a preflight question.
///
/// # Errors
/// The shape of the question, or the number of its ids.
pub fn check_known(body: &[u8]) -> Result<KnownQuestion, BatchError> {
    let lists: Lists<'_> = object(body).ok_or(BatchError::NotABatch(NOT_A_QUESTION))?;
    if lists.page_visits.is_none() && lists.tab_aggregates.is_none() {
        return Err(BatchError::NotABatch("The body has neither pageVisits nor tabAggregates."));
    }
    let page_visits = ids(lists.page_visits)?;
    let tab_aggregates = ids(lists.tab_aggregates)?;
    if page_visits.len() + tab_aggregates.len() > policy::MAX_KNOWN_IDS {
        return Err(BatchError::TooManyRecords(page_visits.len() + tab_aggregates.len()));
    }
    if page_visits.iter().chain(&tab_aggregates).any(|id| id.contains('\0')) {
        return Err(BatchError::NotABatch("An id contains a NUL character."));
    }
    Ok(KnownQuestion { page_visits, tab_aggregates })
}

fn ids(list: Option<&RawValue>) -> Result<Vec<String>, BatchError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let asked = array(list, policy::MAX_KNOWN_IDS, NOT_A_QUESTION)?;
    asked.into_iter().map(|asked| id(asked).ok_or(BatchError::NotABatch(NOT_A_QUESTION))).collect()
}

/// Of `"id"` or `{"id": "id", "revision": 1}`.
fn id(asked: &RawValue) -> Option<String> {
    let text = asked.get();
    serde_json::from_str(text).ok().or_else(|| object(text.as_bytes()).map(|Asked { id }| id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_bare_or_with_a_revision() {
        let question =
            check_known(br#"{"pageVisits":["1",{"id":"2","revision":3}],"tabAggregates":null}"#).unwrap();
        assert_eq!(
            (question.page_visits, question.tab_aggregates.len()),
            (vec!["1".to_owned(), "2".to_owned()], 0)
        );
    }

    #[test]
    fn what_asks_for_nothing_or_too_much_is_refused() {
        for body in [
            "",
            "{}",
            "[]",
            r#"[["1"],[]]"#,
            r#"{"pageVisits":[1]}"#,
            r#"{"pageVisits":["\u0000"]}"#,
            r#"{"pageVisits":["\ud800"]}"#,
            r#"{"pageVisits":[["1"]]}"#,
            r#"{"pageVisits":[{"revision":1}]}"#,
            r#"{"pageVisits":{"1":"2"}}"#,
        ] {
            assert!(matches!(check_known(body.as_bytes()), Err(BatchError::NotABatch(_))), "{body}");
        }
        let many = format!(r#"{{"pageVisits":[{}]}}"#, vec!["\"x\""; policy::MAX_KNOWN_IDS + 1].join(","));
        assert!(matches!(check_known(many.as_bytes()), Err(BatchError::TooManyRecords(_))));
    }
}
