//! What can go wrong with a request and its answer.

use heyho_sync::decisions::protocol::Answer;
use serde_json::{Value, json};

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum NetworkFault {
    /// It never arrives.
    LostRequest,
    /// It arrives and is worked on; its answer is lost.
    LostAnswer,
    /// It arrives, and the answer takes so many milliseconds.
    Slow(i64),
    /// Something else answers in the server's place.
    Instead(Answer),
    /// The same, and it asks to be left alone until so many seconds from then, as a date.
    InsteadUntil(Answer, i64),
    /// The server works on it, and this is told in place of its answer.
    AnswerReplaced(Answer),
    /// The server works on it, and its answer is told with something wrong in it.
    AnswerAltered(Flaw),
    /// The server works on it, and the connection breaks within the answer.
    AnswerCutOff,
}

/// What is wrong with a server's answer to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It names a record that was never sent.
    Stranger,
    /// It names records twice.
    Doubled,
    /// It counts more than was sent.
    Exceeding,
}

impl NetworkFault {
    /// Something else answers with this.
    pub fn instead(status: u16, body: &str) -> Self {
        Self::Instead(Answer { status, body: body.to_owned(), ..Answer::default() })
    }

    /// How its firing is counted.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InsteadUntil(..) => "wait as a date",
            Self::Instead(answer) if !matches!(answer.status, 429 | 503) && asked_secs(answer).is_some() => {
                "wait beside another status"
            }
            Self::Instead(Answer { status: 404 | 405, .. }) => "no such route",
            Self::Instead(Answer { status: 408 | 425, .. }) => "request refused for its time",
            Self::Instead(Answer { status: 415 | 422, .. }) => "request refused for its content",
            Self::Instead(Answer { status: 502 | 504, .. }) => "gateway fails",
            Self::AnswerAltered(Flaw::Stranger) => "answer names what was never sent",
            Self::AnswerAltered(Flaw::Doubled) => "answer names records twice",
            Self::AnswerAltered(Flaw::Exceeding) => "answer counts too many",
            Self::LostRequest => "request lost",
            Self::LostAnswer => "answer lost after commit",
            Self::Slow(ms) if *ms >= 25_000 => "answer too late",
            Self::Slow(_) => "slow answer",
            Self::Instead(_) => "wrong answer",
            Self::AnswerReplaced(_) => "answer replaced after commit",
            Self::AnswerCutOff => "answer cut off after commit",
        }
    }
}

/// The wait that an answer asks for in seconds.
pub fn asked_secs(answer: &Answer) -> Option<i64> {
    let body_secs =
        serde_json::from_str::<Value>(&answer.body).ok().and_then(|body| body["retry_after"].as_i64());
    let header_secs = answer.retry_after.as_ref().and_then(|secs| secs.parse::<i64>().ok());
    body_secs.max(header_secs)
}

/// The answer with a flaw, where it has what the flaw is about.
pub fn altered(mut answer: Answer, flaw: Flaw) -> Answer {
    let Ok(mut body) = serde_json::from_str::<Value>(&answer.body) else { return answer };
    let lists = ["/failed_records", "/data/validation_errors"];
    match flaw {
        Flaw::Stranger | Flaw::Doubled => {
            for list in lists {
                let Some(Value::Array(named)) = body.pointer_mut(list) else { continue };
                if flaw == Flaw::Stranger {
                    named.insert(0, json!({ "id": "stranger", "record_id": "stranger", "message": "bad" }));
                } else {
                    named.extend_from_within(..);
                }
            }
        }
        Flaw::Exceeding => {
            for name in ["/data/page_visits_synced", "/data/tab_aggregates_synced"] {
                if let Some(count) = body.pointer_mut(name) {
                    *count = json!(count.as_u64().unwrap_or_default() + 1);
                }
            }
        }
    }
    answer.body = body.to_string();
    answer
}
