//! Databases that are damaged, lost or of a newer release, in simulated time: what can be read is kept and sent, what
//! can't is counted.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use std::rc::Rc;

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, exported, session};
use heyho_simulation::server::Server;
use heyho_simulation::store::Disk;
use heyho_simulation::world::End;
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::report::Outcome;
use heyho_sync::engine::{EngineError, RunOptions, Settings};
use heyho_sync::outbox::OutboxError;
use heyho_sync::ports::store::{Change, Document, Store, StoreError, Table};
use heyho_sync::words::key::{KeyRange, RowKey};
use heyho_sync::words::kind::Kind;
use heyho_sync::words::owner::Session;
use serde_json::Value;

const VISITS: Table = Table::Outbox(Kind::PageVisit);
const AGGREGATES: Table = Table::Outbox(Kind::TabAggregate);
const GARBAGE: &str = "not a document at all";

/// Changes the disk behind everybody's back.
fn tamper(scene: &Scene, changes: Vec<Change<Rc<str>>>) {
    let mut changes = Some(changes);
    scene.world.run(scene.disk.memory.transact(&[], &mut |_| changes.take())).unwrap();
}

fn garble(scene: &Scene, document: Document) {
    tamper(scene, vec![Change::Write(document, GARBAGE.into())]);
}

fn keys(scene: &Scene, table: Table) -> Vec<RowKey> {
    scene.disk.memory.rows(table).into_iter().map(|row| row.key).collect()
}

fn lose(scene: &Scene, table: Table, places: &[usize]) {
    let keys = keys(scene, table);
    let delete = |place: &usize| Change::Delete(table, KeyRange::closed(keys[*place], keys[*place]));
    tamper(scene, places.iter().map(delete).collect());
}

fn make_unreadable(scene: &Scene, table: Table, place: usize) {
    let key = keys(scene, table)[place];
    scene.disk.unreadable.borrow_mut().insert((table, key));
}

fn lost(scene: &Scene, engine: &TestEngine) -> u64 {
    scene.status(engine).unrecoverable.total()
}

/// Twelve records acknowledged, eight pending, all of it mirrored.
fn half_sent() -> Scene {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..6);
    scene.sync(&engine);
    scene.record(&engine, 6..10);
    drop(engine);
    scene
}

#[test]
fn lost_books_are_begun_anew_from_the_mirror_and_the_rows() {
    let scene = half_sent();
    garble(&scene, Document::Books);
    let engine = scene.worker();
    let status = scene.status(&engine);
    assert_eq!((status.acknowledged.total(), status.pending.total(), status.parked.total()), (12, 8, 0));
    assert!(status.health.rebuilt.is_some_and(|rebuilt| rebuilt.mirrored && rebuilt.saved == 8));
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    assert_eq!(scene.stored(), 20);
    scene.assert_balanced(&engine, 20);
}

#[test]
fn rows_that_are_gone_with_the_books_count_as_unrecoverable() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..6);
    scene.world.run(engine.sync(RunOptions { max_batches: Some(0), ..RunOptions::default() })).unwrap();
    drop(engine);
    lose(&scene, VISITS, &[1, 4]);
    lose(&scene, AGGREGATES, &[0]);
    garble(&scene, Document::Books);
    let engine = scene.worker();
    assert_eq!(lost(&scene, &engine), 3);
    scene.assert_balanced(&engine, 12);
    scene.sync(&engine);
    // The aggregates of the two visits follow them; a visit that came from one of them goes without its source.
    assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (7, 2));
    assert!(scene.network.server.borrow().dangling.is_empty());
    scene.assert_balanced(&engine, 12);
}

#[test]
fn a_database_that_is_gone_is_counted_by_its_mirror() {
    let mut scene = half_sent();
    let engine = scene.worker();
    scene.world.run(engine.sync(RunOptions { max_batches: Some(0), ..RunOptions::default() })).unwrap();
    drop(engine);
    scene.disk = Disk::new();
    let engine = scene.worker();
    let status = scene.status(&engine);
    assert_eq!((status.acknowledged.total(), status.unrecoverable.total()), (12, 8));
    scene.record(&engine, 20..22);
    scene.sync(&engine);
    scene.assert_balanced(&engine, 24);
    drop(engine);
    assert_eq!(lost(&scene, &scene.worker()), 8, "it is counted once");
}

