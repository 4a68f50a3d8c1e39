//! A comparison with the server, against one that looks at a single record at a time and counts on its fingers.

use std::collections::BTreeMap;

use heyho_sync::decisions::preflight::{ERASED, Known};
use heyho_sync::decisions::receipts::{self, Receipt, Receipts};
use heyho_sync::decisions::reconcile::{Reconciliation, visits_in_question};
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::record::Head;
use heyho_sync::words::time::UnixMillis;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

fn receipt() -> impl Strategy<Value = Receipt> {
    let kind = select(Kind::ALL.to_vec());
    (kind, 1..4_u64, 0..5_i64, 0..6_u8, 0..6_u8).prop_map(|(kind, revision, day, id, visit)| Receipt {
        kind,
        revision,
        captured_at: UnixMillis(day),
        id: format!("{id}"),
        visit: (kind == Kind::TabAggregate).then(|| format!("{visit}")),
    })
}

// Ids that nobody here knows are another machine's.
fn known() -> impl Strategy<Value = Known> {
    let of_kind =
        |revisions: Vec<u64>| hash_map((0..9_u8).prop_map(|id| format!("{id}")), select(revisions), 0..7);
    (of_kind(vec![1, 2, 3, ERASED]), of_kind(vec![1, 2, 3])).prop_map(|(visits, aggregates)| PerKind {
        page_visits: visits.into_iter().collect(),
        tab_aggregates: aggregates.into_iter().collect(),
    })
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Fate {
    There,
    Missing,
    Older,
    Erased,
}

// In the words of the promise, one after the other.
fn fate(receipt: &Receipt, known: &Known) -> Fate {
    let visit = if receipt.kind == Kind::PageVisit { Some(&receipt.id) } else { receipt.visit.as_ref() };
    if visit.is_some_and(|id| known.page_visits.get(id).copied() == Some(ERASED)) {
        return Fate::Erased;
    }
    match known.of(receipt.kind).get(&receipt.id) {
        None => Fate::Missing,
        Some(revision) if *revision < receipt.revision => Fate::Older,
        Some(_) => Fate::There,
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_comparison_counts_each_record_once_under_its_fate_and_day(
        receipts in vec(receipt(), 0..40), known in known(), pieces in 1..9_usize,
    ) {
        let mut found = Reconciliation::default();
        for some in receipts.chunks(pieces) {
            found.take(some, &known, &|at| at.0);
        }
        let mut expected = BTreeMap::<(Fate, i64, Kind), u64>::new();
        for receipt in &receipts {
            let day = receipt.captured_at.0;
            *expected.entry((fate(receipt, &known), day, receipt.kind)).or_default() += 1;
        }
        let count = |wanted: Fate, day: Option<i64>, kind: Kind| -> u64 {
            let is_it = |(fate, of, at): &(Fate, i64, Kind)| {
                *fate == wanted && day.is_none_or(|day| day == *of) && *at == kind
            };
            expected.iter().filter(|(key, _)| is_it(key)).map(|(_, count)| count).sum()
        };
        for kind in Kind::ALL {
            let all = receipts.iter().filter(|receipt| receipt.kind == kind).count() as u64;
            prop_assert_eq!(*found.compared.of(kind), all);
            prop_assert_eq!(*found.erased.of(kind), count(Fate::Erased, None, kind));
            for day in 0..5 {
                let told = found.days.iter().filter(|told| told.day == day);
                let (missing, older) = told.fold((0, 0), |(missing, older), told| {
                    (missing + told.missing.of(kind), older + told.older.of(kind))
                });
                prop_assert_eq!(missing, count(Fate::Missing, Some(day), kind));
                prop_assert_eq!(older, count(Fate::Older, Some(day), kind));
            }
        }
        let differs = receipts.iter().any(|of| matches!(fate(of, &known), Fate::Missing | Fate::Older));
        prop_assert_eq!(found.is_all_there(), !differs);
    }

    #[test]
    fn a_second_question_is_about_each_visit_whose_erasure_could_explain_what_is_missing(
        receipts in vec(receipt(), 0..20), known in known(),
    ) {
        let mut asked = visits_in_question(&receipts, &known);
        asked.sort();
        let missing = receipts.iter().filter(|receipt| fate(receipt, &known) == Fate::Missing);
        let visits = missing.filter_map(|receipt| receipt.visit.clone());
        let mut expected: Vec<String> = visits.filter(|id| !known.page_visits.contains_key(id)).collect();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(asked, expected);
    }

    #[test]
    fn receipts_come_back_as_they_were_given(
        given in vec((select(Kind::ALL.to_vec()), any::<u32>(), any::<i64>(), "[^\t\n]{1,12}", "[^\t\n]{0,12}"), 0..20),
    ) {
        let mut receipts = Receipts::default();
        for (kind, revision, captured_at, id, visit) in &given {
            let head = Head {
                kind: *kind,
                id: id.clone(),
                revision: *revision,
                refers_to: Some(visit.clone()),
                bytes: 0,
                sites: Vec::new(),
            };
            receipts.add(&head, UnixMillis(*captured_at));
        }
        let expected: Vec<Receipt> = given
            .into_iter()
            .map(|(kind, revision, captured_at, id, visit)| Receipt {
                kind,
                revision: revision.into(),
                captured_at: UnixMillis(captured_at),
                id,
                visit: (kind == Kind::TabAggregate).then_some(visit),
            })
            .collect();
        prop_assert_eq!(receipts::read(&receipts.into_text()).collect::<Vec<_>>(), expected);
    }
}
