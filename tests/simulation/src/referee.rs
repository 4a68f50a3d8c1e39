//! Looks at both sides when everything is quiet: every captured record is where it may be, once, and the books say so.

use std::collections::{BTreeMap, BTreeSet};

use heyho_sync::decisions::status::Status;
use heyho_sync::ports::store::Table;
use heyho_sync::words::kind::{Kind, PerKind};

use crate::run::{Known, Model};
use crate::scene::Scene;
use crate::server::RecordKey;

/// The highest revision of each record in a table.
fn held(scene: &Scene, tables: &[Table]) -> BTreeMap<RecordKey, u64> {
    let mut held = BTreeMap::<RecordKey, u64>::new();
    for row in tables.iter().flat_map(|table| scene.disk.memory.rows(*table)) {
        let kind = if row.head.kind == Kind::PageVisit { 'v' } else { 'a' };
        let revision = held.entry((kind, row.head.id.clone())).or_default();
        *revision = (*revision).max(u64::from(row.head.revision));
    }
    held
}

/// Panics where something is not as promised.
pub fn judge(scene: &Scene, model: &Model, status: &Status) {
    let outbox = held(scene, &[Table::Outbox(Kind::PageVisit), Table::Outbox(Kind::TabAggregate)]);
    let quarantine = held(scene, &[Table::Quarantine]);
    let discarded = held(scene, &[Table::Discarded]);
    let server = scene.network.server.borrow();
    assert!(server.dangling.is_empty(), "sent before what they refer to: {:?}", server.dangling);
    // What may not reach the server: bad records, and what goes with a bad visit.
    let is_bad = |key: &RecordKey, known: &Known| {
        let visit = known.refers_to.as_ref().filter(|_| key.0 == 'a').map(|id| ('v', id.clone()));
        known.poison || visit.is_some_and(|visit| model.known.get(&visit).is_some_and(|visit| visit.poison))
    };
    for (key, known) in model.known.iter().filter(|(_, known)| known.certain > 0) {
        let stored: BTreeMap<&String, u64> = server
            .stored
            .iter()
            .filter_map(|(account, rows)| Some((account, rows.get(key)?.revision)))
            .collect();
        let owner = known.owner.map(|owner| format!("user-{owner}"));
        let strangers: Vec<_> = stored.keys().filter(|account| Some(**account) != owner.as_ref()).collect();
        assert!(strangers.is_empty(), "{key:?} of {owner:?} is stored under {strangers:?}");
        let at_server = owner.as_ref().and_then(|owner| stored.get(owner)).copied().unwrap_or_default();
        assert!(
            at_server <= known.possible,
            "{key:?} is stored at revision {at_server}, which was never made"
        );
        if at_server >= known.certain {
            let record = &server.stored[owner.as_ref().unwrap()][key].record;
            assert_eq!(record["n"], record["revision"], "{key:?} is stored with another revision's content");
            continue;
        }
        let has = |place: &BTreeMap<RecordKey, u64>| {
            place.get(key).is_some_and(|revision| *revision >= known.certain)
        };
        let excluded = model.ever_excluded.contains(&known.site);
        if has(&quarantine) {
            assert!(
                is_bad(key, known) || model.forged_refusals,
                "{key:?} is in quarantine, and nothing is wrong with it"
            );
        } else if has(&discarded) {
            assert!(excluded || model.discarded_by_user, "{key:?} was given up, and nobody asked for it");
        } else if has(&outbox) {
            assert!(
                known.owner.is_none() || is_bad(key, known),
                "{key:?} still waits, and nothing is wrong with it"
            );
        } else {
            panic!("{key:?} at revision {} is nowhere; the server has {at_server}", known.certain);
        }
    }
    balance(scene, model, status);
}

fn balance(scene: &Scene, model: &Model, status: &Status) {
    let sum = PerKind::total;
    let captured = sum(&status.captured);
    let most = model.captured + model.maybe_captured;
    assert!(
        (model.captured..=most).contains(&captured),
        "{captured} captured, told {} to {most}",
        model.captured
    );
    let rows = |table| scene.disk.memory.rows(table).len() as u64;
    let waiting: u64 = Kind::ALL.into_iter().map(|kind| rows(Table::Outbox(kind))).sum();
    assert_eq!(sum(&status.pending) + sum(&status.parked), waiting, "pending and parked against the rows");
    assert_eq!(sum(&status.quarantined), rows(Table::Quarantine), "quarantined against the rows");
    let counted =
        |note: &Option<String>| !note.as_ref().is_some_and(|note| note.contains("\"counted\":false"));
    let discarded =
        scene.disk.memory.rows(Table::Discarded).iter().filter(|row| counted(&row.note)).count() as u64;
    assert_eq!(sum(&status.discarded), discarded, "discarded against the rows");
    assert!(status.health.books_balance, "the books don't balance: {status:?}");
    assert!(status.health.balanced, "rows and books have come apart: {status:?}");
    assert!(status.health.rebuilt.is_none(), "a whole database was rebuilt: {status:?}");
    let keys: BTreeSet<_> =
        Table::ALL.into_iter().flat_map(|table| scene.disk.memory.rows(table)).map(|row| row.key).collect();
    let all: usize = Table::ALL.into_iter().map(|table| scene.disk.memory.rows(table).len()).sum();
    assert_eq!(keys.len(), all, "a place is taken twice");
}