#[test]
fn the_mirror_of_earlier_builds_is_read_too() {
    let mut scene = half_sent();
    let written = scene.browser.mirror.take().unwrap();
    let (books, _): (Value, Value) = serde_json::from_str(&written).unwrap();
    scene.browser.mirror.replace(Some(books.to_string()));
    scene.disk = Disk::new();
    let engine = scene.worker();
    assert_eq!(scene.status(&engine).acknowledged.total(), 12);
}

#[test]
fn an_unconfirmed_erase_and_a_servers_wait_outlive_a_lost_database() {
    let mut scene = half_sent();
    let engine = scene.worker();
    let busy = Answer { status: 429, retry_after: Some("600".into()), ..Answer::default() };
    scene.network.fail_next(NetworkFault::Instead(busy));
    scene.sync(&engine);
    scene.world.run(engine.erase(Scope::Site("forgotten.example".into()), true)).unwrap();
    drop(engine);
    scene.disk = Disk::new();
    let engine = scene.worker();
    assert_eq!(scene.status(&engine).erasing.len(), 1);
    scene.record(&engine, 20..21);
    let by_hand = RunOptions { by_hand: true, ..RunOptions::default() };
    assert_eq!(scene.world.run(engine.sync(by_hand)).unwrap().reason.as_deref(), Some("waiting"));
    scene.world.sleep(700_000);
    scene.sync(&engine);
    assert!(scene.status(&engine).erasing.is_empty(), "the server was asked and has confirmed it");
}

#[test]
fn without_a_mirror_the_books_begin_anew_and_say_so_and_nobody_gets_the_rows() {
    let scene = half_sent();
    garble(&scene, Document::Books);
    scene.browser.mirror.take();
    let engine = scene.worker();
    let status = scene.status(&engine);
    assert!(status.health.rebuilt.is_some_and(|rebuilt| !rebuilt.mirrored && rebuilt.saved == 8));
    assert_eq!((status.captured.total(), status.parked.total()), (8, 8));
    scene.sync(&engine);
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second))).unwrap();
    scene.sync(&engine);
    assert_eq!(scene.stored(), 12, "whose they are is not known any more");
    let exported: String = scene.world.run(exported(&engine)).unwrap();
    assert_eq!(exported.lines().count(), 8);
    scene.assert_balanced(&engine, 8);
}

#[test]
fn parked_rows_stay_with_their_owner_through_a_rebuilding() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second.clone()))).unwrap();
    scene.record(&engine, 3..5);
    drop(engine);
    garble(&scene, Document::Books);
    let engine = scene.worker_as(Some(second));
    assert_eq!((scene.status(&engine).pending.total(), scene.status(&engine).parked.total()), (4, 6));
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-2"].len(), 4);
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-1"].len(), 6);
    scene.assert_balanced(&engine, 10);
}

#[test]
fn a_rebuilding_outlives_a_death_at_any_await() {
    for polls in 1.. {
        let scene = half_sent();
        lose(&scene, VISITS, &[2]);
        make_unreadable(&scene, AGGREGATES, 1);
        scene.disk.broken.set(true);
        garble(&scene, Document::Books);
        garble(&scene, Document::SyncState);
        let worker = scene.closed_worker();
        let settings = Settings {
            server_url: "https://api.example.com/api/v1".into(),
            consent: true,
            session: session("user-1"),
            ..Settings::default()
        };
        let end = scene.world.run_for(worker.open(settings), polls);
        let died = matches!(end, End::Died);
        drop((end, worker));
        let engine = scene.worker();
        let status = scene.status(&engine);
        // What came after the last slice is in no mirror: only what is there counts.
        assert_eq!((status.acknowledged.total(), status.pending.total()), (12, 6), "{polls} polls");
        scene.record(&engine, 20..22);
        scene.sync(&engine);
        // The aggregate of the visit that is gone is in quarantine.
        assert_eq!((scene.rows_left(), scene.stored()), (0, 21), "{polls} polls");
        assert_eq!(scene.status(&engine).quarantined.total(), 1, "{polls} polls");
        assert!(scene.status(&engine).health.books_balance);
        if !died {
            assert!(polls > 15, "a rebuilding has more awaits than {polls}");
            return;
        }
    }
}

