//! What must become of a batch, read from the table of the sync loop and the rules of delivery, not from the code.
//!
//! Where rows of the table overlap, every row that fits is allowed. Where the table is silent, the oracle takes the
//! reading that keeps records:
//! - a status that no row mentions (below 200, above 599) keeps everything, in whatever way;
//! - denials, counts and lists of bad records are looked for in the body and in its `data`; if both count, `data`
//!   counts; a count that is there but is no whole number accounts for nothing;
//! - `success` and `ok` are false whenever JavaScript takes them for false;
//! - a list of bad records that doesn't say which ones is a shortfall, unless counts account for every record.

use std::collections::BTreeSet;

use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::verdict::{Cause, Sent, Verdict};
use heyho_sync::words::kind::Kind;
use serde_json::Value;

/// Records by kind and id.
pub type Records = BTreeSet<(Kind, String)>;

/// What becomes of a batch, in the words of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Deleted,
    DeletedBut(Records),
    RefusedFor(Records),
    Split,
    FallsShort,
    LimitHalved,
    RepeatedUncompressed,
    SignInAgain,
    NotAllowed,
    TriedLater,
    KeptForTheUser,
}

/// A verdict in the words of the table.
pub fn fate(verdict: &Verdict) -> Fate {
    let records = |named: &[heyho_sync::decisions::protocol::NamedRecord]| {
        named.iter().map(|each| (each.kind.unwrap(), each.id.clone())).collect()
    };
    match verdict {
        Verdict::Acknowledged(_) => Fate::Deleted,
        Verdict::PartlyAcknowledged(_, named) => Fate::DeletedBut(records(named)),
        Verdict::RefusedFor(named) => Fate::RefusedFor(records(named)),
        Verdict::Unexplained => Fate::Split,
        Verdict::Shortfall => Fate::FallsShort,
        Verdict::TooLarge => Fate::LimitHalved,
        Verdict::CompressionRefused => Fate::RepeatedUncompressed,
        Verdict::LoginExpired => Fate::SignInAgain,
        Verdict::NotAllowed => Fate::NotAllowed,
        Verdict::Transient { cause: Cause::Redirect, .. } => {
            unreachable!("a redirect is no transient failure")
        }
        Verdict::Transient { .. } => Fate::TriedLater,
        Verdict::Permanent(_) => Fate::KeptForTheUser,
    }
}

/// Every fate that the table allows.
pub fn allowed(sent: &Sent<'_>, answer: &Answer) -> Vec<Fate> {
    if answer.redirected || (300..400).contains(&answer.status) {
        return vec![Fate::KeptForTheUser];
    }
    let body = body_of(answer);
    let mut fates = Vec::new();
    if answer.status >= 400 && complains_of_size(&body) {
        fates.push(Fate::LimitHalved);
    }
    // The row about the first compressed body stands in for those about the same status.
    let asks_for_a_wait = matches!(&body, Body::Object(object) if levels(object).any(|level| level.get("retry_after").is_some()));
    let about_compression = sent.compressed && [400, 415, 500].contains(&answer.status);
    if about_compression {
        fates.push(Fate::RepeatedUncompressed);
    }
    match answer.status {
        200 => fates.push(confirmed(sent, &body)),
        201..=299 => fates.push(Fate::TriedLater),
        400 | 422 => {
            let named = lists_of(&body).among(sent);
            if !named.is_empty() {
                fates.push(Fate::RefusedFor(named));
            } else if fates.is_empty() {
                fates.push(Fate::Split);
            }
        }
        401 => fates.push(Fate::SignInAgain),
        403 => fates.push(Fate::NotAllowed),
        413 => fates.push(Fate::LimitHalved),
        // A wait is heeded before anything is repeated.
        500 if about_compression && asks_for_a_wait => fates.push(Fate::TriedLater),
        415 | 500 if about_compression => {}
        408 | 425 | 429 | 500..=599 => fates.push(Fate::TriedLater),
        400..=499 => fates.push(Fate::KeptForTheUser),
        _ => fates.extend([Fate::TriedLater, Fate::KeptForTheUser]),
    }
    fates
}

fn complains_of_size(body: &Body) -> bool {
    let Body::Object(object) = body else { return false };
    let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
    message.to_lowercase().contains("batch size exceeded")
}

enum Body {
    Empty,
    Object(Value),
    Other,
}

fn body_of(answer: &Answer) -> Body {
    if answer.cut_off {
        return Body::Other;
    }
    if answer.body.trim().is_empty() {
        return Body::Empty;
    }
    match serde_json::from_str::<Value>(&answer.body) {
        Ok(object) if object.is_object() => Body::Object(object),
        _ => Body::Other,
    }
}

