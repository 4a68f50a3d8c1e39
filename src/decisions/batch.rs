//! What goes into the next request (rules 2, 3 and 6).

use super::protocol::EMPTY_BODY_BYTES;
use crate::words::hash::{HashMap, HashSet};
use crate::words::key::RowKey;
use crate::words::kind::{Kind, PerKind};
use crate::words::order;

/// The limits of one request; they shrink on trouble and never exceed the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most records of a kind.
    pub records: PerKind<usize>,
    /// Most bytes of JSON, before compression.
    pub bytes: usize,
    /// What a single record may take: the policy's limit, which trouble doesn't shrink.
    pub most_bytes: usize,
}

/// A row of the outbox as the cutting sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its place.
    pub key: RowKey,
    /// Its record's id.
    pub id: &'a str,
    /// Its record's revision.
    pub revision: u32,
    /// Bytes of its body.
    pub bytes: usize,
    /// The place of the row which it refers to, if that stood in the outbox at capture.
    pub follows: Option<RowKey>,
}

/// A cut: how many rows of each kind's head belong to the batch. Of the rows of one record, the latest is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// Rows of the head that the batch covers.
    pub covered: PerKind<usize>,
    /// Bytes of the request's body.
    pub bytes: usize,
    /// The first row can never fit into a request, and so stands alone in the way.
    pub never_fits: Option<Kind>,
}

impl Cut {
    /// Whether the batch covers nothing.
    pub const fn is_empty(&self) -> bool {
        self.covered.page_visits + self.covered.tab_aggregates == 0
    }
}

/// Cuts the next batch from the heads of both kinds, oldest first across them.
///
/// The first record that does not fit ends the batch. An aggregate is taken only if its visit is not behind the cut;
/// what refers to a row that still waits, waits too. Visits that are full don't hold aggregates back, nor the other way.
/// A record that alone exceeds a shrunken limit goes alone.
pub fn cut(heads: &PerKind<Vec<Candidate<'_>>>, limits: &Limits) -> Cut {
    let mut cut = Cut { bytes: EMPTY_BODY_BYTES, ..Cut::default() };
    let mut full = PerKind { page_visits: false, tab_aggregates: false };
    let mut sent = PerKind::<HashMap<&str, usize>>::default();
    loop {
        let next = Kind::ALL
            .into_iter()
            .filter(|kind| !full.of(*kind))
            .filter_map(|kind| Some((kind, heads.of(kind).get(*cut.covered.of(kind))?)))
            .min_by_key(|(_, candidate)| candidate.key);
        let Some((kind, candidate)) = next else { break };
        if kind == Kind::TabAggregate && !may_follow(candidate, heads, cut.covered.page_visits) {
            full.tab_aggregates = true;
            continue;
        }
        let earlier = sent.of(kind).get(candidate.id).copied();
        let replaced = earlier.and_then(|index| heads.of(kind).get(index));
        if replaced.is_none() && sent.of(kind).len() >= *limits.records.of(kind) {
            *full.of_mut(kind) = true;
            continue;
        }
        let later_wins = replaced.is_none_or(|earlier| candidate.revision > earlier.revision);
        let bytes = match replaced {
            Some(earlier) if later_wins => cut.bytes - earlier.bytes + candidate.bytes,
            Some(_) => cut.bytes,
            None => cut.bytes + candidate.bytes + usize::from(!sent.of(kind).is_empty()),
        };
        if bytes > limits.bytes {
            match cut.is_empty() {
                true if bytes <= limits.most_bytes => {
                    cut.bytes = bytes;
                    *cut.covered.of_mut(kind) = 1;
                }
                true => cut.never_fits = Some(kind),
                false => {}
            }
            break;
        }
        if later_wins {
            sent.of_mut(kind).insert(candidate.id, *cut.covered.of(kind));
        }
        cut.bytes = bytes;
        *cut.covered.of_mut(kind) += 1;
    }
    cut
}

/// Of the rows of each record, the index of the one that is sent: the latest revision, the earlier row of equals.
pub fn latest_of_each<'a>(rows: impl Iterator<Item = (&'a str, u32)>) -> Vec<usize> {
    let mut latest = HashMap::<&str, (u32, usize)>::default();
    for (index, (id, revision)) in rows.enumerate() {
        let held = latest.entry(id).or_insert((revision, index));
        if revision > held.0 {
            *held = (revision, index);
        }
    }
    let mut indices: Vec<usize> = latest.into_values().map(|(_, index)| index).collect();
    order::by_number(&mut indices, |index| *index as u64);
    indices
}

// Whether what the aggregate refers to is acknowledged or within the cut. What stands behind the last visit in memory
// may not have been read yet.
fn may_follow(aggregate: &Candidate<'_>, heads: &PerKind<Vec<Candidate<'_>>>, visits_covered: usize) -> bool {
    let visits = &heads.page_visits;
    match (aggregate.follows, visits.get(visits_covered), visits.last()) {
        (Some(visit), Some(first_behind), _) => visit < first_behind.key,
        (Some(visit), None, Some(last)) => visit <= last.key,
        _ => true,
    }
}

