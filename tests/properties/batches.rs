//! Cutting batches: arbitrary backlogs, read in windows as a slice reads them, and arbitrary limits.

use std::collections::HashSet;

use heyho_sync::decisions::batch::{Candidate, Cut, Limits, cut, independent, latest_of_each};
use heyho_sync::decisions::limits::Adaptive;
use heyho_sync::decisions::protocol::{BODY_HEAD, BODY_MIDDLE, BODY_TAIL};
use heyho_sync::words::key::RowKey;
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::policy::Policy;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

/// A row of the outbox.
#[derive(Debug, Clone)]
struct Row {
    kind: Kind,
    key: RowKey,
    id: String,
    revision: u32,
    bytes: usize,
    follows: Option<RowKey>,
}

impl Row {
    fn candidate(&self) -> Candidate<'_> {
        let Self { key, ref id, revision, bytes, follows, .. } = *self;
        Candidate { key, id, revision, bytes, follows }
    }
}

/// Rows in key order, as capture makes them: ids come back as later (or the same) revisions, references point to rows
/// that were captured before; some of what they point to has left the outbox.
fn backlog() -> impl Strategy<Value = Vec<Row>> {
    let size = prop_oneof![6 => 2..60_usize, 1 => 60..200_usize];
    let row = (any::<bool>(), any::<u16>(), 1..4_u32, size, any::<u16>(), 0..10_u8, 1..4_u64, 0..8_u8);
    (1..40_u16, vec(row, 0..70)).prop_map(|(ids, seeds)| {
        let (mut rows, mut left, mut count) = (Vec::<Row>::new(), Vec::new(), 0);
        for (is_visit, id, revision, bytes, target, refers, step, leaves) in seeds {
            count += step;
            let key = RowKey::new(3, count);
            let kind = if is_visit { Kind::PageVisit } else { Kind::TabAggregate };
            let visits: Vec<RowKey> = rows
                .iter()
                .chain(&left)
                .filter(|row| row.kind == Kind::PageVisit)
                .map(|row| row.key)
                .collect();
            let follows =
                (refers > 1 && !visits.is_empty()).then(|| visits[usize::from(target) % visits.len()]);
            let row = Row { kind, key, id: format!("id-{}", id % ids), revision, bytes, follows };
            if leaves == 0 { left.push(row) } else { rows.push(row) }
        }
        rows
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let bytes = prop_oneof![3 => 45..400_usize, 1 => 0..45_usize, 2 => 400..4_000_usize];
    (1..12_usize, 1..12_usize, bytes, 0..300_usize).prop_map(|(visits, aggregates, bytes, shrunk_by)| {
        Limits {
            records: PerKind { page_visits: visits, tab_aggregates: aggregates },
            bytes: bytes.saturating_sub(shrunk_by),
            most_bytes: bytes,
        }
    })
}

/// What a slice holds in memory: of each kind at least as many rows as a batch may carry, or all that there are.
fn windows<'a>(rows: &'a [Row], limits: &Limits, read_ahead: PerKind<usize>) -> PerKind<Vec<Candidate<'a>>> {
    let of_kind = |kind: Kind| {
        let rows = rows.iter().filter(|row| row.kind == kind).map(Row::candidate);
        rows.take(limits.records.of(kind) + read_ahead.of(kind)).collect()
    };
    PerKind { page_visits: of_kind(Kind::PageVisit), tab_aggregates: of_kind(Kind::TabAggregate) }
}

fn read_ahead() -> impl Strategy<Value = PerKind<usize>> {
    let rows = prop_oneof![Just(0), 0..4_usize, Just(100)];
    (rows.clone(), rows).prop_map(|(page_visits, tab_aggregates)| PerKind { page_visits, tab_aggregates })
}

/// The rows of each record's highest revision among `rows`; the first of equals.
fn latest<'a, 'b>(rows: &'b [Candidate<'a>]) -> Vec<&'b Candidate<'a>> {
    let beats = |one: &Candidate<'_>, other: &Candidate<'_>| {
        one.revision > other.revision || (one.revision == other.revision && one.key < other.key)
    };
    let is_latest = |row: &&Candidate<'_>| !rows.iter().any(|other| other.id == row.id && beats(other, row));
    rows.iter().filter(is_latest).collect()
}