// A 200: does it confirm, and what?
fn confirmed(sent: &Sent<'_>, body: &Body) -> Fate {
    let object = match body {
        Body::Other => return Fate::TriedLater,
        Body::Empty if sent.counts_expected => return Fate::FallsShort,
        Body::Empty => return Fate::Deleted,
        Body::Object(object) => object,
    };
    if levels(object).any(denies) {
        return Fate::TriedLater;
    }
    let lists = lists_of(body);
    let bad = lists.among(sent);
    let acknowledged = if bad.is_empty() { Fate::Deleted } else { Fate::DeletedBut(bad.clone()) };
    let counting = [object.get("data"), Some(object)]
        .into_iter()
        .flatten()
        .find(|level| COUNTS.iter().any(|name| level.get(name).is_some_and(|count| !count.is_null())));
    let Some(counting) = counting else {
        let says_which = lists.entries == 0 || (lists.all_readable && !bad.is_empty());
        return if !sent.counts_expected && says_which { acknowledged } else { Fate::FallsShort };
    };
    let mut counts = Vec::new();
    for name in COUNTS {
        match counting.get(name) {
            None | Some(Value::Null) => counts.push(0),
            Some(count) => match count.as_u64() {
                Some(count) => counts.push(u128::from(count)),
                None => return Fate::FallsShort,
            },
        }
    }
    let stored_of = |kind, count: u128| {
        let of_kind = |records: usize, bad: usize| count <= (records - bad) as u128;
        let records = sent.records.iter().filter(|(each, _)| *each == kind).count();
        of_kind(records, bad.iter().filter(|(each, _)| *each == kind).count())
    };
    let accounts = counts.iter().sum::<u128>() == sent.records.len() as u128
        && stored_of(Kind::PageVisit, counts[0])
        && stored_of(Kind::TabAggregate, counts[1])
        && counts[3] == bad.len() as u128;
    if accounts { acknowledged } else { Fate::FallsShort }
}

const COUNTS: [&str; 4] =
    ["page_visits_synced", "tab_aggregates_synced", "ignored_records_count", "rejected_records_count"];

fn levels(object: &Value) -> impl Iterator<Item = &Value> {
    [Some(object), object.get("data")].into_iter().flatten()
}

fn denies(level: &Value) -> bool {
    let says = |name: &str| level.get(name);
    says("error").is_some_and(truthy)
        || says("errors").is_some_and(filled)
        || says("success").is_some_and(|flag| !truthy(flag))
        || says("ok").is_some_and(|flag| !truthy(flag))
}

/// As JavaScript has it.
fn truthy(value: &Value) -> bool {
    !(value.is_null()
        || *value == Value::Bool(false)
        || value.as_f64() == Some(0.0)
        || value.as_str() == Some(""))
}

fn filled(value: &Value) -> bool {
    truthy(value) && *value != serde_json::json!([]) && *value != serde_json::json!({})
}

/// What the lists of bad records hold, in either of the two shapes.
#[derive(Default)]
struct Lists {
    entries: usize,
    all_readable: bool,
    named: Vec<(Option<Kind>, String)>,
}

impl Lists {
    fn among(&self, sent: &Sent<'_>) -> Records {
        let mut among = Records::new();
        for (kind, id) in sent.records {
            if self
                .named
                .iter()
                .any(|(named_kind, named)| named == id && named_kind.unwrap_or(*kind) == *kind)
            {
                among.insert((*kind, (*id).to_owned()));
            }
        }
        among
    }
}

fn lists_of(body: &Body) -> Lists {
    let mut lists = Lists { all_readable: true, ..Lists::default() };
    let Body::Object(object) = body else { return lists };
    for level in levels(object) {
        for name in ["failed_records", "validation_errors", "errors"] {
            let Some(list) = level.get(name).filter(|list| filled(list)) else { continue };
            let Some(list) = list.as_array() else {
                lists.entries += 1;
                lists.all_readable = false;
                continue;
            };
            for entry in list {
                lists.entries += 1;
                match named(entry) {
                    Some(record) => lists.named.push(record),
                    None => lists.all_readable = false,
                }
            }
        }
    }
    lists
}

fn named(entry: &Value) -> Option<(Option<Kind>, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let id = text(entry)
        .or_else(|| entry.get("id").and_then(text))
        .or_else(|| entry.get("record_id").and_then(text));
    let kind = match entry.get("record_type").and_then(Value::as_str) {
        Some("page_visit") => Some(Kind::PageVisit),
        Some("tab_aggregate") => Some(Kind::TabAggregate),
        _ => None,
    };
    Some((kind, id?))
}