/// Whether two batches may be in flight together before a server that wants references in order (rule 6): neither
/// holds a revision of a record of the other, nor refers to one.
pub fn independent(one: &[(Kind, Candidate<'_>)], other: &[(Kind, Candidate<'_>)]) -> bool {
    let ids: HashSet<(Kind, &str)> = one.iter().map(|(kind, candidate)| (*kind, candidate.id)).collect();
    let keys =
        |rows: &[(Kind, Candidate<'_>)]| -> HashSet<RowKey> { rows.iter().map(|(_, row)| row.key).collect() };
    let refers = |rows: &[(Kind, Candidate<'_>)], to: &HashSet<RowKey>| {
        rows.iter().any(|(_, row)| row.follows.is_some_and(|key| to.contains(&key)))
    };
    !other.iter().any(|(kind, candidate)| ids.contains(&(*kind, candidate.id)))
        && !refers(other, &keys(one))
        && !refers(one, &keys(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { records: PerKind { page_visits: 2, tab_aggregates: 2 }, bytes: 10_000, most_bytes: 10_000 };

    fn row(count: u64, id: &str, revision: u32, bytes: usize, follows: Option<u64>) -> Candidate<'_> {
        let key = |count| RowKey::new(1, count);
        Candidate { key: key(count), id, revision, bytes, follows: follows.map(key) }
    }

    fn heads<'a>(visits: &[Candidate<'a>], aggregates: &[Candidate<'a>]) -> PerKind<Vec<Candidate<'a>>> {
        PerKind { page_visits: visits.to_vec(), tab_aggregates: aggregates.to_vec() }
    }

    #[test]
    fn a_full_kind_does_not_hold_the_other_back() {
        let heads = heads(
            &[row(1, "a", 1, 10, None), row(2, "b", 1, 10, None), row(3, "c", 1, 10, None)],
            &[row(11, "x", 1, 10, Some(1)), row(12, "y", 1, 10, Some(2)), row(13, "z", 1, 10, Some(3))],
        );
        let cut = cut(&heads, &LIMITS);
        assert_eq!((cut.covered.page_visits, cut.covered.tab_aggregates), (2, 2));
        assert_eq!(cut.bytes, EMPTY_BODY_BYTES + 40 + 2);
    }

    #[test]
    fn an_aggregate_waits_for_its_visit() {
        let heads = heads(
            &[row(1, "a", 1, 10, None), row(2, "b", 1, 10, None), row(4, "c", 1, 10, None)],
            &[row(5, "x", 1, 10, Some(4)), row(6, "y", 1, 10, Some(1))],
        );
        assert_eq!(cut(&heads, &LIMITS).covered.tab_aggregates, 0);
    }

    #[test]
    fn an_aggregate_waits_for_a_visit_that_is_not_read_yet() {
        let visits = [row(1, "a", 1, 10, None), row(2, "a", 2, 10, None)];
        let later = heads(&visits, &[row(5, "x", 1, 10, Some(2)), row(6, "y", 1, 10, Some(4))]);
        assert_eq!(cut(&later, &LIMITS).covered, PerKind { page_visits: 2, tab_aggregates: 1 });
        let acknowledged = heads(&[], &[row(6, "y", 1, 10, Some(4))]);
        assert_eq!(cut(&acknowledged, &LIMITS).covered.tab_aggregates, 1);
    }

    #[test]
    fn the_first_record_that_does_not_fit_ends_the_batch() {
        let limits = Limits { bytes: EMPTY_BODY_BYTES + 25, ..LIMITS };
        let heads = heads(&[row(1, "a", 1, 20, None), row(3, "b", 1, 2, None)], &[row(2, "x", 1, 30, None)]);
        let cut = cut(&heads, &limits);
        assert_eq!((cut.covered.page_visits, cut.covered.tab_aggregates), (1, 0));
        assert_eq!(cut.never_fits, None);
    }

    #[test]
    fn a_record_that_can_never_fit_is_told_apart() {
        let limits = Limits { bytes: 50, most_bytes: 100, ..LIMITS };
        let heads = heads(&[row(1, "a", 1, 500, None)], &[row(2, "x", 1, 3, None)]);
        let cut = cut(&heads, &limits);
        assert!(cut.is_empty());
        assert_eq!(cut.never_fits, Some(Kind::PageVisit));
    }

    #[test]
    fn a_record_beyond_a_shrunken_limit_goes_alone() {
        let limits = Limits { bytes: 50, ..LIMITS };
        let heads = heads(&[row(1, "a", 1, 500, None), row(2, "b", 1, 1, None)], &[row(3, "x", 1, 3, None)]);
        let cut = cut(&heads, &limits);
        assert_eq!((cut.covered.page_visits, cut.covered.tab_aggregates, cut.never_fits), (1, 0, None));
    }

    #[test]
    fn the_latest_revision_is_sent_for_every_row_of_its_record() {
        let heads = heads(
            &[],
            &[
                row(1, "x", 1, 10, None),
                row(2, "y", 1, 10, None),
                row(3, "x", 3, 30, None),
                row(4, "x", 2, 20, None),
            ],
        );
        let cut = cut(&heads, &LIMITS);
        assert_eq!(cut.covered.tab_aggregates, 4);
        assert_eq!(latest_of_each(heads.tab_aggregates.iter().map(|row| (row.id, row.revision))), [1, 2]);
        assert_eq!(cut.bytes, EMPTY_BODY_BYTES + 40 + 1);
    }

    #[test]
    fn batches_that_share_a_record_or_a_reference_are_not_independent() {
        let visit = |row| (Kind::PageVisit, row);
        let one = [visit(row(1, "a", 1, 1, None))];
        assert!(independent(&one, &[visit(row(2, "b", 1, 1, None))]));
        assert!(!independent(&one, &[visit(row(2, "a", 2, 1, None))]));
        assert!(!independent(&one, &[visit(row(2, "b", 1, 1, Some(1)))]));
        assert!(!independent(&[visit(row(2, "b", 1, 1, Some(1)))], &one));
        assert!(independent(&one, &[(Kind::TabAggregate, row(2, "a", 1, 1, None))]));
    }
}
