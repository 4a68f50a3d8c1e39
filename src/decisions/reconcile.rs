//! This machine's books against what the server says that it has: record by record, told by kind and day.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::ledger::Books;
use super::preflight::{ERASED, Known};
use super::protocol::Answer;
use super::receipts::Receipt;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;
use crate::words::time::UnixMillis;

/// The comparison (`Reconciliation`). Counted by revision, as the books are; of the account that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciliation {
    /// Why it was not made, or not to its end.
    pub reason: Option<&'static str>,
    /// When it ended.
    pub compared_at: UnixMillis,
    /// Acknowledged, by the books.
    pub acknowledged: PerKind<u64>,
    /// Of these, still known one by one, and asked about.
    pub compared: PerKind<u64>,
    /// Erased there by the user's will.
    pub erased: PerKind<u64>,
    /// Records that the server has of this account, from every machine; none where it doesn't say.
    pub there: Option<PerKind<u64>>,
    /// What differs, by the day of its capture; nothing where all is there.
    pub days: Vec<Day>,
}

/// What differs of a day's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Day {
    /// Days since 1970-01-01 in the user's calendar.
    pub day: i64,
    /// Acknowledged and not on the server any more.
    pub missing: PerKind<u64>,
    /// On the server at a lower revision than it has acknowledged.
    pub older: PerKind<u64>,
}

impl Reconciliation {
    /// Begins with what the books say of `owner`.
    pub fn begin(books: &Books, owner: &Owner) -> Self {
        let mut found = Self::default();
        for epoch in books.epochs().iter().filter(|epoch| epoch.owner.as_ref() == Some(owner)) {
            for kind in Kind::ALL {
                *found.acknowledged.of_mut(kind) += epoch.counts.of(kind).acknowledged;
            }
        }
        found
    }

    /// Whether it was made to its end and has found nothing.
    pub const fn is_all_there(&self) -> bool {
        self.reason.is_none() && self.days.is_empty()
    }

    /// Takes in what the server says of these receipts, and of the visits of their aggregates. `day_of` gives the day of
    /// a moment in the user's calendar.
    pub fn take(&mut self, receipts: &[Receipt], known: &Known, day_of: &dyn Fn(UnixMillis) -> i64) {
        for receipt in receipts {
            let kind = receipt.kind;
            *self.compared.of_mut(kind) += 1;
            let there = known.of(kind).get(&receipt.id).copied();
            let visit = receipt.visit.as_ref().unwrap_or(&receipt.id);
            if known.page_visits.get(visit) == Some(&ERASED) {
                *self.erased.of_mut(kind) += 1;
            } else if there.is_none_or(|revision| revision < receipt.revision) {
                let day = day_of(receipt.captured_at);
                if self.days.iter().all(|known| known.day != day) {
                    self.days.push(Day { day, ..Day::default() });
                }
                for known in self.days.iter_mut().filter(|known| known.day == day) {
                    let differing = if there.is_none() { &mut known.missing } else { &mut known.older };
                    *differing.of_mut(kind) += 1;
                }
            }
        }
    }
}

/// The visits of aggregates that the server doesn't have, as far as nothing is known of them: they may be erased.
pub fn visits_in_question(receipts: &[Receipt], known: &Known) -> Vec<String> {
    let lacks = |receipt: &&Receipt| !known.of(receipt.kind).contains_key(&receipt.id);
    let visits: HashSet<&String> =
        receipts.iter().filter(lacks).filter_map(|receipt| receipt.visit.as_ref()).collect();
    visits.into_iter().filter(|id| !known.page_visits.contains_key(*id)).cloned().collect()
}

