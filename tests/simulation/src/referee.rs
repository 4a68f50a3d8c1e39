//! Looks at both sides when everything is quiet: every captured record is where it may be, once, and the books say so.

use std::collections::{BTreeMap, BTreeSet};

use heyho_sync::decisions::report::Report;
use heyho_sync::decisions::status::Status;
use heyho_sync::ports::store::Table;
use heyho_sync::words::key::RowKey;
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::policy::{LONGEST_SERVER_WAIT, MOST_SUSPECTS};
use heyho_sync::words::record::Head;
use heyho_sync::words::time::Millis;

use crate::model::{Known, Model, account_of, server_of};
use crate::scene::Scene;
use crate::server::{RecordKey, Stored};
use crate::store::Medium;

/// No alarm is further away: the longest wait that a server is believed to ask for, with its jitter.
const LONGEST_ALARM: Millis = Millis(LONGEST_SERVER_WAIT.0 + LONGEST_SERVER_WAIT.0 / 10);

/// A row of a table, as the referee sees it.
struct Seat {
    table: Table,
    key: RowKey,
    head: Head,
    note: Option<String>,
}

async fn seats<M: Medium>(scene: &Scene<M>) -> Vec<Seat> {
    let mut seats = Vec::new();
    for table in Table::ALL {
        let rows = scene.disk.rows(table).await.into_iter();
        seats.extend(rows.map(|row| Seat { table, key: row.key, head: row.head, note: row.note }));
    }
    seats
}

/// Every record that is on this machine in any form, if only by its id.
pub async fn everywhere<M: Medium>(scene: &Scene<M>) -> BTreeSet<RecordKey> {
    held(&seats(scene).await, &Table::OF_RECORDS).into_keys().collect()
}

/// The highest revision of each record in a table.
fn held(seats: &[Seat], tables: &[Table]) -> BTreeMap<RecordKey, u64> {
    let mut held = BTreeMap::<RecordKey, u64>::new();
    for seat in seats.iter().filter(|seat| tables.contains(&seat.table)) {
        let kind = if seat.head.kind == Kind::PageVisit { 'v' } else { 'a' };
        let revision = held.entry((kind, seat.head.id.clone())).or_default();
        *revision = (*revision).max(u64::from(seat.head.revision));
    }
    held
}

/// Whether a row of the outbox holds a record at this revision.
pub async fn holds<M: Medium>(scene: &Scene<M>, (kind, id): &RecordKey, revision: u64) -> bool {
    let kind = if *kind == 'v' { Kind::PageVisit } else { Kind::TabAggregate };
    let rows = scene.disk.rows(Table::Outbox(kind)).await;
    rows.iter().any(|row| row.head.id == *id && u64::from(row.head.revision) == revision)
}

/// Panics where a sync has ended, records wait that may be sent, and nothing wakes the worker for them in time (rules 7
/// and 9).
pub async fn check_alarm<M: Medium>(scene: &Scene<M>, model: &Model, report: &Report) {
    if !model.records_anything() || model.owner.is_none() {
        return;
    }
    let wait = scene.browser.alarm.get().map(|at| at.since(scene.world.wall()));
    if wait.is_some_and(|wait| wait <= LONGEST_ALARM) {
        return;
    }
    let waiting =
        held(&seats(scene).await, &[Table::Outbox(Kind::PageVisit), Table::Outbox(Kind::TabAggregate)]);
    // What is on the server already may lie here once more, as nobody's: a file has brought it.
    let servers = scene.network.servers().map(|server| server.borrow());
    let is_stored = |key: &RecordKey| {
        servers.iter().flat_map(|server| server.stored.values()).any(|rows| rows.contains_key(key))
    };
    let is_mine = |key: &&RecordKey| {
        model.known.get(*key).is_some_and(|known| known.owner == model.owner) && !is_stored(key)
    };
    let mine = waiting.keys().find(is_mine);
    assert!(mine.is_none(), "{mine:?} waits, and the alarm is armed in {wait:?}: {report:?}");
}

