//! Verdicts: arbitrary answers against the oracle, and honest servers against what they did.

use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::verdict::{NoAnswer, Sent, Tally, Verdict, judge};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::time::UnixMillis;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::cases;
use crate::oracle::{Fate, Records, allowed, fate};

const NOW: UnixMillis = UnixMillis(1_761_040_000_000);

/// The same id may stand in both kinds, and ids may look like numbers.
const POOL: [(Kind, &str); 8] = [
    (Kind::PageVisit, "a"),
    (Kind::PageVisit, "b"),
    (Kind::PageVisit, "7"),
    (Kind::PageVisit, "pv_1761040000000_412"),
    (Kind::TabAggregate, "a"),
    (Kind::TabAggregate, "c"),
    (Kind::TabAggregate, "8"),
    (Kind::TabAggregate, "ünïcode"),
];

fn batch() -> impl Strategy<Value = Vec<(Kind, &'static str)>> {
    subsequence(POOL.to_vec(), 1..=POOL.len())
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![
        8 => Just(200),
        4 => select(vec![400, 422]),
        3 => select(vec![0, 201, 204, 207, 301, 302, 304, 401, 402, 403, 404, 408, 413, 415, 418, 425, 429, 499]),
        2 => select(vec![500, 501, 502, 503, 504, 507, 599]),
        1 => 0..1000_u16,
    ]
}

fn odd() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(false),
        json!(true),
        json!(0),
        json!(0.0),
        json!(1),
        json!(-1),
        json!(2.5),
        json!(u64::MAX),
        json!(""),
        json!("no"),
        json!("2"),
        json!([]),
        json!({}),
        json!(["x"]),
        json!({ "a": 1 }),
    ])
}

fn count() -> impl Strategy<Value = Value> {
    prop_oneof![12 => (0..9_u64).prop_map(Value::from), 1 => odd()]
}

fn entry() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        8 => select(POOL.to_vec()).prop_map(|(_, id)| Value::from(id)),
        2 => select(vec![json!(7), json!(8)]),
        1 => Just(json!("stranger")),
        1 => odd(),
    ];
    let record_type = prop_oneof![
        select(vec![json!("page_visit"), json!("tab_aggregate")]),
        select(vec![json!("bookmark"), json!(null), json!(3)]),
    ];
    let fields = (option::of(id.clone()), option::of(id.clone()), option::weighted(0.3, record_type));
    let object = (fields, option::of(odd())).prop_map(|((id, record_id, record_type), message)| {
        let names = ["id", "record_id", "record_type", "message"];
        let values = [id, record_id, record_type, message];
        object(names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))))
    });
    prop_oneof![8 => object, 1 => id, 1 => odd()]
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn list() -> impl Strategy<Value = Value> {
    prop_oneof![8 => vec(entry(), 0..4).prop_map(Value::from), 1 => odd()]
}

fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let flag = prop_oneof![4 => Just(json!(true)), 1 => Just(json!(false)), 1 => odd()];
    let denial = prop_oneof![2 => Just(json!(false)), 1 => odd()];
    let message =
        select(vec![json!("done"), json!("Batch size exceeded. Maximum 1000 records allowed, got 1001")]);
    prop_oneof![
        2 => (select(vec!["success", "ok"]), flag),
        1 => (select(vec!["error", "errors"]), denial),
        1 => (Just("message"), message),
        5 => (
            select(vec![
                "page_visits_synced",
                "tab_aggregates_synced",
                "ignored_records_count",
                "rejected_records_count",
                "created",
                "updated",
            ]),
            count(),
        ),
        2 => (select(vec!["failed_records", "validation_errors", "errors"]), list()),
        1 => (Just("retry_after"), odd()),
        1 => (Just("data_quality_score"), odd()),
    ]
}