/// What an answer of the status route says that the server has of the account.
pub fn totals(answer: &Answer) -> Option<PerKind<u64>> {
    if answer.status != 200 || answer.redirected || answer.cut_off {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    let totals = body.get("data")?.get("totals")?;
    let number = |name: &str| totals.get(name)?.as_u64();
    Some(PerKind { page_visits: number("page_visits")?, tab_aggregates: number("tab_aggregates")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::ledger::Place;

    const DAY_MS: i64 = 86_400_000;

    fn visit(id: &str, revision: u64, day: i64) -> Receipt {
        let captured_at = UnixMillis(day * DAY_MS + 5);
        Receipt { kind: Kind::PageVisit, revision, captured_at, id: id.into(), visit: None }
    }

    fn aggregate(id: &str, of: &str, day: i64) -> Receipt {
        Receipt { kind: Kind::TabAggregate, visit: Some(of.into()), ..visit(id, 1, day) }
    }

    fn known(visits: &[(&str, u64)], aggregates: &[(&str, u64)]) -> Known {
        let by_id =
            |held: &[(&str, u64)]| held.iter().map(|(id, revision)| ((*id).into(), *revision)).collect();
        PerKind { page_visits: by_id(visits), tab_aggregates: by_id(aggregates) }
    }

    fn compare(receipts: &[Receipt], known: &Known) -> Reconciliation {
        let mut found = Reconciliation::default();
        found.take(receipts, known, &|at| at.0.div_euclid(DAY_MS));
        found
    }

    const ONE_VISIT: PerKind<u64> = PerKind { page_visits: 1, tab_aggregates: 0 };

    #[test]
    fn what_the_server_has_at_this_revision_or_a_higher_one_is_there() {
        let receipts = [visit("a", 1, 3), visit("a", 2, 3), visit("b", 1, 3), aggregate("c", "b", 3)];
        let found = compare(&receipts, &known(&[("a", 2), ("b", 7), ("others", 1)], &[("c", 1)]));
        assert_eq!((found.is_all_there(), found.compared.page_visits), (true, 3));
    }

    #[test]
    fn what_is_missing_or_older_is_told_by_the_day_of_its_capture() {
        let receipts = [visit("a", 1, 3), visit("b", 2, 3), visit("c", 1, 5), aggregate("d", "c", 5)];
        let found = compare(&receipts, &known(&[("b", 1)], &[]));
        assert!(!found.is_all_there());
        let both = PerKind { page_visits: 1, tab_aggregates: 1 };
        let days = [
            Day { day: 3, missing: ONE_VISIT, older: ONE_VISIT },
            Day { day: 5, missing: both, older: PerKind::default() },
        ];
        assert_eq!(found.days, days);
    }

    #[test]
    fn what_the_user_erased_there_is_not_missing_nor_are_its_aggregates() {
        let receipts = [visit("a", 1, 3), aggregate("b", "a", 3), aggregate("c", "elsewhere", 3)];
        let mut known = known(&[("a", ERASED)], &[]);
        assert_eq!(visits_in_question(&receipts, &known), ["elsewhere"]);
        known.page_visits.insert("elsewhere".into(), ERASED);
        let found = compare(&receipts, &known);
        assert_eq!((found.is_all_there(), found.erased.total()), (true, 3));
    }

    #[test]
    fn what_was_acknowledged_to_one_account_is_not_looked_for_in_another() {
        let mut books = Books::default();
        let owner = Owner { origin: "https://a".into(), account: "1".into() };
        books.hand_to(Some(&owner));
        let epoch = books.capture(Kind::PageVisit, None).unwrap().epoch();
        books.transfer(epoch, Kind::PageVisit, Place::Pending, Place::Acknowledged, 1).unwrap();
        assert_eq!(Reconciliation::begin(&books, &owner).acknowledged, ONE_VISIT);
        let another = Owner { account: "2".into(), ..owner };
        assert_eq!(Reconciliation::begin(&books, &another).acknowledged.total(), 0);
    }

    #[test]
    fn a_comparison_without_an_end_does_not_say_that_all_is_there() {
        let found = Reconciliation { reason: Some("no answer"), ..Reconciliation::default() };
        assert!(!found.is_all_there());
    }

    #[test]
    fn totals_are_read_from_a_plain_200_alone() {
        let body = r#"{"success":true,"data":{"totals":{"page_visits":7,"tab_aggregates":5}}}"#;
        let answer = |status, body: &str| Answer { status, body: body.into(), ..Answer::default() };
        assert_eq!(totals(&answer(200, body)), Some(PerKind { page_visits: 7, tab_aggregates: 5 }));
        for other in [answer(404, body), answer(200, "{}"), answer(200, &body.replace('7', "-7"))] {
            assert_eq!(totals(&other), None);
        }
        assert_eq!(totals(&Answer { redirected: true, ..answer(200, body) }), None);
    }
}