/// Panics where something is not as promised.
pub async fn judge<M: Medium>(scene: &Scene<M>, model: &Model, status: &Status) {
    let seats = seats(scene).await;
    let outbox = held(&seats, &[Table::Outbox(Kind::PageVisit), Table::Outbox(Kind::TabAggregate)]);
    let quarantine = held(&seats, &[Table::Quarantine]);
    let archive = held(&seats, &[Table::Archive]);
    let discarded = held(&seats, &[Table::Discarded]);
    let servers = scene.network.servers().map(|server| server.borrow());
    for server in &servers {
        assert!(server.dangling.is_empty(), "sent before what they refer to: {:?}", server.dangling);
    }
    // What may not reach the server: bad records, and what goes with a bad visit.
    let is_bad = |key: &RecordKey, known: &Known| {
        let visit = known.refers_to.as_ref().filter(|_| key.0 == 'a').map(|id| ('v', id.clone()));
        known.poison || visit.is_some_and(|visit| model.known.get(&visit).is_some_and(|visit| visit.poison))
    };
    // A server's refusal may stand after the server has healed.
    let was_bad = |key: &RecordKey, known: &Known| {
        let visit = known.refers_to.as_ref().filter(|_| key.0 == 'a').map(|id| ('v', id.clone()));
        known.was_poison
            || visit.is_some_and(|visit| model.known.get(&visit).is_some_and(|visit| visit.was_poison))
    };
    // An answer that nobody's records deserve may condemn one innocent record; its aggregates follow a page visit.
    let mut condemned = BTreeSet::new();
    // Where so many bad records wait together that the server is doubted, those behind them wait too (rule 5).
    let bad_ones = model.known.iter().filter(|(key, known)| outbox.contains_key(*key) && is_bad(key, known));
    let server_is_doubted = bad_ones.count() > MOST_SUSPECTS;
    for (key, known) in model.known.iter().filter(|(_, known)| known.certain > 0) {
        let owner = known.owner.map(|owner| (server_of(owner), account_of(owner)));
        let stored = (0..).zip(&servers).flat_map(|(number, server)| {
            let accounts = server.stored.iter();
            accounts.filter_map(move |(account, rows)| Some(((number, account), rows.get(key)?)))
        });
        let is_theirs = |(number, account): (u64, &String)| {
            owner.as_ref().is_some_and(|(server, name)| *server == number && name == account)
        };
        let (theirs, strangers): (Vec<_>, Vec<_>) = stored.partition(|(place, _)| is_theirs(*place));
        assert!(strangers.is_empty(), "{key:?} of {owner:?} is stored under {:?}", strangers[0].0);
        let theirs = theirs.first().map(|(_, stored)| *stored);
        let at_server = theirs.map_or(0, |stored| stored.revision);
        assert!(
            at_server <= known.possible,
            "{key:?} is stored at revision {at_server}, which was never made"
        );
        // The published backend lets the last request win (docs/delivery.md).
        let put_back = |stored: &&Stored| model.very_late_requests && stored.highest >= known.certain;
        if let Some(stored) = theirs.filter(|stored| stored.revision >= known.certain || put_back(stored)) {
            let content = stored.arrived.n;
            assert_eq!(content, Some(stored.revision), "{key:?} is stored with another revision's content");
            continue;
        }
        let has = |place: &BTreeMap<RecordKey, u64>| {
            place.get(key).is_some_and(|revision| *revision >= known.certain)
        };
        let excluded = model.ever_excluded.contains(&known.site);
        if has(&quarantine) {
            let visit = known.refers_to.as_ref().filter(|_| key.0 == 'a').map(|id| ('v', id.clone()));
            if !was_bad(key, known) && !visit.is_some_and(|visit| quarantine.contains_key(&visit)) {
                condemned.insert(key);
            }
        } else if has(&archive) {
            assert!(model.may_archive, "{key:?} was set aside, and no clock was confirmed");
        } else if has(&discarded) {
            assert!(excluded || model.discarded_by_user, "{key:?} was given up, and nobody asked for it");
        } else if has(&outbox) {
            assert!(
                known.owner.is_none() || is_bad(key, known) || server_is_doubted,
                "{key:?} still waits, and nothing is wrong with it"
            );
        } else {
            panic!("{key:?} at revision {} is nowhere; the server has {at_server}", known.certain);
        }
    }
    let forged = scene.network.forged.get();
    assert!(
        condemned.len() as u64 <= forged,
        "in quarantine, and nothing is wrong with them: {condemned:?}; {forged} answers were forged"
    );
    balance(&seats, model, status);
}

fn balance(seats: &[Seat], model: &Model, status: &Status) {
    let sum = PerKind::total;
    let captured = sum(&status.captured);
    let most = model.captured + model.maybe_captured;
    assert!(
        (model.captured..=most).contains(&captured),
        "{captured} captured, told {} to {most}",
        model.captured
    );
    let rows = |table| seats.iter().filter(|seat| seat.table == table).count() as u64;
    let waiting: u64 = Kind::ALL.into_iter().map(|kind| rows(Table::Outbox(kind))).sum();
    assert_eq!(sum(&status.pending) + sum(&status.parked), waiting, "pending and parked against the rows");
    assert_eq!(sum(&status.quarantined), rows(Table::Quarantine), "quarantined against the rows");
    assert_eq!(sum(&status.archived), rows(Table::Archive), "archived against the rows");
    let counted = |seat: &&Seat| {
        let uncounted = seat.note.as_ref().is_some_and(|note| note.contains("\"counted\":false"));
        seat.table == Table::Discarded && !uncounted
    };
    let discarded = seats.iter().filter(counted).count() as u64;
    assert_eq!(sum(&status.discarded), discarded, "discarded against the rows");
    assert!(status.health.books_balance, "the books don't balance: {status:?}");
    assert!(status.health.balanced, "rows and books have come apart: {status:?}");
    assert!(status.health.rebuilt.is_none(), "a whole database was rebuilt: {status:?}");
    let keys: BTreeSet<_> = seats.iter().map(|seat| seat.key).collect();
    assert_eq!(keys.len(), seats.len(), "a place is taken twice");
}