#[test]
fn a_row_that_can_not_be_read_blocks_nobody_and_is_counted() {
    let scene = Scene::with(Server { wants_order: false, ..Server::default() });
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    make_unreadable(&scene, VISITS, 7);
    make_unreadable(&scene, VISITS, 350);
    make_unreadable(&scene, AGGREGATES, 20);
    let report = scene.sync(&engine);
    assert_eq!((report.outcome, report.created), (Outcome::Complete, 797));
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.unrecoverable.total()), (0, 3));
    assert_eq!((status.health.found.unreadable, status.health.balanced), (3, false));
    assert_eq!(scene.rows_left(), 0);
    scene.assert_balanced(&engine, 800);
    assert_eq!(scene.browser.alarm.get(), None);
}

#[test]
fn what_refers_to_a_row_that_can_not_be_read_is_seen_through_with_a_server_that_wants_order() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..60);
    make_unreadable(&scene, VISITS, 7);
    for _ in 0..9 {
        scene.sync(&engine);
        scene.world.sleep(3_600_000);
    }
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.unrecoverable.total()), (0, 1));
    assert_eq!((status.quarantined.total(), scene.stored()), (1, 118), "its aggregate follows it");
    scene.assert_balanced(&engine, 120);
}

#[test]
fn a_syncers_memory_that_is_lost_begins_anew_and_an_old_holder_can_not_settle() {
    let scene = half_sent();
    let frozen = scene.worker();
    let (token, _) = scene.world.run(frozen.outbox().take_over(Box::new(|_| {}))).unwrap();
    garble(&scene, Document::SyncState);
    let engine = scene.worker();
    let note = scene.world.run(frozen.outbox().note(token, Box::new(|_| {})));
    assert_eq!(note.unwrap_err(), OutboxError::Fenced);
    scene.sync(&engine);
    assert_eq!(scene.stored(), 20);
    scene.assert_balanced(&engine, 20);
}

#[test]
fn damage_that_a_running_worker_meets_is_put_right_by_its_next_sync() {
    for document in [Document::Books, Document::SyncState] {
        let scene = half_sent();
        let engine = scene.worker();
        garble(&scene, document);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
        assert_eq!(scene.stored(), 20);
    }
    let scene = half_sent();
    let engine = scene.worker();
    scene.disk.broken.set(true);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    scene.assert_balanced(&engine, 20);
}

#[test]
fn a_tracker_or_a_login_that_can_not_be_read_is_none() {
    let scene = half_sent();
    garble(&scene, Document::Tracker);
    garble(&scene, Document::Session);
    let engine = scene.closed_worker();
    let settings = Settings { remembers_session: true, consent: true, ..Settings::default() };
    scene.world.run(engine.open(settings)).unwrap();
    let event = serde_json::from_str(r#"{"type":"heartbeat","at":1}"#).unwrap();
    scene.world.run(engine.handle_event(&event)).unwrap();
    assert!(!scene.status(&engine).signed_in);
}

#[test]
fn a_database_of_a_newer_release_is_left_as_it_is() {
    let scene = half_sent();
    let engine = scene.closed_worker();
    scene.disk.read_faults.borrow_mut().push_back(Some(StoreError::Newer));
    let refused = scene.world.run(engine.open(Settings::default())).unwrap_err();
    assert_eq!(refused, EngineError::Outbox(StoreError::Newer.into()));
    scene.assert_balanced(&scene.worker(), 20);
}

#[test]
fn rows_that_vanish_are_found_by_the_daily_count_and_a_whole_database_has_no_findings() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..700);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second))).unwrap();
    let mut number = 1_000;
    let mut a_days_count = || {
        let before = scene.status(&engine).health.checked_at;
        for _ in 0..9 {
            scene.record(&engine, number..number + 3);
            number += 3;
            scene.sync(&engine);
        }
        assert_ne!(scene.status(&engine).health.checked_at, before);
        scene.world.sleep(86_400_000);
        scene.status(&engine).health
    };
    assert!(a_days_count().balanced);
    lose(&scene, AGGREGATES, &[3, 600]);
    let health = a_days_count();
    assert_eq!((health.balanced, health.found.missing), (false, 2));
    assert_eq!(lost(&scene, &engine), 2);
    assert!(a_days_count().balanced);
    scene.assert_balanced(&engine, 1_400 + 3 * 9 * 3 * 2);
}
