//! The question that saves a restored or resumed backlog from being sent again: which of these records does the server
//! have, and at which revision?

use serde::{Deserialize, Serialize};

use super::protocol::Answer;
use crate::words::hash::HashMap;
use crate::words::kind::PerKind;

/// Revisions by id: what the server has, or [`ERASED`].
pub type Known = PerKind<HashMap<String, u64>>;

/// The revision of a visit that the user has erased there: no revision of it is stored again.
pub const ERASED: u64 = u64::MAX;

/// The body of the question.
pub fn question(ids: &PerKind<Vec<String>>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Question<'a> {
        page_visits: &'a [String],
        tab_aggregates: &'a [String],
    }
    let question = Question { page_visits: &ids.page_visits, tab_aggregates: &ids.tab_aggregates };
    serde_json::to_string(&question).unwrap_or_default()
}

/// What an answer says that the server has; none where it is no answer to the question. Only a 200 of the server itself
/// is believed, as with an upload (rule 1).
pub fn known(answer: &Answer) -> Option<Known> {
    #[derive(Deserialize)]
    struct Held {
        id: String,
        revision: u64,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lists {
        page_visits: Vec<Held>,
        tab_aggregates: Vec<Held>,
        #[serde(default)]
        erased_page_visits: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Body {
        success: bool,
        data: Lists,
    }
    if answer.status != 200 || answer.redirected || answer.cut_off {
        return None;
    }
    // Not by way of a `Value`: there may be 20,000.
    let Body { success: true, data } = serde_json::from_str(&answer.body).ok()? else { return None };
    let by_id = |held: Vec<Held>| -> HashMap<String, u64> {
        held.into_iter().map(|record| (record.id, record.revision)).collect()
    };
    let mut known =
        PerKind { page_visits: by_id(data.page_visits), tab_aggregates: by_id(data.tab_aggregates) };
    for id in data.erased_page_visits {
        known.page_visits.insert(id, ERASED);
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"success":true,"data":{"pageVisits":[{"id":"a","revision":2}],"tabAggregates":[],
        "erasedPageVisits":["b"]}}"#;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    #[test]
    fn a_question_names_ids_by_kind_and_its_answer_their_revisions() {
        let ids = PerKind { page_visits: vec!["a".into(), "\"b\"".into()], tab_aggregates: Vec::new() };
        assert_eq!(question(&ids), r#"{"pageVisits":["a","\"b\""],"tabAggregates":[]}"#);
        let known = known(&answer(200, BODY)).unwrap();
        assert_eq!((known.page_visits["a"], known.page_visits["b"]), (2, ERASED));
        assert_eq!(known.tab_aggregates.len(), 0);
    }

    #[test]
    fn what_is_no_plain_200_of_the_server_says_nothing() {
        for status in [201, 204, 302, 404, 500] {
            assert_eq!(known(&answer(status, BODY)), None, "{status}");
        }
        assert_eq!(known(&Answer { redirected: true, ..answer(200, BODY) }), None);
        assert_eq!(known(&Answer { cut_off: true, ..answer(200, BODY) }), None);
        let denied = BODY.replace("true", "false");
        for body in ["", "<html>", "{}", r#"{"success":true,"data":{}}"#, &denied, &BODY.replace('2', "-2")] {
            assert_eq!(known(&answer(200, body)), None, "{body}");
        }
    }
}
