//! What a server can do beyond storing batches: asked once in a while, remembered, never relied on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch::Limits;
use super::protocol::Answer;
use crate::words::kind::PerKind;
use crate::words::policy::{ABILITIES_ASKED_AGAIN, ABILITIES_REMEMBERED, Compress, LEAST_IDS_IN_A_QUESTION};
use crate::words::time::{Millis, UnixMillis};

/// The optional abilities of a server; a server that knows of none has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Abilities {
    /// It reads bodies with `Content-Encoding: gzip`.
    pub gzip: bool,
    /// Most records of a kind in a batch, where it says so.
    pub max_records: PerKind<Option<usize>>,
    /// Most bytes of a body, where it says so.
    pub max_body_bytes: Option<usize>,
    /// It takes a record before the one that it refers to.
    pub any_order: bool,
    /// Most ids in one preflight question; none where there is no preflight.
    pub preflight_ids: Option<usize>,
    /// A fingerprint of the version that it names.
    pub version: Option<u32>,
}

/// What was learnt of a server's abilities, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Learnt {
    /// What it can do.
    pub abilities: Abilities,
    /// When it was asked last.
    pub asked_at: Option<UnixMillis>,
    /// Whether it answered.
    pub answered: bool,
    /// When it last refused a compressed body.
    pub gzip_refused_at: Option<UnixMillis>,
    /// [`Learnt::versions`] when its refusals were last put to the test; none before the first sync with it.
    pub refusals_of: Option<u32>,
}

impl Learnt {
    /// Whether it is time to ask. A clock that was set back makes what is remembered worthless, not eternal.
    pub fn is_due(&self, now: UnixMillis) -> bool {
        let lasts = if self.answered { ABILITIES_REMEMBERED } else { ABILITIES_ASKED_AGAIN };
        !is_recent(self.asked_at, lasts, now)
    }

    /// Notes what an answer says. What is no answer of a sync server leaves no ability, and is asked again sooner.
    pub fn note(&mut self, answer: Option<&Answer>, now: UnixMillis) {
        let said = answer.and_then(read);
        self.asked_at = Some(now);
        self.answered = said.is_some();
        self.abilities = said.unwrap_or_default();
    }

    /// Which versions of core and server speak with each other: what one pair refuses, the next may take.
    pub fn versions(&self) -> u32 {
        fingerprint(env!("CARGO_PKG_VERSION")) ^ self.abilities.version.unwrap_or_default()
    }

    /// Whether a body is to be compressed.
    pub fn compresses(&self, wish: Compress, now: UnixMillis) -> bool {
        let wanted = match wish {
            Compress::Auto => self.abilities.gzip,
            Compress::Never => false,
            Compress::Always => true,
        };
        wanted && !is_recent(self.gzip_refused_at, ABILITIES_REMEMBERED, now)
    }
}

impl Abilities {
    /// The limits of the next request: what the server takes, and never more than ours. A single record of any size
    /// is tried: only the server's own word makes it too large.
    #[must_use]
    pub fn bounded(&self, ours: Limits) -> Limits {
        let least = |ours: usize, theirs: Option<usize>| theirs.map_or(ours, |theirs| theirs.clamp(1, ours));
        Limits {
            records: PerKind {
                page_visits: least(ours.records.page_visits, self.max_records.page_visits),
                tab_aggregates: least(ours.records.tab_aggregates, self.max_records.tab_aggregates),
            },
            bytes: least(ours.bytes, self.max_body_bytes),
            ..ours
        }
    }
}

fn is_recent(at: Option<UnixMillis>, span: Millis, now: UnixMillis) -> bool {
    at.is_some_and(|at| (0..span.0).contains(&now.since(at).0))
}

// A server without the route answers 404 or the like: that is an answer too. A redirect, a failure, or a page of
// something else is none.
fn read(answer: &Answer) -> Option<Abilities> {
    match answer.status {
        _ if answer.redirected => None,
        200 if !answer.cut_off => {
            let body: Value = serde_json::from_str(&answer.body).ok()?;
            abilities_of(body.get("data").unwrap_or(&body))
        }
        404 | 405 | 410 | 501 => Some(Abilities::default()),
        _ => None,
    }
}

