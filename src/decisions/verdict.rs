//! What an answer means for each record of the batch (rule 1, and the table of the sync loop).

use super::backoff::{self, ServerWait};
use super::protocol::{self, Answer, NamedRecord, WireCounts, Word};
use crate::words::hash::HashSet;
use crate::words::kind::{Kind, PerKind};
use crate::words::time::UnixMillis;

/// Why a request brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The network failed: offline, refused, reset, or a missing host permission; a browser doesn't tell which.
    Network,
    /// The time-out aborted it.
    TimedOut,
    /// The body could not be read to its end.
    BodyCutOff,
}

/// What was sent, as far as a verdict needs it.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Kind and id of every record in the body.
    pub records: &'a [(Kind, &'a str)],
    /// Whether the body was compressed, and nothing shows yet that the server reads that.
    pub compressed: bool,
    /// Whether this server has given counts before.
    pub counts_expected: bool,
}

/// What the records of an acknowledged batch met on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// New there.
    pub created: u64,
    /// Known there at a lower revision.
    pub updated: u64,
    /// No use for it there: known at this revision or a higher one, or erased.
    pub skipped: u64,
    /// Whether the server has counted.
    pub counted: bool,
}

/// What is to be done with a batch. Everything is about this machine's rows; the server has decided already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has every record: delete them all.
    Acknowledged(Tally),
    /// The server has all but these: delete the others, rule 5 for these.
    PartlyAcknowledged(Tally, Vec<NamedRecord>),
    /// The server has none of them because of these: rule 5 for them, the others again.
    RefusedFor(Vec<NamedRecord>),
    /// The server has none of them and doesn't say why: split (rule 5).
    Unexplained,
    /// A 200 whose counts don't account for every record: a failure, at the second time as [`Verdict::Unexplained`].
    Shortfall,
    /// Too many records or bytes: halve the limit.
    TooLarge,
    /// The server doesn't take compressed bodies: repeat without.
    CompressionRefused,
    /// The login is no longer accepted: refresh once, else ask for a sign-in.
    LoginExpired,
    /// The account may not do this.
    NotAllowed,
    /// It may go better later.
    Transient {
        /// What happened.
        cause: Cause,
        /// How long the server asks to be left alone.
        wait: Option<ServerWait>,
    },
    /// It won't go better by itself: keep all, tell the user, don't hammer.
    Permanent(Cause),
}

/// What stood in the way, for the user and the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No answer.
    NoAnswer(NoAnswer),
    /// This status.
    Status(u16),
    /// A 200 that can't be an acknowledgement: a captive portal, a proxy, a server that denies in its body.
    NotAnAcknowledgement,
    /// A redirect.
    Redirect,
}

/// Judges the outcome of one upload.
pub fn judge(sent: Sent<'_>, outcome: Result<&Answer, NoAnswer>, now: UnixMillis) -> Verdict {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(no_answer) => return Verdict::Transient { cause: Cause::NoAnswer(no_answer), wait: None },
    };
    if answer.redirected || (300..400).contains(&answer.status) {
        return Verdict::Permanent(Cause::Redirect);
    }
    let word = if answer.cut_off { None } else { protocol::read_word(&answer.body) };
    let wait = backoff::server_wait(answer, word.as_ref().and_then(|word| word.retry_after_secs), now);
    let transient = |cause| Verdict::Transient { cause, wait };
    match answer.status {
        200 => {
            judge_confirmation(sent, answer, word).unwrap_or_else(|| transient(Cause::NotAnAcknowledgement))
        }
        201..=299 => transient(Cause::NotAnAcknowledgement),
        413 => Verdict::TooLarge,
        400 | 422 => judge_refusal(sent, answer.status, word),
        415 if sent.compressed => Verdict::CompressionRefused,
        500 if sent.compressed && wait.is_none() => Verdict::CompressionRefused,
        401 => Verdict::LoginExpired,
        403 => Verdict::NotAllowed,
        408 | 425 | 429 | 500..=599 => transient(Cause::Status(answer.status)),
        status => Verdict::Permanent(Cause::Status(status)),
    }
}

fn judge_refusal(sent: Sent<'_>, status: u16, word: Option<Word>) -> Verdict {
    let word = word.unwrap_or_default();
    let named = named_among(sent, word.named);
    if word.too_large {
        Verdict::TooLarge
    } else if !named.is_empty() {
        Verdict::RefusedFor(named)
    } else if sent.compressed && status == 400 {
        // A server that names a record has read the body; this one may not have.
        Verdict::CompressionRefused
    } else {
        Verdict::Unexplained
    }
}