/// The body of a request that covers so many rows, written out.
fn body_of(heads: &PerKind<Vec<Candidate<'_>>>, covered: &PerKind<usize>) -> String {
    let records = |kind: Kind| {
        let sent = latest(&heads.of(kind)[..*covered.of(kind)]);
        sent.iter().map(|row| "r".repeat(row.bytes)).collect::<Vec<_>>().join(",")
    };
    [BODY_HEAD, &records(Kind::PageVisit), BODY_MIDDLE, &records(Kind::TabAggregate), BODY_TAIL].concat()
}

fn sent_of(heads: &PerKind<Vec<Candidate<'_>>>, covered: &PerKind<usize>, kind: Kind) -> usize {
    latest(&heads.of(kind)[..*covered.of(kind)]).len()
}

/// A kind's next row, if nothing but its bytes keeps it out of the cut.
fn next_that_may_join<'a, 'b>(
    heads: &'b PerKind<Vec<Candidate<'a>>>,
    covered: &PerKind<usize>,
    limits: &Limits,
    kind: Kind,
) -> Option<&'b Candidate<'a>> {
    let next = heads.of(kind).get(*covered.of(kind))?;
    let mut with_it = *covered;
    *with_it.of_mut(kind) += 1;
    let room = sent_of(heads, &with_it, kind) <= *limits.records.of(kind);
    // It may wait for a visit that has left the outbox in the meantime, as long as older ones have not.
    let may_wait = |visit: RowKey| {
        let first_behind = heads.page_visits.get(covered.page_visits);
        first_behind.is_some_and(|behind| behind.key <= visit)
            || heads.page_visits.last().is_some_and(|last| last.key < visit)
    };
    let waits = kind == Kind::TabAggregate && next.follows.is_some_and(may_wait);
    (room && !waits).then_some(next)
}

/// Whether the visit of an aggregate still is in the outbox, behind the cut.
fn waits_for_its_visit(
    rows: &[Row],
    heads: &PerKind<Vec<Candidate<'_>>>,
    covered: &PerKind<usize>,
    aggregate: &Candidate<'_>,
) -> bool {
    let within = &heads.page_visits[..covered.page_visits];
    aggregate.follows.is_some_and(|visit| {
        rows.iter().any(|row| row.key == visit) && !within.iter().any(|row| row.key == visit)
    })
}

fn check_cut(
    rows: &[Row],
    heads: &PerKind<Vec<Candidate<'_>>>,
    limits: &Limits,
) -> Result<Cut, TestCaseError> {
    let cut = cut(heads, limits);
    let covered = cut.covered;
    let body = body_of(heads, &covered);
    prop_assert_eq!(cut.bytes, body.len());
    for kind in Kind::ALL {
        prop_assert!(*covered.of(kind) <= heads.of(kind).len());
        prop_assert!(sent_of(heads, &covered, kind) <= *limits.records.of(kind));
        let ids = heads.of(kind)[..*covered.of(kind)].iter().map(|row| (row.id, row.revision));
        let sent: Vec<_> = latest(&heads.of(kind)[..*covered.of(kind)]).iter().map(|row| row.key).collect();
        let chosen: Vec<_> = latest_of_each(ids).into_iter().map(|index| heads.of(kind)[index].key).collect();
        prop_assert_eq!(sent, chosen);
    }
    for aggregate in &heads.tab_aggregates[..covered.tab_aggregates] {
        prop_assert!(!waits_for_its_visit(rows, heads, &covered, aggregate), "sent before its visit");
    }
    let records = covered.page_visits + covered.tab_aggregates;
    let alone = records == 1 && body.len() <= limits.most_bytes;
    prop_assert!(records == 0 || body.len() <= limits.bytes || alone, "over the limit: {cut:?}");

    let oldest = Kind::ALL.into_iter().filter_map(|kind| Some((heads.of(kind).first()?.key, kind))).min();
    if let Some(kind) = cut.never_fits {
        let mut one = PerKind::default();
        *one.of_mut(kind) = 1;
        prop_assert_eq!(records, 0);
        prop_assert_eq!(oldest.map(|(_, oldest)| oldest), Some(kind));
        prop_assert!(body_of(heads, &one).len() > limits.most_bytes);
    } else {
        prop_assert_eq!(records == 0, oldest.is_none(), "nothing was cut, and nobody is to blame");
    }

    let joining = Kind::ALL.map(|kind| (kind, next_that_may_join(heads, &covered, limits, kind)));
    for (kind, next) in joining {
        let Some(next) = next else { continue };
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            let younger = heads.of(other)[..*covered.of(other)].iter().any(|row| row.key > next.key);
            prop_assert!(!younger, "a younger record of the other kind was preferred");
        }
    }
    let next = joining.into_iter().filter_map(|(kind, next)| Some((next?.key, kind))).min();
    if let (Some((_, kind)), None, true) = (next, cut.never_fits, body.len() <= limits.bytes) {
        let mut with_it = covered;
        *with_it.of_mut(kind) += 1;
        prop_assert!(body_of(heads, &with_it).len() > limits.bytes, "room was left: {cut:?}");
    }
    Ok(cut)
}