fn abilities_of(data: &Value) -> Option<Abilities> {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let has = |list: &str, word: &str| {
        data.get(list).and_then(Value::as_array).is_some_and(|words| words.iter().any(|each| each == word))
    };
    data.is_object().then(|| Abilities {
        gzip: has("compression", "gzip"),
        max_records: PerKind {
            page_visits: number(data.get("max_page_visits")),
            tab_aggregates: number(data.get("max_tab_aggregates")),
        },
        max_body_bytes: number(data.get("max_body_bytes")),
        any_order: data.get("references_in_any_order") == Some(&Value::Bool(true)),
        preflight_ids: number(data.get("preflight").and_then(|it| it.get("max_ids")))
            .filter(|most| *most >= LEAST_IDS_IN_A_QUESTION),
        version: data.get("version").and_then(Value::as_str).map(fingerprint),
    })
}

fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(1, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000_000);

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    fn learnt(answer: Option<&Answer>) -> Learnt {
        let mut learnt = Learnt::default();
        learnt.note(answer, NOW);
        learnt
    }

    #[test]
    fn what_a_server_says_of_itself_is_read() {
        let body = r#"{"success":true,"data":{"compression":["br","gzip"],"max_page_visits":40,
            "max_body_bytes":9000,"references_in_any_order":true,"preflight":{"max_ids":20000}}}"#;
        let abilities = learnt(Some(&answer(200, body))).abilities;
        assert!(abilities.gzip && abilities.any_order);
        assert_eq!((abilities.preflight_ids, abilities.max_records.tab_aggregates), (Some(20_000), None));
        let ours = Limits {
            records: PerKind { page_visits: 100, tab_aggregates: 100 },
            bytes: 500_000,
            most_bytes: 500_000,
        };
        let limits = abilities.bounded(ours);
        assert_eq!((limits.records.page_visits, limits.records.tab_aggregates), (40, 100));
        assert_eq!((limits.bytes, limits.most_bytes), (9_000, 500_000));
    }

    #[test]
    fn a_limit_is_never_raised_nor_nothing() {
        let body = r#"{"max_page_visits":1000,"max_tab_aggregates":0,"max_body_bytes":-1}"#;
        let abilities = learnt(Some(&answer(200, body))).abilities;
        let ours = Limits {
            records: PerKind { page_visits: 100, tab_aggregates: 100 },
            bytes: 500,
            most_bytes: 500,
        };
        let limits = abilities.bounded(ours);
        assert_eq!((limits.records.page_visits, limits.records.tab_aggregates, limits.bytes), (100, 1, 500));
    }

    #[test]
    fn a_server_without_the_route_is_remembered_for_a_day_and_one_without_an_answer_for_minutes() {
        for said in [answer(404, ""), answer(405, ""), answer(200, "{}")] {
            let learnt = learnt(Some(&said));
            assert_eq!(learnt.abilities, Abilities::default());
            assert!(!learnt.is_due(NOW + Millis(ABILITIES_REMEMBERED.0 - 1)), "{}", said.status);
            assert!(learnt.is_due(NOW + ABILITIES_REMEMBERED));
        }
        let hotel = Answer { redirected: true, ..answer(200, "{}") };
        for said in [None, Some(answer(503, "")), Some(answer(200, "<html>")), Some(hotel)] {
            let learnt = learnt(said.as_ref());
            assert!(!learnt.is_due(NOW + Millis(ABILITIES_ASKED_AGAIN.0 - 1)));
            assert!(learnt.is_due(NOW + ABILITIES_ASKED_AGAIN));
        }
        assert!(Learnt::default().is_due(NOW));
        assert!(learnt(Some(&answer(404, ""))).is_due(UnixMillis(NOW.0 - 1)), "the clock was set back");
    }

    #[test]
    fn bodies_are_compressed_where_wished_and_not_refused() {
        let takes = learnt(Some(&answer(200, r#"{"compression":["gzip"]}"#)));
        let unknown = Learnt::default();
        assert!(takes.compresses(Compress::Auto, NOW) && !unknown.compresses(Compress::Auto, NOW));
        assert!(unknown.compresses(Compress::Always, NOW) && !takes.compresses(Compress::Never, NOW));
        let refused = Learnt { gzip_refused_at: Some(NOW), ..takes };
        assert!(!refused.compresses(Compress::Always, NOW + Millis(ABILITIES_REMEMBERED.0 - 1)));
        assert!(refused.compresses(Compress::Auto, NOW + ABILITIES_REMEMBERED));
    }
}