// None: a 200 that confirms nothing.
fn judge_confirmation(sent: Sent<'_>, answer: &Answer, word: Option<Word>) -> Option<Verdict> {
    let records = sent.records.len() as u64;
    if !answer.cut_off && answer.body.trim().is_empty() {
        return Some(if sent.counts_expected {
            Verdict::Shortfall
        } else {
            Verdict::Acknowledged(Tally { created: records, ..Tally::default() })
        });
    }
    let word = word?;
    if word.denies {
        return None;
    }
    let names_any = !word.named.is_empty();
    let named = named_among(sent, word.named);
    let rejected = named.len() as u64;
    let tally = match word.counts {
        Some(counts) if accounts_for_all(sent, &counts, &named) => {
            let stored = counts.stored.total();
            let updated = counts.updated.unwrap_or_default().min(stored);
            Tally { created: stored - updated, updated, skipped: counts.ignored, counted: true }
        }
        Some(_) => return Some(Verdict::Shortfall),
        None if sent.counts_expected => return Some(Verdict::Shortfall),
        // Something is wrong, and it is not said with which of them.
        None if word.complains_of_unnamed || (names_any && rejected == 0) => return Some(Verdict::Shortfall),
        None => Tally { created: records - rejected, ..Tally::default() },
    };
    Some(if rejected == 0 { Verdict::Acknowledged(tally) } else { Verdict::PartlyAcknowledged(tally, named) })
}

// Stored, ignored and rejected are all that was sent, and no more of a kind is stored than may be.
fn accounts_for_all(sent: Sent<'_>, counts: &WireCounts, named: &[NamedRecord]) -> bool {
    let good = |kind: Kind| {
        let sent = sent.records.iter().filter(|(each, _)| *each == kind).count();
        sent.saturating_sub(named.iter().filter(|each| each.kind == Some(kind)).count()) as u64
    };
    let PerKind { page_visits, tab_aggregates } = counts.stored;
    let accounted = [page_visits, tab_aggregates, counts.ignored, counts.rejected]
        .into_iter()
        .fold(0_u64, u64::saturating_add);
    accounted == sent.records.len() as u64
        && page_visits <= good(Kind::PageVisit)
        && tab_aggregates <= good(Kind::TabAggregate)
        && counts.rejected == named.len() as u64
}