fn batch() -> impl Strategy<Value = Vec<(Kind, u64, u8, Option<u64>)>> {
    let kind = prop_oneof![Just(Kind::PageVisit), Just(Kind::TabAggregate)];
    vec((kind, 0..40_u64, 0..12_u8, prop::option::of(0..40_u64)), 0..6)
}

proptest! {
    #![proptest_config(cases(2_048))]

    #[test]
    fn a_batch_keeps_every_limit_and_wastes_no_room(
        rows in backlog(),
        limits in limits(),
        read_ahead in read_ahead(),
    ) {
        check_cut(&rows, &windows(&rows, &limits, read_ahead), &limits)?;
    }

    #[test]
    fn every_backlog_drains_whatever_the_limits_are(
        mut rows in backlog(),
        limits in vec(limits(), 1..5),
        read_ahead in read_ahead(),
    ) {
        for round in 0.. {
            let limits = &limits[round % limits.len()];
            let heads = windows(&rows, limits, read_ahead);
            let cut = check_cut(&rows, &heads, limits)?;
            let mut gone = HashSet::new();
            for kind in Kind::ALL {
                let leaves = *cut.covered.of(kind) + usize::from(cut.never_fits == Some(kind));
                gone.extend(heads.of(kind)[..leaves].iter().map(|row| row.key));
            }
            if gone.is_empty() {
                break;
            }
            rows.retain(|row| !gone.contains(&row.key));
        }
        prop_assert!(rows.is_empty(), "stuck");
    }

    #[test]
    fn batches_are_independent_only_if_they_share_no_record_and_no_reference(one in batch(), other in batch()) {
        let names: Vec<String> = (0..12).map(|id| format!("id-{id}")).collect();
        let rows = |batch: &[(Kind, u64, u8, Option<u64>)], twice: u64| -> Vec<(Kind, Candidate<'_>)> {
            let rows = batch.iter().map(|(kind, count, id, follows)| {
                // Even places belong to one batch, odd ones to the other.
                let key = RowKey::new(1, count * 2 + twice);
                let follows = follows.map(|count| RowKey::new(1, count));
                (*kind, Candidate { key, id: &names[usize::from(*id)], revision: 1, bytes: 9, follows })
            });
            rows.collect()
        };
        let (one, other) = (rows(&one, 0), rows(&other, 1));
        let mut shared = false;
        for (kind, row) in &one {
            for (other_kind, other_row) in &other {
                shared |= kind == other_kind && row.id == other_row.id;
                shared |= row.follows == Some(other_row.key) || other_row.follows == Some(row.key);
            }
        }
        prop_assert_eq!(independent(&one, &other), !shared);
        prop_assert_eq!(independent(&other, &one), !shared);
    }

    #[test]
    fn an_adapted_limit_stays_between_one_record_and_the_policys_and_grows_back(
        most in (1..=100_usize, 1..=100_usize, 100..600_000_usize),
        troubles in vec(prop::option::of((0..=100_usize, 0..600_000_usize)), 0..40),
    ) {
        let max_records = PerKind { page_visits: most.0, tab_aggregates: most.1 };
        let policy = Policy { max_records, max_body_bytes: most.2, ..Policy::default() };
        let whole = Adaptive::default().limits(&policy);
        let mut adaptive = Adaptive::default();
        for trouble in troubles {
            let before = adaptive.limits(&policy);
            adaptive = match trouble {
                Some((records, bytes)) => Adaptive::halved(records, bytes),
                None => adaptive.grown(&policy),
            };
            let limits = adaptive.limits(&policy);
            prop_assert!(limits.bytes <= policy.max_body_bytes && limits.most_bytes == policy.max_body_bytes);
            for kind in Kind::ALL {
                prop_assert!((1..=*policy.max_records.of(kind)).contains(limits.records.of(kind)));
                match trouble {
                    Some((records, _)) => prop_assert!(*limits.records.of(kind) <= (records / 2).max(1)),
                    None => prop_assert!(limits.records.of(kind) >= before.records.of(kind)),
                }
            }
        }
        for _ in 0..30 {
            adaptive = adaptive.grown(&policy);
        }
        prop_assert_eq!(adaptive.limits(&policy), whole);
    }
}
