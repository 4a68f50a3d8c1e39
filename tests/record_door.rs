//! The door of the core, from outside: what a record must be to enter, field by field, and what holds for every text
//! whatsoever.

#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use heyho_sync::words::kind::Kind::{self, PageVisit, TabAggregate};
use heyho_sync::words::record::address::Address;
use heyho_sync::words::record::sites::{MORE_SITES, SiteRules};
use heyho_sync::words::record::{
    MAX_METADATA_BYTES, MAX_RECORD_BYTES, MAX_SITES, MAX_TITLE_CHARS, MAX_URL_CHARS, Maker, Record,
    RecordError, admit, wire,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The page visit and the tab aggregate that the published backend took.
fn sample(kind: Kind) -> Value {
    match kind {
        PageVisit => json!({
            "id": "0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01",
            "url": "https://docs.rs/rexie/latest/rexie/?search=transaction",
            "title": "rexie - Rust",
            "visited_at": "2025-10-21T09:46:40.123Z",
            "opened_at": "2025-10-21T09:40:02.000Z",
            "source_page_visit_id": null,
            "tabId": 412,
            "domain": "docs.rs",
            "durationSeconds": 184,
            "activeDuration": 150_000,
            "engagementRate": 0.8152,
            "idlePeriods": [{ "start": 1_761_040_080_000_u64, "durationMs": 34000, "reason": "idle" }],
            "lastHeartbeat": 1_761_040_180_000_u64,
            "anonymousClientId": "4f6f1c1e-5f0b-4b57-9f6a-0c2b7a9d3e11",
            "category": "learning_reading",
            "categoryConfidence": 0.9,
            "categoryMethod": "metadata",
            "metadata": { "ogType": "website", "preview": { "title": "rexie", "siteName": "docs.rs" } },
            "revision": 3
        }),
        TabAggregate => json!({
            "id": "0199f3a6-11aa-7f3c-a0d4-5b6c7d8e9f03",
            "page_visit_id": "0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01",
            "total_time_seconds": 245,
            "active_time_seconds": 210,
            "scroll_depth_percent": 72,
            "closed_at": "2025-10-21T09:50:46.000Z",
            "domain_durations": { "docs.rs": 200.5, "localhost": 45 },
            "page_count": 2,
            "current_url": "https://docs.rs/rexie",
            "current_domain": "docs.rs",
            "statistics": { "switches": 4 },
            "revision": 1
        }),
    }
}

/// The sample with some fields replaced; the string `"(absent)"` removes one.
fn with(kind: Kind, changes: &Value) -> Value {
    let mut record = sample(kind);
    for (name, value) in changes.as_object().unwrap() {
        if value == "(absent)" {
            record.as_object_mut().unwrap().shift_remove(name);
        } else {
            record[name] = value.clone();
        }
    }
    record
}

fn by(maker: Maker, kind: Kind, changes: &Value) -> Result<Record, RecordError> {
    admit(kind, &with(kind, changes).to_string(), maker)
}

fn body(record: &Record) -> Value {
    serde_json::from_str(&record.body).unwrap()
}

#[test]
fn the_samples_of_the_contract_enter_unchanged() {
    for kind in Kind::ALL {
        let text = sample(kind).to_string();
        for maker in [Maker::Caller, Maker::Tracker] {
            assert_eq!(admit(kind, &text, maker).unwrap().body, text);
        }
    }
}

#[test]
fn a_head_sums_its_record_up() {
    let visit = by(Maker::Caller, PageVisit, &json!({ "source_page_visit_id": "earlier" })).unwrap();
    assert_eq!(visit.head.id, "0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01");
    assert_eq!((visit.head.kind, visit.head.revision), (PageVisit, 3));
    assert_eq!(visit.head.refers_to.as_deref(), Some("earlier"));
    assert_eq!(visit.head.bytes as usize, visit.body.len());
    assert_eq!(visit.head.sites, ["docs.rs"]);
    let aggregate = by(Maker::Caller, TabAggregate, &json!({ "revision": "(absent)" })).unwrap();
    assert_eq!(aggregate.head.revision, 1);
    assert_eq!(aggregate.head.refers_to.as_deref(), Some("0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01"));
    assert_eq!(aggregate.head.sites, ["docs.rs", "localhost"]);
}

#[test]
fn what_a_caller_gets_wrong_is_refused_with_the_field_and_the_reason() {
    let long = |characters: usize| "x".repeat(characters);
    let mut rows = vec![
        (PageVisit, json!({ "id": "(absent)" }), "id", "missing_field"),
        (PageVisit, json!({ "id": null }), "id", "missing_field"),
        (PageVisit, json!({ "id": " \t" }), "id", "missing_field"),
        (PageVisit, json!({ "id": 7 }), "id", "wrong_type"),
        (PageVisit, json!({ "id": long(129) }), "id", "too_large"),
        (PageVisit, json!({ "url": "(absent)" }), "url", "missing_field"),
        (PageVisit, json!({ "url": "" }), "url", "bad_url"),
        (PageVisit, json!({ "url": "ftp://e.com/" }), "url", "bad_url"),
        (PageVisit, json!({ "url": "https://" }), "url", "bad_url"),
        (PageVisit, json!({ "url": ["https://e.com/"] }), "url", "wrong_type"),
        (PageVisit, json!({ "url": format!("https://e.com/{}", long(2035)) }), "url", "too_large"),
        (PageVisit, json!({ "url": format!("https://e.com/{}", "é".repeat(340)) }), "url", "too_large"),
        (PageVisit, json!({ "title": 7 }), "title", "wrong_type"),
        (PageVisit, json!({ "title": "a\0b" }), "title", "broken_text"),
        (PageVisit, json!({ "visited_at": "(absent)" }), "visited_at", "missing_field"),
        (PageVisit, json!({ "visited_at": "not a time" }), "visited_at", "bad_time"),
        (PageVisit, json!({ "visited_at": "2025-13-21T09:46:40Z" }), "visited_at", "bad_time"),
        (PageVisit, json!({ "visited_at": "2025-10-21" }), "visited_at", "bad_time"),
        (PageVisit, json!({ "visited_at": 1_761_040_180 }), "visited_at", "out_of_range"),
        (PageVisit, json!({ "visited_at": -1 }), "visited_at", "out_of_range"),
        (PageVisit, json!({ "visited_at": 1e18 }), "visited_at", "out_of_range"),
        (PageVisit, json!({ "visited_at": true }), "visited_at", "wrong_type"),
        (PageVisit, json!({ "opened_at": "soon" }), "opened_at", "bad_time"),
        (PageVisit, json!({ "source_page_visit_id": "" }), "source_page_visit_id", "missing_field"),
        (
            PageVisit,
            json!({ "source_page_visit_id": "0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01" }),
            "source_page_visit_id",
            "refers_to_itself",
        ),
        (PageVisit, json!({ "tabId": "412" }), "tabId", "wrong_type"),
        (PageVisit, json!({ "tabId": 1.5 }), "tabId", "wrong_type"),
        (PageVisit, json!({ "tabId": 2_147_483_648_u32 }), "tabId", "out_of_range"),
        (PageVisit, json!({ "domain": ["docs.rs"] }), "domain", "wrong_type"),
        (PageVisit, json!({ "domain": long(254) }), "domain", "too_large"),
        (PageVisit, json!({ "durationSeconds": -1 }), "durationSeconds", "out_of_range"),
        (PageVisit, json!({ "durationSeconds": -0.001 }), "durationSeconds", "out_of_range"),
        (PageVisit, json!({ "durationSeconds": "184" }), "durationSeconds", "wrong_type"),
        (
            PageVisit,
            json!({ "duration_seconds": -1, "durationSeconds": null }),
            "durationSeconds",
            "out_of_range",
        ),
        (PageVisit, json!({ "duration_seconds": 184 }), "duration_seconds", "given_twice"),
        (PageVisit, json!({ "activeDuration": "150000" }), "activeDuration", "wrong_type"),
        (PageVisit, json!({ "activeDuration": -1 }), "activeDuration", "out_of_range"),
        (PageVisit, json!({ "engagementRate": 1.01 }), "engagementRate", "out_of_range"),
        (PageVisit, json!({ "engagementRate": -0.01 }), "engagementRate", "out_of_range"),
        (PageVisit, json!({ "idlePeriods": "idle" }), "idlePeriods", "wrong_type"),
        (PageVisit, json!({ "idlePeriods": {} }), "idlePeriods", "wrong_type"),
        (PageVisit, json!({ "lastHeartbeat": "2025-10-21T09:46:40Z" }), "lastHeartbeat", "wrong_type"),
        (PageVisit, json!({ "lastHeartbeat": -1 }), "lastHeartbeat", "out_of_range"),
        (PageVisit, json!({ "anonymousClientId": 7 }), "anonymousClientId", "wrong_type"),
        (PageVisit, json!({ "category": "sports" }), "category", "unknown_category"),
        (PageVisit, json!({ "category": 7 }), "category", "wrong_type"),
        (PageVisit, json!({ "categoryConfidence": 1.5 }), "categoryConfidence", "out_of_range"),
        (PageVisit, json!({ "categoryMethod": {} }), "categoryMethod", "wrong_type"),
        (PageVisit, json!({ "metadata": [] }), "metadata", "wrong_type"),
        (PageVisit, json!({ "metadata": { "text": long(60_000) } }), "metadata", "too_large"),
        (PageVisit, json!({ "metadata": { "a": [{ "b": "\0" }] } }), "metadata", "broken_text"),
        (PageVisit, json!({ "revision": 0 }), "revision", "out_of_range"),
        (PageVisit, json!({ "revision": 1.5 }), "revision", "wrong_type"),
        (PageVisit, json!({ "revision": "1" }), "revision", "wrong_type"),
        (PageVisit, json!({ "revision": 4_294_967_296_u64 }), "revision", "out_of_range"),
        (PageVisit, json!({ "notes": long(MAX_RECORD_BYTES) }), "", "too_large"),
        (TabAggregate, json!({ "id": "" }), "id", "missing_field"),
        (TabAggregate, json!({ "page_visit_id": "(absent)" }), "page_visit_id", "missing_field"),
        (TabAggregate, json!({ "page_visit_id": " " }), "page_visit_id", "missing_field"),
        (TabAggregate, json!({ "total_time_seconds": "(absent)" }), "total_time_seconds", "missing_field"),
        (TabAggregate, json!({ "total_time_seconds": -1 }), "total_time_seconds", "out_of_range"),
        (TabAggregate, json!({ "active_time_seconds": null }), "active_time_seconds", "missing_field"),
        (
            TabAggregate,
            json!({ "active_time_seconds": 2_147_483_648_u32 }),
            "active_time_seconds",
            "out_of_range",
        ),
        (TabAggregate, json!({ "active_time_seconds": "1" }), "active_time_seconds", "wrong_type"),
        (TabAggregate, json!({ "scroll_depth_percent": 100.5 }), "scroll_depth_percent", "out_of_range"),
        (TabAggregate, json!({ "scroll_depth_percent": "72" }), "scroll_depth_percent", "wrong_type"),
        (TabAggregate, json!({ "closed_at": "2025-10-21T25:00Z" }), "closed_at", "bad_time"),
        (TabAggregate, json!({ "domain_durations": { "e.com": -1 } }), "domain_durations", "out_of_range"),
        (TabAggregate, json!({ "domain_durations": { "e.com": "1" } }), "domain_durations", "wrong_type"),
        (TabAggregate, json!({ "domain_durations": [1] }), "domain_durations", "wrong_type"),
        (TabAggregate, json!({ "page_count": 1.5 }), "page_count", "wrong_type"),
        (TabAggregate, json!({ "page_count": -1 }), "page_count", "out_of_range"),
        (TabAggregate, json!({ "current_url": "about:blank" }), "current_url", "bad_url"),
        (TabAggregate, json!({ "current_domain": 7 }), "current_domain", "wrong_type"),
        (TabAggregate, json!({ "statistics": 7 }), "statistics", "wrong_type"),
        (
            TabAggregate,
            json!({ "tabId": 7, "startTime": 1_761_040_080_000_u64 }),
            "startTime",
            "extension_form",
        ),
        (
            TabAggregate,
            json!({ "tabId": 7, "start_time": 1_761_040_080_000_u64 }),
            "start_time",
            "extension_form",
        ),
    ];
    let nested = (0..40).fold(json!(1), |inner, _| json!([inner]));
    rows.push((PageVisit, json!({ "metadata": { "a": nested } }), "metadata", "too_deep"));
    for (kind, changes, field, code) in rows {
        let refused = by(Maker::Caller, kind, &changes).map(|record| record.body);
        let refused = refused.map_err(|error| (error.field().to_owned(), error.code()));
        assert_eq!(refused, Err((field.to_owned(), code)), "{changes:.60}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for (text, code) in
        [("", "not_json"), ("{\"id\":", "not_json"), ("[]", "not_an_object"), ("null", "not_an_object")]
    {
        let error = admit(PageVisit, text, Maker::Caller).unwrap_err();
        assert_eq!((error.code(), error.field()), (code, ""));
    }
}

#[test]
fn half_a_surrogate_pair_is_refused_from_a_caller_and_replaced_for_the_tracker() {
    let text = sample(PageVisit).to_string().replace("rexie - Rust", "rexie \\ud83d");
    let error = admit(PageVisit, &text, Maker::Caller).unwrap_err();
    assert_eq!((error.code(), error.field()), ("broken_text", "title"));
    assert_eq!(body(&admit(PageVisit, &text, Maker::Tracker).unwrap())["title"], "rexie \u{fffd}");
}

#[test]
fn what_a_caller_gets_nearly_right_is_put_into_form() {
    for (kind, field, given, kept) in [
        (PageVisit, "title", json!("x".repeat(501)), json!("x".repeat(500))),
        (PageVisit, "title", json!("é".repeat(501)), json!("é".repeat(500))),
        (PageVisit, "title", json!("a\u{1}\n\u{85}b"), json!("ab")),
        (PageVisit, "title", json!(""), json!("")),
        (
            PageVisit,
            "url",
            json!("HTTPS://me:pw@E.com/a|b?utm_source=x&q=1"),
            json!("https://e.com/a%7Cb?q=1"),
        ),
        (
            PageVisit,
            "url",
            json!(format!("https://e.com/{}", "x".repeat(2034))),
            json!(format!("https://e.com/{}", "x".repeat(2034))),
        ),
        (PageVisit, "visited_at", json!(1_761_040_180_001_u64), json!("2025-10-21T09:49:40.001Z")),
        (PageVisit, "visited_at", json!("2025-10-21T11:46:40+02:00"), json!("2025-10-21T09:46:40.000Z")),
        (PageVisit, "opened_at", Value::Null, Value::Null),
        (PageVisit, "tabId", json!(-1), json!(-1)),
        (PageVisit, "tabId", json!(7.0), json!(7)),
        (PageVisit, "domain", json!(" WWW.Docs.RS "), json!("docs.rs")),
        (PageVisit, "domain", json!(""), json!("docs.rs")),
        (PageVisit, "domain", Value::Null, json!("docs.rs")),
        (PageVisit, "durationSeconds", json!(86_401), json!(86_400)),
        (PageVisit, "durationSeconds", json!(1.5), json!(2)),
        (PageVisit, "activeDuration", json!(1500.4), json!(1500)),
        (PageVisit, "engagementRate", json!(1), json!(1)),
        (PageVisit, "categoryMethod", json!("guess"), json!("guess")),
        (PageVisit, "metadata", Value::Null, Value::Null),
        (
            PageVisit,
            "metadata",
            json!({ "__proto__": 1, "constructor": 2, "prototype": 3, "a": { "prototype": 4 } }),
            json!({ "a": { "prototype": 4 } }),
        ),
        (
            PageVisit,
            "metadata",
            json!({ "a": ["é".repeat(2001)], "b": "x".repeat(2000) }),
            json!({ "a": [format!("{}...", "é".repeat(2000))], "b": "x".repeat(2000) }),
        ),
        (TabAggregate, "total_time_seconds", json!(244.5), json!(245)),
        (TabAggregate, "total_time_seconds", json!(2_147_483_647), json!(2_147_483_647)),
        (TabAggregate, "scroll_depth_percent", json!(71.25), json!(71.25)),
        (TabAggregate, "current_url", json!("https://me@e.com/?gclid=1"), json!("https://e.com/")),
        (TabAggregate, "tabId", json!(7), json!(7)),
        (TabAggregate, "startTime", json!(7), json!(7)),
    ] {
        let record = by(Maker::Caller, kind, &json!({ field: given })).unwrap();
        assert_eq!(body(&record)[field], kept, "{field}");
    }
}

#[test]
fn a_number_keeps_every_digit() {
    // A parser that rounds in haste gives other last digits (serde_json without `arbitrary_precision`).
    let numbers = json!({ "x": [90.42225290942383, 42.215889504792884, 19.243053591130522, 1e21, 5e-324] });
    let text = with(PageVisit, &numbers).to_string();
    assert!(
        text.contains("[90.42225290942383,42.215889504792884,19.243053591130522,1e+21,5e-324]"),
        "{text}"
    );
    assert_eq!(admit(PageVisit, &text, Maker::Caller).unwrap().body, text);
}

#[test]
fn metadata_of_exactly_the_limit_enters() {
    let words = vec!["x".repeat(1000); 51];
    let filled = |last: usize| json!({ "words": words, "last": "x".repeat(last) });
    let last = MAX_METADATA_BYTES - filled(0).to_string().len();
    assert!(by(Maker::Caller, PageVisit, &json!({ "metadata": filled(last) })).is_ok());
    assert!(by(Maker::Caller, PageVisit, &json!({ "metadata": filled(last + 1) })).is_err());
}

#[test]
fn the_first_generations_other_names_are_put_right_in_their_place() {
    let text = r#"{"visitId":"a","url":"https://www.e.com/","startedAt":1761040180000,"sourcePageVisitId":"b","x":1,"source_page_visit_id":null}"#;
    let record = admit(PageVisit, text, Maker::Caller).unwrap();
    assert_eq!(
        record.body,
        concat!(
            r#"{"id":"a","url":"https://www.e.com/","visited_at":"2025-10-21T09:49:40.000Z","source_page_visit_id":"b","#,
            r#""x":1,"domain":"e.com","revision":1}"#
        )
    );
    assert_eq!(record.head.refers_to.as_deref(), Some("b"));
}

#[test]
fn what_the_tracker_makes_always_fits() {
    let visit = json!({
        "url": format!("https://e.com/{}?{}#f", "p".repeat(3000), "q".repeat(3000)),
        "source_page_visit_id": "0199f3a2-6d10-7c41-9a55-2f0e8d3b7a01",
        "visited_at": 5,
        "durationSeconds": -3,
        "activeDuration": 1e300,
        "engagementRate": 1.5,
        "tabId": 1e300,
        "category": "sports",
        "idlePeriods": vec![json!({ "start": 1_761_040_080_000_u64, "end": 1_761_040_114_000_u64 }); 20_000],
    });
    let record = by(Maker::Tracker, PageVisit, &visit).unwrap();
    let kept = body(&record);
    assert_eq!(kept["url"].as_str().map(str::len), Some(MAX_URL_CHARS));
    assert_eq!(kept["metadata"]["url_truncated"], true);
    assert_eq!(kept["metadata"]["fields_dropped"], true);
    assert_eq!(kept["metadata"]["ogType"], "website");
    assert_eq!(kept["source_page_visit_id"], Value::Null);
    assert_eq!(kept["visited_at"], "1970-01-01T00:00:00.005Z");
    assert_eq!(kept["durationSeconds"], 0);
    assert_eq!(kept["engagementRate"], 1.0);
    assert_eq!((kept.get("category"), kept.get("idlePeriods")), (None, None));
    let order: Vec<&String> = kept.as_object().unwrap().keys().collect();
    let sampled = sample(PageVisit);
    assert_eq!(
        order,
        sampled.as_object().unwrap().keys().filter(|name| kept.get(name).is_some()).collect::<Vec<_>>()
    );
    assert!(record.body.len() <= MAX_RECORD_BYTES);

    let short = json!({ "url": format!("https://e.com/a?{}#f", "q".repeat(3000)), "metadata": { "a": vec!["x"; 20_000] } });
    let kept = body(&by(Maker::Tracker, PageVisit, &short).unwrap());
    assert_eq!(kept["url"], "https://e.com/a#f");
    assert_eq!(kept["metadata"], json!({ "metadata_dropped": true }));

    let long = json!({ "current_url": format!("https://e.com/{}", "p".repeat(3000)), "statistics": null });
    let kept = body(&by(Maker::Tracker, TabAggregate, &long).unwrap());
    assert_eq!(kept["statistics"], json!({ "url_truncated": true }));
}

#[test]
fn a_record_and_its_refusal_show_nothing_of_their_content() {
    let record =
        by(Maker::Caller, PageVisit, &json!({ "title": "secret", "url": "https://secret.example/" }))
            .unwrap();
    let shown = format!("{record:?}{:?}{:?}", record.head, SiteRules::new(["secret.example"]));
    assert!(!shown.contains("secret") && !shown.contains("docs.rs"), "{shown}");
    let error = by(Maker::Caller, PageVisit, &json!({ "url": "secret" })).unwrap_err();
    assert_eq!(error.to_string(), "url is not an http or https URL");
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn the_head_names_every_site_that_a_field_names() {
    let changes = json!({
        "domain": "Mirror.Docs.rs",
        "referrer": "https://Search.example:8443/?q",
        "metadata": { "og": [{ "url": "//cdn.example/x" }], "www.shop.example": 1, "text": "Prose. It names nothing." },
        "xn--p1ai.example": true,
    });
    let sites = by(Maker::Caller, PageVisit, &changes).unwrap().head.sites;
    assert_eq!(
        sites,
        [
            "docs.rs",
            "mirror.docs.rs",
            "cdn.example",
            "www.shop.example",
            "search.example",
            "xn--p1ai.example"
        ]
    );
}

#[test]
fn a_head_that_cannot_name_every_site_says_so() {
    let hosts: Map<String, Value> = (0..1000).map(|n| (format!("s{n}.example"), json!(n))).collect();
    let sites = by(Maker::Caller, TabAggregate, &json!({ "domain_durations": hosts })).unwrap().head.sites;
    assert_eq!(sites.len(), MAX_SITES + 1);
    assert_eq!(sites.last().map(String::as_str), Some(MORE_SITES));
    assert!(SiteRules::new(["s999.example"]).may_touch(&sites));
}

#[test]
fn a_source_is_taken_off_the_wire_and_nothing_else() {
    let with_source =
        by(Maker::Caller, PageVisit, &json!({ "source_page_visit_id": "earlier" })).unwrap().body;
    let without = wire::without_source(&with_source).unwrap();
    assert_eq!(without, with_source.replace("\"earlier\"", "null"));
    assert_eq!(wire::without_source(&without), None);
}

#[test]
fn excluded_sites_are_taken_off_the_wire_wherever_they_stand() {
    let rules = SiteRules::new(["bank.example"]);
    let excluded = |host: &str| rules.excludes(host);
    let aggregate = json!({
        "domain_durations": { "docs.rs": 1, "bank.example": 2, "localhost": 3 },
        "current_url": "https://my.bank.example/account",
        "current_domain": "my.bank.example",
        "statistics": { "deep": [{ "seen": ["https://bank.example/", "https://docs.rs/"] }], "bank.example": 1 },
        "extra": "bank.example",
    });
    let given = by(Maker::Caller, TabAggregate, &aggregate).unwrap();
    let sent: Value =
        serde_json::from_str(&wire::without_sites(TabAggregate, &given.body, &excluded).unwrap()).unwrap();
    let mut expected = with(
        TabAggregate,
        &json!({
            "domain_durations": { "docs.rs": 1, "localhost": 3 },
            "statistics": { "deep": [{ "seen": ["https://docs.rs/"] }] },
        }),
    );
    for name in ["current_url", "current_domain"] {
        expected.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(sent, expected);
    assert_eq!(wire::without_sites(TabAggregate, &sent.to_string(), &excluded), None);

    let visit =
        by(Maker::Caller, PageVisit, &json!({ "url": "https://bank.example/", "id": "bank.example", "source_page_visit_id": "id.bank.example" }))
            .unwrap();
    assert_eq!(wire::own_site(&visit.body).as_deref(), Some("bank.example"));
    let kept = wire::without_sites(PageVisit, &visit.body, &|_| true).unwrap();
    let kept: Map<String, Value> = serde_json::from_str(&kept).unwrap();
    assert!(
        ["id", "url", "title", "visited_at", "tabId", "source_page_visit_id"]
            .iter()
            .all(|name| kept.contains_key(*name))
    );
    assert!(!kept.contains_key("domain"));
}

/// Any JSON, with the texts and numbers that break things.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "(https?://)?(www\\.)?[a-zÀ-ü%\\[\\]:@.]{1,12}[/?#|^% é&=]{0,6}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.Z+-]{0,12}",
        Just("news".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2.0..200.0).prop_map(Value::from),
        (0_i64..2_000_000_000_000).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let entries = vec(("[a-z.]{1,8}|[\\PC]{0,4}", inner.clone()), 0..5);
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(PageVisit), Just(TabAggregate)]
}

fn any_maker() -> impl Strategy<Value = Maker> {
    prop_oneof![Just(Maker::Caller), Just(Maker::Tracker)]
}

/// A sample of which some known fields are replaced by anything, and some unknown ones added.
fn nearly_a_record() -> impl Strategy<Value = (Kind, Value)> {
    let replaced = vec((any::<prop::sample::Index>(), any_json()), 0..3);
    let added = vec(("x[a-z.]{1,6}", any_json()), 0..3);
    (any_kind(), replaced, added).prop_map(|(kind, replaced, added)| {
        let mut record = sample(kind);
        let names: Vec<String> = record.as_object().unwrap().keys().cloned().collect();
        for (index, value) in replaced {
            record[index.get(&names)] = value;
        }
        for (name, value) in added {
            record[name] = value;
        }
        (kind, record)
    })
}

fn obeys_every_limit(record: &Record) {
    let body = body(record);
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let within = |name: &str, least: f64, most: f64| match &body[name] {
        Value::Null => true,
        value => value.as_f64().is_some_and(|number| (least..=most).contains(&number)),
    };
    assert!(record.body.len() <= MAX_RECORD_BYTES && !record.body.contains("\\u0000"));
    assert!(!text("id").trim().is_empty() && record.head.id == text("id"));
    assert!(within("revision", 1.0, f64::from(u32::MAX)) && body["revision"] == record.head.revision);
    assert!(record.head.sites.len() <= MAX_SITES + 1);
    for name in ["url", "current_url"] {
        let url = text(name);
        assert!(url.len() <= MAX_URL_CHARS && url.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
        assert!(
            !url.contains(['|', '^', '`', '{', '}', '"', '<', '>', '\\']) && url.matches('#').count() <= 1
        );
    }
    match record.head.kind {
        PageVisit => {
            assert!(
                text("url").starts_with("http")
                    && text("visited_at").len() == 24
                    && text("visited_at").ends_with('Z')
            );
            assert!(text("title").chars().count() <= MAX_TITLE_CHARS);
            assert!(
                within("durationSeconds", 0.0, 86_400.0)
                    && within("activeDuration", 0.0, 2_147_483_647_000.0)
            );
            assert!(within("engagementRate", 0.0, 1.0) && within("categoryConfidence", 0.0, 1.0));
            assert!(within("tabId", f64::from(i32::MIN), f64::from(i32::MAX)));
            assert!(body["metadata"].to_string().len() <= MAX_METADATA_BYTES);
            assert!(body["source_page_visit_id"] != body["id"]);
        }
        TabAggregate => {
            assert!(!text("page_visit_id").trim().is_empty());
            for name in ["total_time_seconds", "active_time_seconds"] {
                assert!(body[name].is_u64() && within(name, 0.0, f64::from(i32::MAX)));
            }
            assert!(within("scroll_depth_percent", 0.0, 100.0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_door_panic(
        text in "\\PC{0,40}|[{}\\[\\]\":,\\\\u0d8c e1-]{0,60}",
        kind in any_kind(),
        maker in any_maker(),
    ) {
        let _ = admit(kind, &text, maker);
        let _ = (wire::without_source(&text), wire::own_site(&text), wire::without_sites(kind, &text, &|_| true));
        let _ = SiteRules::new([&text]).excludes(&text);
    }

    #[test]
    fn no_json_makes_the_door_panic(value in any_json(), kind in any_kind(), maker in any_maker()) {
        let _ = admit(kind, &value.to_string(), maker);
    }

    #[test]
    fn what_enters_obeys_every_limit_and_enters_again_unchanged((kind, value) in nearly_a_record(), maker in any_maker()) {
        if let Ok(record) = admit(kind, &value.to_string(), maker) {
            obeys_every_limit(&record);
            for again in [Maker::Caller, Maker::Tracker] {
                prop_assert_eq!(admit(kind, &record.body, again).map(|same| (same.head, same.body)), Ok((record.head.clone(), record.body.clone())));
            }
        }
    }

    #[test]
    fn fields_that_the_door_does_not_know_survive_in_their_order(
        unknown in vec(("x[a-z.]{1,6}", any_json()), 0..6),
        kind in any_kind(),
    ) {
        let unknown: Map<String, Value> = unknown.into_iter().collect();
        let text = Value::Object(unknown.clone()).to_string();
        prop_assume!(!text.contains("\\u0000"));
        let mut record = sample(kind);
        record.as_object_mut().unwrap().extend(unknown);
        let record = record.to_string();
        prop_assert_eq!(admit(kind, &record, Maker::Caller).map(|admitted| admitted.body), Ok(record));
    }

    #[test]
    fn the_trackers_records_are_never_refused_for_what_the_user_browses(
        tail in "[/?#&=%|^é .]{0,3}\\PC{0,3000}",
        title in any::<String>(),
        numbers in vec(any::<f64>(), 4),
    ) {
        let visit = json!({
            "url": format!("https://e.com/{tail}"),
            "title": title,
            "durationSeconds": numbers[0],
            "activeDuration": numbers[1],
            "engagementRate": numbers[2],
            "visited_at": if numbers[3].is_finite() { json!(numbers[3]) } else { json!(0) },
        });
        obeys_every_limit(&by(Maker::Tracker, PageVisit, &visit).unwrap());
    }

    #[test]
    fn a_normalised_url_is_its_own_normal_form(
        host in "[a-zA-ZÀ-ü0-9._%~!/-]{1,20}(:[0-9]{1,5})?",
        tail in "([/?#\\\\&=%|^\\[\\]é a-f0-9_]|utm_source|\\PC){0,120}",
    ) {
        if let Some(address) = Address::parse(&format!("https://{host}/{tail}")) {
            let text = address.text();
            prop_assert_eq!(Address::parse(&text).map(|again| again.text()), Some(text.clone()));
            for most in 300..320 {
                let cut = address.clone().shortened(most);
                prop_assert_eq!(Address::parse(&cut).map(|again| again.text()), Some(cut));
            }
        }
    }
}