// Records that were never sent are nobody's business; one that is named twice is named once.
fn named_among(sent: Sent<'_>, named: Vec<NamedRecord>) -> Vec<NamedRecord> {
    let records: HashSet<(Kind, &str)> = sent.records.iter().copied().collect();
    let mut seen = HashSet::default();
    let mut among = Vec::new();
    for record in named {
        for kind in Kind::ALL.into_iter().filter(|kind| record.kind.is_none_or(|told| told == *kind)) {
            if records.contains(&(kind, &record.id)) && seen.insert((kind, record.id.clone())) {
                among.push(NamedRecord { kind: Some(kind), ..record.clone() });
            }
        }
    }
    among
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: [(Kind, &str); 3] =
        [(Kind::PageVisit, "a"), (Kind::PageVisit, "b"), (Kind::TabAggregate, "c")];

    fn judged(status: u16, body: &str) -> Verdict {
        judged_when(status, body, false)
    }

    fn judged_when(status: u16, body: &str, counts_expected: bool) -> Verdict {
        let answer = Answer { status, body: body.into(), ..Answer::default() };
        judge(Sent { records: &RECORDS, compressed: false, counts_expected }, Ok(&answer), UnixMillis(0))
    }

    fn counts(visits: u64, aggregates: u64, ignored: u64, rejected: u64, errors: &str) -> String {
        format!(
            r#"{{"success":true,"data":{{"page_visits_synced":{visits},"tab_aggregates_synced":{aggregates},
               "ignored_records_count":{ignored},"rejected_records_count":{rejected},"validation_errors":[{errors}]}}}}"#
        )
    }

    #[test]
    fn a_200_whose_counts_account_for_every_record_acknowledges_them() {
        assert!(
            matches!(judged(200, &counts(2, 1, 0, 0, "")), Verdict::Acknowledged(t) if t.created == 3 && t.counted)
        );
        assert!(matches!(judged(200, &counts(1, 0, 2, 0, "")), Verdict::Acknowledged(t) if t.skipped == 2));
    }

    #[test]
    fn a_200_whose_counts_fall_short_or_exceed_is_a_shortfall() {
        for body in [
            counts(2, 0, 0, 0, ""),
            counts(0, 0, 0, 0, ""),
            counts(2, 2, 0, 0, ""),
            counts(2, 0, 0, 1, ""),
            counts(u64::MAX, 1, 2, 1, ""),
        ] {
            assert_eq!(judged(200, &body), Verdict::Shortfall, "{body}");
        }
    }

    #[test]
    fn counts_that_name_more_of_a_kind_than_can_be_stored_are_a_shortfall() {
        let error = r#"{"record_id":"b","record_type":"page_visit"}"#;
        for body in [counts(3, 0, 0, 0, ""), counts(1, 2, 0, 0, ""), counts(2, 0, 0, 1, error)] {
            assert_eq!(judged(200, &body), Verdict::Shortfall, "{body}");
        }
    }

    #[test]
    fn counts_or_complaints_in_part_are_no_silence() {
        for body in [
            r#"{"success":true,"data":{"rejected_records_count":3}}"#,
            r#"{"success":true,"data":{"page_visits_synced":"3"}}"#,
            r#"{"success":true,"failed_records":[{"message":"bad"}]}"#,
            r#"{"success":true,"failed_records":["a",{"message":"bad"}]}"#,
        ] {
            assert_eq!(judged(200, body), Verdict::Shortfall, "{body}");
        }
        let mere_id = judged(200, r#"{"success":true,"failed_records":["a"]}"#);
        assert!(
            matches!(mere_id, Verdict::PartlyAcknowledged(t, named) if t.created == 2 && named.len() == 1)
        );
    }

    #[test]
    fn a_200_without_counts_acknowledges_unless_counts_were_given_before() {
        for body in ["", "  ", "{}", r#"{"success":true}"#] {
            assert!(
                matches!(judged(200, body), Verdict::Acknowledged(t) if t.created == 3 && !t.counted),
                "{body}"
            );
            assert_eq!(judged_when(200, body, true), Verdict::Shortfall, "{body}");
        }
    }

    #[test]
    fn a_200_that_denies_or_is_no_json_object_confirms_nothing() {
        for body in
            [r#"{"success":false}"#, r#"{"error":"x"}"#, "<html></html>", "[]", "ok", "{\"success\":tr"]
        {
            assert!(
                matches!(judged(200, body), Verdict::Transient { cause: Cause::NotAnAcknowledgement, .. }),
                "{body}"
            );
        }
        for status in [201, 202, 204, 207] {
            assert!(matches!(judged(status, ""), Verdict::Transient { .. }), "{status}");
        }
    }

    #[test]
    fn a_redirect_never_acknowledges() {
        let answer = Answer { status: 200, redirected: true, ..Answer::default() };
        let sent = Sent { records: &RECORDS, compressed: false, counts_expected: false };
        assert_eq!(judge(sent, Ok(&answer), UnixMillis(0)), Verdict::Permanent(Cause::Redirect));
        assert_eq!(judged(302, ""), Verdict::Permanent(Cause::Redirect));
    }

    #[test]
    fn a_partial_200_names_what_it_rejected() {
        let error = r#"{"record_id":"b","record_type":"page_visit","message":"no"}"#;
        let verdict = judged(200, &counts(1, 1, 0, 1, &format!("{error},{error}")));
        assert!(
            matches!(verdict, Verdict::PartlyAcknowledged(t, n) if t.created == 2 && n.len() == 1 && n[0].id == "b")
        );
    }

    #[test]
    fn records_that_were_never_sent_are_not_believed() {
        let stranger = r#"{"record_id":"z","message":"no"}"#;
        assert_eq!(judged(200, &counts(1, 1, 0, 1, stranger)), Verdict::Shortfall);
        assert_eq!(judged(400, r#"{"failed_records":[{"id":"z","error":"no"}]}"#), Verdict::Unexplained);
        let other_kind = r#"{"record_id":"b","record_type":"tab_aggregate","message":"no"}"#;
        assert_eq!(judged(200, &counts(1, 1, 0, 1, other_kind)), Verdict::Shortfall);
    }

    #[test]
    fn a_refusal_that_names_records_is_about_these() {
        let verdict = judged(400, r#"{"error":"x","failed_records":[{"id":"c","error":"no"},{"id":"a"}]}"#);
        assert!(matches!(verdict, Verdict::RefusedFor(named) if named.len() == 2));
        assert_eq!(judged(400, r#"{"success":false,"errors":[]}"#), Verdict::Unexplained);
        assert_eq!(judged(422, "<html>"), Verdict::Unexplained);
    }

    #[test]
    fn the_other_statuses_keep_everything() {
        assert_eq!(judged(401, ""), Verdict::LoginExpired);
        assert_eq!(judged(403, ""), Verdict::NotAllowed);
        assert_eq!(judged(413, ""), Verdict::TooLarge);
        assert_eq!(judged(400, r#"{"message":"Batch size exceeded. Maximum 1000"}"#), Verdict::TooLarge);
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judged(status, ""), Verdict::Transient { .. }), "{status}");
        }
        for status in [404, 405, 410, 418, 451] {
            assert_eq!(judged(status, ""), Verdict::Permanent(Cause::Status(status)));
        }
    }

    #[test]
    fn a_refused_compression_is_told_apart_from_refused_records() {
        for status in [400, 415, 500] {
            let answer = Answer { status, ..Answer::default() };
            let sent = Sent { records: &RECORDS, compressed: true, counts_expected: false };
            assert_eq!(judge(sent, Ok(&answer), UnixMillis(0)), Verdict::CompressionRefused);
        }
        let body = r#"{"failed_records":[{"id":"a"}]}"#.to_owned();
        let answer = Answer { status: 400, body, ..Answer::default() };
        let sent = Sent { records: &RECORDS, compressed: true, counts_expected: false };
        assert!(matches!(judge(sent, Ok(&answer), UnixMillis(0)), Verdict::RefusedFor(_)));
    }
}
