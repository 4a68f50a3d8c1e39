//! What is fuzzed: the parser of an answer's body, the verdict on a whole answer, and the server's door.

use std::hash::{DefaultHasher, Hash, Hasher};

use heyho_sync::decisions::backoff::{Retry, server_wait};
use heyho_sync::decisions::protocol::{Answer, NamedRecord, read_word};
use heyho_sync::decisions::verdict::{Sent, Tally, Verdict, judge};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::time::{Millis, UnixMillis};
use serde_json::{Map, Value};

use crate::backend::run_batch;
use crate::oracle::{allowed, fate};

/// Runs one input, panics where something is wrong with what came out, and says which behaviour it was.
pub type Run = fn(&[u8]) -> u64;

/// A thing to be fuzzed.
pub struct Target {
    pub name: &'static str,
    pub run: Run,
}

pub const TARGETS: [Target; 3] = [
    Target { name: "word", run: run_word },
    Target { name: "verdict", run: run_verdict },
    Target { name: "batch", run: run_batch },
];

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
/// A day, and a tenth more.
const LONGEST_WAIT: Millis = Millis(24 * 3_600_000 * 11 / 10);

pub(crate) fn behaviour(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

// The input is a body.
fn run_word(input: &[u8]) -> u64 {
    let body = String::from_utf8_lossy(input);
    let word = read_word(&body);
    let object = serde_json::from_str::<Map<String, Value>>(&body);
    assert_eq!(word.is_some(), object.is_ok(), "a word is read from JSON objects and from nothing else");
    let (Some(word), Ok(object)) = (word, object) else { return 0 };

    let written_again = serde_json::to_string(&object).unwrap_or_default();
    assert_eq!(read_word(&written_again).as_ref(), Some(&word), "blanks and escapes say something");
    let half = (0..=body.len() / 2).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
    let (first, rest) = body.split_at(half);
    assert!(rest.trim().is_empty() || read_word(first).is_none(), "half of a body was believed");
    for NamedRecord { words, .. } in &word.named {
        assert!(words.chars().count() <= 200, "a server's words without a bound");
        let unnamed = NamedRecord { kind: None, id: String::new(), words: words.clone() };
        assert_eq!(format!("{unnamed:?}"), r#"NamedRecord { id: "", .. }"#, "a server's words in a log");
    }
    let answer = Answer { status: 429, ..Answer::default() };
    let wait = server_wait(&answer, word.retry_after_secs, NOW);
    if let Some(wait) = wait {
        let retry = Retry::after_failure(None, Some(wait), NOW, u64::MAX);
        assert!(wait.0 > Millis(0) && retry.not_before <= NOW + LONGEST_WAIT, "a wait without a bound");
    }
    let counts = word.counts.map(|counts| {
        let of = [counts.stored.page_visits, counts.stored.tab_aggregates, counts.ignored, counts.rejected];
        (of.contains(&0), of.contains(&u64::MAX))
    });
    let named = (word.named.len().min(2), word.named.first().and_then(|record| record.kind));
    behaviour((counts, named, word.denies, word.too_large, word.complains_of_unnamed, wait.is_some()))
}

/// What a batch may have sent; two kinds share an id, and one id looks like a number.
const SENT: [(Kind, &str); 6] = [
    (Kind::PageVisit, "a"),
    (Kind::TabAggregate, "c"),
    (Kind::PageVisit, "b"),
    (Kind::TabAggregate, "7"),
    (Kind::TabAggregate, "a"),
    (Kind::PageVisit, "d"),
];

// The input is an answer: a line with the status and flags, headers, an empty line, the body.
fn run_verdict(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
    let flag = |name: &str| first.split_whitespace().any(|word| word == name);
    let header = |name: &str| {
        headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(each, _)| *each == name)
            .map(|(_, value)| value)
    };
    let answer = Answer {
        status: first.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(200),
        redirected: flag("redirected"),
        retry_after: header("Retry-After").map(str::to_owned),
        rate_limit_reset: header("X-RateLimit-Reset").map(str::to_owned),
        date: header("Date").map(str::to_owned),
        body: body.to_owned(),
        cut_off: flag("cut"),
    };
    let wanted =
        first.split_whitespace().find_map(|word| word.strip_prefix("sent=")?.parse().ok()).unwrap_or(3);
    let records = &SENT[..SENT.len().min(wanted).max(1)];
    let sent = Sent { records, compressed: flag("compressed"), counts_expected: flag("counts") };

    let verdict = judge(sent, Ok(&answer), NOW);
    let allowed = allowed(&sent, &answer);
    let fate = fate(&verdict);
    assert!(allowed.contains(&fate), "{fate:?}, where {allowed:?} was to be");
    let covers =
        |tally: Tally, records: usize| tally.created + tally.updated + tally.skipped == records as u64;
    let shape = match &verdict {
        Verdict::Acknowledged(tally) => {
            assert!(covers(*tally, records.len()), "the tally leaves records out");
            (tally.created.min(1), tally.updated.min(1), tally.skipped.min(1))
        }
        Verdict::PartlyAcknowledged(tally, bad) => {
            assert!(covers(*tally, records.len() - bad.len()), "the tally leaves records out");
            (tally.created.min(1), tally.updated.min(1), bad.len() as u64)
        }
        Verdict::RefusedFor(bad) => (bad.len() as u64, 0, 0),
        Verdict::Transient { wait: Some(wait), .. } => {
            let retry = Retry::after_failure(None, Some(*wait), NOW, u64::MAX);
            assert!(wait.0 > Millis(0) && retry.not_before <= NOW + LONGEST_WAIT, "a wait without a bound");
            (u64::from(wait.0 > Millis(60_000)), 1, 0)
        }
        _ => (0, 0, 0),
    };
    let head = ((answer.status / 100).min(6), sent.compressed, sent.counts_expected);
    behaviour((std::mem::discriminant(&verdict), shape, head))
}