fn pieces() -> impl Strategy<Value = String> {
    let data = prop_oneof![
        8 => option::of(vec(field(), 0..7)).prop_map(|data| data.map(|fields| object(fields.into_iter()))),
        1 => odd().prop_map(Some),
    ];
    (vec(field(), 0..5), data).prop_map(|(fields, data)| {
        let data = data.map(|data| ("data", data));
        object(fields.into_iter().chain(data)).to_string()
    })
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => pieces(),
        2 => (pieces(), 0.0..1.0).prop_map(|(text, share)| {
            let end = (0..=text.len()).rev().find(|end| {
                *end as f64 <= share * text.len() as f64 && text.is_char_boundary(*end)
            });
            text[..end.unwrap_or_default()].to_owned()
        }),
        1 => select(vec!["", " ", "\r\n"]).prop_map(str::to_owned),
        1 => select(vec!["<html><body>Sign in to Wi-Fi</body></html>", "ok", "true", "[]", "[{}]", "null", "{}{}"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

#[derive(Debug)]
struct Case {
    records: Vec<(Kind, &'static str)>,
    compressed: bool,
    counts_expected: bool,
}

impl Case {
    fn judged(&self, answer: &Answer) -> Verdict {
        judge(self.sent(), Ok(answer), NOW)
    }

    fn sent(&self) -> Sent<'_> {
        let Self { records, compressed, counts_expected } = self;
        Sent { records, compressed: *compressed, counts_expected: *counts_expected }
    }
}

fn case() -> impl Strategy<Value = Case> {
    (batch(), prop::bool::weighted(0.2), any::<bool>())
        .prop_map(|(records, compressed, counts_expected)| Case { records, compressed, counts_expected })
}

/// What an honest server did with one record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Done {
    Stored,
    Ignored,
    Rejected,
    Dropped,
}

/// An honest server's counts and names for what it did.
fn honest(records: &[(Kind, &str)], done: &[Done]) -> Map<String, Value> {
    let count = |kind: Option<Kind>, what: Done| {
        let pairs = records.iter().zip(done);
        pairs.filter(|((each, _), did)| kind.is_none_or(|kind| kind == *each) && **did == what).count()
    };
    let rejected = records.iter().zip(done).filter(|(_, did)| **did == Done::Rejected);
    let errors: Vec<Value> = rejected
        .map(|((kind, id), _)| {
            let record_type = if *kind == Kind::PageVisit { "page_visit" } else { "tab_aggregate" };
            json!({ "record_id": id, "record_type": record_type, "field": "url", "message": "is bad" })
        })
        .collect();
    let counts = json!({
        "page_visits_synced": count(Some(Kind::PageVisit), Done::Stored),
        "tab_aggregates_synced": count(Some(Kind::TabAggregate), Done::Stored),
        "ignored_records_count": count(None, Done::Ignored),
        "rejected_records_count": count(None, Done::Rejected),
        "validation_errors": errors,
    });
    counts.as_object().cloned().unwrap()
}

fn done(dropped: u32) -> impl Strategy<Value = Vec<Done>> {
    let did = prop_oneof![
        6 => Just(Done::Stored),
        1 => Just(Done::Ignored),
        2 => Just(Done::Rejected),
        dropped => Just(Done::Dropped),
    ];
    vec(did, POOL.len())
}

fn tally_covers(tally: Tally, records: usize) -> bool {
    tally.created + tally.updated + tally.skipped == records as u64
}

proptest! {
    #![proptest_config(cases(8_192))]

    #[test]
    fn every_answer_is_judged_as_the_table_says(
        case in case(),
        status in status(),
        body in body(),
        redirected in prop::bool::weighted(0.05),
        cut_off in prop::bool::weighted(0.05),
    ) {
        let answer = Answer { status, body, redirected, cut_off, ..Answer::default() };
        let verdict = case.judged(&answer);
        let allowed = allowed(&case.sent(), &answer);
        prop_assert!(
            allowed.contains(&fate(&verdict)),
            "{verdict:?}, where {allowed:?} was to be, for {status} {}", answer.body
        );
        match verdict {
            Verdict::Acknowledged(tally) => prop_assert!(tally_covers(tally, case.records.len())),
            Verdict::PartlyAcknowledged(tally, bad) => {
                prop_assert!(tally_covers(tally, case.records.len() - bad.len()));
            }
            _ => {}
        }
    }

    #[test]
    fn a_200_deletes_exactly_what_an_honest_server_has(
        case in case(),
        done in done(1),
        in_data in any::<bool>(),
        created in 0..9_u64,
    ) {
        let mut counts = honest(&case.records, &done);
        let stored = done.iter().take(case.records.len()).filter(|did| **did == Done::Stored).count() as u64;
        let created = created.min(stored);
        counts.insert("created".into(), created.into());
        counts.insert("updated".into(), (stored - created).into());
        let body = if in_data { json!({ "success": true, "data": counts }) } else { Value::Object(counts) };
        let answer = Answer { status: 200, body: body.to_string(), ..Answer::default() };
        let of = |what| {
            let pairs = case.records.iter().zip(&done).filter(move |(_, did)| **did == what);
            pairs.map(|((kind, id), _)| (*kind, (*id).to_owned())).collect::<Records>()
        };
        let verdict = case.judged(&answer);
        let expected = match (of(Done::Dropped).is_empty(), of(Done::Rejected)) {
            (false, _) => Fate::FallsShort,
            (true, rejected) if rejected.is_empty() => Fate::Deleted,
            (true, rejected) => Fate::DeletedBut(rejected),
        };
        prop_assert_eq!(fate(&verdict), expected);
        if let Verdict::Acknowledged(tally) | Verdict::PartlyAcknowledged(tally, _) = verdict {
            let skipped = of(Done::Ignored).len() as u64;
            prop_assert_eq!((tally.created, tally.updated, tally.skipped), (created, stored - created, skipped));
            prop_assert!(tally.counted);
        }
    }

    #[test]
    fn one_wrong_field_in_an_honest_body_never_deletes_what_the_server_has_not(
        case in case(),
        done in done(1),
        (name, value) in field(),
        in_data in any::<bool>(),
    ) {
        let mut body = json!({ "success": true, "data": honest(&case.records, &done) });
        if in_data { body["data"][name] = value } else { body[name] = value }
        let answer = Answer { status: 200, body: body.to_string(), ..Answer::default() };
        let allowed = allowed(&case.sent(), &answer);
        let fate = fate(&case.judged(&answer));
        prop_assert!(allowed.contains(&fate), "{fate:?}, where {allowed:?} was to be, for {body}");
    }

    #[test]
    fn an_all_or_nothing_refusal_is_about_those_that_it_names(
        case in case(),
        status in select(vec![400, 422]),
        bad in subsequence(POOL.to_vec(), 0..=4),
    ) {
        let case = Case { compressed: false, ..case };
        let failed: Vec<Value> = bad.iter().map(|(_, id)| json!({ "id": id, "error": "is bad" })).collect();
        let body = json!({ "error": "Validation failed", "failed_records": failed });
        let answer = Answer { status, body: body.to_string(), ..Answer::default() };
        let among = case.records.iter().filter(|(_, id)| bad.iter().any(|(_, named)| named == id));
        let among: Records = among.map(|(kind, id)| (*kind, (*id).to_owned())).collect();
        let expected = if among.is_empty() { Fate::Split } else { Fate::RefusedFor(among) };
        prop_assert_eq!(fate(&case.judged(&answer)), expected);
    }

    #[test]
    fn no_answer_keeps_everything(
        case in case(),
        none in select(vec![NoAnswer::Network, NoAnswer::TimedOut, NoAnswer::BodyCutOff]),
    ) {
        prop_assert_eq!(fate(&judge(case.sent(), Err(none), NOW)), Fate::TriedLater);
    }
}
