//! The books against what the server says that it has: nothing is called missing that is there, nothing there that is
//! missing, and what can't be known is not claimed.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use std::pin::pin;

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, aggregate, join, session, visit};
use heyho_simulation::server::{Poison, Server};
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::reconcile::{Day, Reconciliation};
use heyho_sync::decisions::report::Outcome;
use heyho_sync::engine::{RunOptions, Settings};
use heyho_sync::outbox::Aside;
use heyho_sync::ports::store::{Change, Document, Query, Store, StoreError, Table};
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::policy::{RECEIPTS_DROPPED_EVERY, RECEIPTS_KEPT};
use serde_json::json;

const DAY_MS: i64 = 86_400_000;

fn scene() -> Scene {
    scene_asking(20_000)
}

fn scene_asking(most_ids: usize) -> Scene {
    let abilities = json!({ "preflight": { "max_ids": most_ids } });
    Scene::with(Server { abilities: Some(abilities), ..Server::default() })
}

fn reconcile(scene: &Scene, engine: &TestEngine) -> Reconciliation {
    scene.world.run(engine.reconcile()).unwrap()
}

fn missing(found: &Reconciliation) -> PerKind<u64> {
    sum(found, |day| day.missing)
}

fn sum(found: &Reconciliation, of: fn(&Day) -> PerKind<u64>) -> PerKind<u64> {
    let days = || found.days.iter().map(of);
    counts(days().map(|day| day.page_visits).sum(), days().map(|day| day.tab_aggregates).sum())
}

fn counts(page_visits: u64, tab_aggregates: u64) -> PerKind<u64> {
    PerKind { page_visits, tab_aggregates }
}

// Behind the client's back.
fn lose(scene: &Scene, kind: char, id: &str) {
    let mut server = scene.network.server.borrow_mut();
    let rows = server.stored.get_mut("user-1").unwrap();
    assert!(rows.remove(&(kind, id.to_owned())).is_some(), "{id} was not there");
}

fn today(scene: &Scene) -> i64 {
    scene.world.wall().0.div_euclid(DAY_MS)
}

fn asked(scene: &Scene) -> Vec<String> {
    scene.network.asked.borrow().iter().map(|(route, _)| route.clone()).collect()
}

#[test]
fn what_the_server_has_is_all_there_whoever_else_delivers_to_it() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..300);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    let revised = aggregate(7).replace("{\"id\"", "{\"revision\":2,\"id\"");
    let revised = PerKind { page_visits: Vec::new(), tab_aggregates: vec![revised] };
    scene.world.run(engine.record(revised)).unwrap();
    scene.sync(&engine);
    // Another machine of the same account.
    let mut server = scene.network.server.borrow_mut();
    let rows = server.stored.get_mut("user-1").unwrap();
    let theirs = rows[&('v', "v00001".to_owned())].clone();
    rows.insert(('v', "theirs".into()), theirs);
    drop(server);
    let found = reconcile(&scene, &engine);
    assert!(found.is_all_there());
    assert_eq!((found.acknowledged, found.compared), (counts(300, 301), counts(300, 301)));
    assert_eq!(found.there, Some(counts(301, 300)));
}

#[test]
fn what_the_server_lost_is_told_by_kind_and_day_and_what_it_put_back_as_older() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..10);
    scene.sync(&engine);
    let first_day = today(&scene);
    scene.world.sleep(3 * DAY_MS);
    scene.record(&engine, 10..20);
    let revised = aggregate(3).replace("{\"id\"", "{\"revision\":2,\"id\"");
    let revised = PerKind { page_visits: Vec::new(), tab_aggregates: vec![revised] };
    scene.world.run(engine.record(revised)).unwrap();
    scene.sync(&engine);
    lose(&scene, 'v', "v00002");
    lose(&scene, 'a', "a00002");
    lose(&scene, 'v', "v00015");
    scene
        .network
        .server
        .borrow_mut()
        .stored
        .get_mut("user-1")
        .unwrap()
        .get_mut(&('a', "a00003".into()))
        .unwrap()
        .revision = 1;
    let found = reconcile(&scene, &engine);
    assert_eq!((found.is_all_there(), found.compared), (false, counts(20, 21)));
    let days: Vec<_> = found.days.iter().map(|day| (day.day, day.missing, day.older)).collect();
    assert_eq!(days, [(first_day, counts(1, 1), counts(0, 0)), (first_day + 3, counts(1, 0), counts(0, 1))]);
}

#[test]
fn what_is_sent_later_is_compared_later() {
    let scene = scene();
    let engine = scene.worker();
    scene.network.server.borrow_mut().poison.insert("v00003".into(), Poison::Named);
    scene.record(&engine, 0..5);
    scene.sync(&engine);
    scene.record(&engine, 5..7);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.is_all_there(), found.compared), (true, counts(4, 4)));
    scene.network.server.borrow_mut().poison.clear();
    scene.world.run(engine.put_back(Aside::Quarantine, None)).unwrap();
    scene.sync(&engine);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.is_all_there(), found.compared), (true, counts(7, 7)));
}

#[test]
fn every_acknowledged_revision_has_its_receipt_however_it_was_settled() {
    let scene = scene();
    let engine = scene.worker();
    scene.network.server.borrow_mut().poison.insert("v00003".into(), Poison::Named);
    scene.record(&engine, 0..5);
    scene.sync(&engine);
    assert_eq!(scene.status(&engine).quarantined.total(), 2);
    scene.network.server.borrow_mut().poison.clear();
    let revised = visit(3).replace("{\"id\"", "{\"revision\":2,\"id\"");
    let revised = PerKind { page_visits: vec![revised], tab_aggregates: Vec::new() };
    scene.world.run(engine.record(revised)).unwrap();
    scene.sync(&engine);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.acknowledged, found.compared), (counts(6, 4), counts(6, 4)));
}

#[test]
fn a_server_that_can_not_be_asked_is_asked_nothing_of_the_records() {
    for abilities in [None, Some(json!({ "compression": ["gzip"] }))] {
        let scene = Scene::with(Server { abilities, ..Server::default() });
        let engine = scene.worker();
        scene.record(&engine, 0..5);
        scene.sync(&engine);
        scene.network.asked.borrow_mut().clear();
        let found = reconcile(&scene, &engine);
        assert_eq!((found.is_all_there(), found.reason), (false, Some("not offered")));
        assert_eq!((found.acknowledged, found.compared), (counts(5, 5), counts(0, 0)));
        assert_eq!(asked(&scene), ["/data/sync/capabilities"]);
    }
}

#[test]
fn nothing_is_asked_without_consent_during_a_pause_signed_out_or_over_an_unsafe_line() {
    let scene = scene();
    let engine = scene.worker();
    let reason = |change: &dyn Fn(&mut heyho_sync::engine::Settings)| {
        let before = engine.settings();
        scene.world.run(engine.change_settings(|settings| change(settings))).unwrap();
        let found = reconcile(&scene, &engine);
        scene.world.run(engine.change_settings(|settings| *settings = (*before).clone())).unwrap();
        found.reason.unwrap()
    };
    assert_eq!(reason(&|settings| settings.consent = false), "consent missing");
    assert_eq!(reason(&|settings| settings.paused = true), "paused");
    assert_eq!(reason(&|settings| settings.session = None), "signed out");
    let insecure = |settings: &mut heyho_sync::engine::Settings| {
        settings.server_url = "http://api.example.com/api/v1".into();
        settings.session = Some(Session { access_token: "token-9".into(), ..session("user-1").unwrap() });
    };
    assert_eq!(reason(&insecure), "insecure address");
    assert_eq!(asked(&scene), [""; 0]);
}

#[test]
fn an_answer_that_is_none_is_no_finding() {
    let hotel = Answer { status: 200, body: "<html>".into(), ..Answer::default() };
    for fault in [NetworkFault::LostRequest, NetworkFault::Slow(60_000), NetworkFault::Instead(hotel)] {
        for question in 0..3 {
            let scene = scene();
            let engine = scene.worker();
            scene.record(&engine, 0..5);
            scene.sync(&engine);
            let mut faults = scene.network.question_faults.borrow_mut();
            faults.extend((0..question).map(|_| None).chain([Some(fault.clone())]));
            drop(faults);
            let found = reconcile(&scene, &engine);
            // What the server has in all is told where it can be, and is worth no failure.
            let is_about_totals = question == 1 && matches!(fault, NetworkFault::Instead(_));
            let expected = if is_about_totals { None } else { Some("no answer") };
            assert_eq!((found.reason, missing(&found).total()), (expected, 0), "{fault:?} {question}");
        }
    }
}

#[test]
fn a_wait_that_a_question_is_answered_with_holds_for_the_next_sync_too() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..5);
    let busy = Answer { status: 429, retry_after: Some("120".into()), ..Answer::default() };
    scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(busy)));
    assert_eq!(reconcile(&scene, &engine).reason, Some("waiting"));
    assert_eq!(reconcile(&scene, &engine).reason, Some("waiting"));
    assert_eq!(asked(&scene).len(), 1);
    let engine = scene.worker();
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("waiting"));
    scene.world.sleep(140_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    assert!(reconcile(&scene, &engine).is_all_there());
}

#[test]
fn an_expired_login_is_refreshed_once() {
    for can_refresh in [true, false] {
        let scene = scene();
        scene.network.server.borrow_mut().can_refresh = can_refresh;
        let refreshable =
            session("user-1").map(|session| Session { refresh_token: Some("refresh-1".into()), ..session });
        let engine = scene.worker_as(refreshable);
        scene.record(&engine, 0..5);
        scene.sync(&engine);
        scene.network.server.borrow_mut().tokens.clear();
        let found = reconcile(&scene, &engine);
        let expected = if can_refresh { None } else { Some("sign in again") };
        assert_eq!((found.reason, missing(&found).total()), (expected, 0));
    }
}

fn refreshable() -> Option<Session> {
    Some(Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() })
}

#[test]
fn an_expired_login_that_comes_with_a_wait_is_refreshed_after_it() {
    let scene = scene();
    let engine = scene.worker_as(refreshable());
    let expired = Answer { status: 401, retry_after: Some("600".into()), ..Answer::default() };
    scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(expired)));
    assert_eq!(reconcile(&scene, &engine).reason, Some("waiting"));
    assert_eq!(asked(&scene), ["/data/sync/capabilities"]);
}

#[test]
fn no_login_is_refreshed_for_a_comparison_after_a_no() {
    type Change = fn(&mut Settings);
    let changes: [(Change, _); 3] = [
        (|settings| settings.consent = false, "consent missing"),
        (|settings| settings.paused = true, "paused"),
        (|settings| settings.session = None, "signed out"),
    ];
    for (change, reason) in changes {
        let scene = scene();
        let engine = scene.worker_as(refreshable());
        scene.record(&engine, 0..5);
        scene.sync(&engine);
        scene.network.server.borrow_mut().tokens.clear();
        scene.network.asked.borrow_mut().clear();
        let comparison = pin!(engine.reconcile());
        let change = pin!(async {
            while !asked(&scene).contains(&"/data/sync/known".to_owned()) {
                scene.world.pass(1).await;
            }
            engine.change_settings(change).await.unwrap();
        });
        let slow = Some(NetworkFault::Slow(50));
        scene.network.question_faults.borrow_mut().extend([None, None, slow]);
        let (found, ()) = scene.world.run(join(comparison, change));
        assert_eq!(found.unwrap().reason, Some(reason));
        assert_eq!(asked(&scene), ["/data/sync/capabilities", "/data/sync/status", "/data/sync/known"]);
    }
}

#[test]
fn a_login_is_refreshed_once_for_a_sync_and_a_comparison_beside_it() {
    let scene = scene();
    scene.network.server.borrow_mut().can_refresh = true;
    let engine = scene.worker_as(refreshable());
    scene.record(&engine, 0..4);
    scene.sync(&engine);
    scene.record(&engine, 4..8);
    scene.network.server.borrow_mut().tokens.clear();
    let slow = || Some(NetworkFault::Slow(500));
    scene.network.question_faults.borrow_mut().extend([None, slow(), slow(), slow()]);
    scene.network.latency_ms.set(500);
    let sync = pin!(engine.sync(RunOptions::default()));
    let comparison = pin!(engine.reconcile());
    let (report, found) = scene.world.run(join(sync, comparison));
    assert_eq!(report.unwrap().outcome, Outcome::Complete);
    assert_eq!(found.unwrap().reason, None);
    let refreshed = asked(&scene).iter().filter(|route| *route == "/auth/refresh").count();
    assert_eq!(refreshed, 1);
}

#[test]
fn a_wait_that_a_question_is_answered_with_holds_for_a_sync_at_work_and_for_the_next_worker() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    scene.sync(&engine);
    scene.record(&engine, 1..1_000);
    scene.network.latency_ms.set(50);
    let sync = pin!(engine.sync(RunOptions::default()));
    let comparison = pin!(async {
        while scene.requests() < 4 {
            scene.world.pass(1).await;
        }
        let busy = Answer { status: 429, retry_after: Some("600".into()), ..Answer::default() };
        scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(busy)));
        engine.reconcile().await.unwrap()
    });
    // The network's own referee fails where an upload comes too early.
    let (report, found) = scene.world.run(join(sync, comparison));
    assert_eq!((report.unwrap().reason.as_deref(), found.reason), (Some("waiting"), Some("waiting")));
    let engine = scene.worker();
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("waiting"));
    scene.world.sleep(700_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
}

#[test]
fn what_was_delivered_for_another_account_is_not_looked_for_in_this_one() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..5);
    scene.sync(&engine);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Some(Session { access_token: "token-2".into(), ..session("user-2").unwrap() });
    scene.world.run(engine.change_settings(|settings| settings.session = second)).unwrap();
    scene.record(&engine, 5..7);
    scene.sync(&engine);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.is_all_there(), found.acknowledged), (true, counts(2, 2)));
    assert_eq!(found.compared, counts(2, 2));
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
    assert_eq!(reconcile(&scene, &engine).compared, counts(5, 5));
}

#[test]
fn long_memories_are_asked_about_in_pieces_that_the_server_takes() {
    let scene = scene_asking(1_000);
    let engine = scene.worker();
    for hundred in 0..12 {
        scene.record(&engine, 100 * hundred..100 * (hundred + 1));
        scene.sync(&engine);
    }
    lose(&scene, 'v', "v00042");
    lose(&scene, 'a', "a01100");
    scene.network.asked.borrow_mut().clear();
    let found = reconcile(&scene, &engine);
    assert_eq!((found.compared, missing(&found)), (counts(1_200, 1_200), counts(1, 1)));
    let ids = |question: &serde_json::Value| {
        ["pageVisits", "tabAggregates"]
            .map(|list| question[list].as_array().unwrap().len())
            .iter()
            .sum::<usize>()
    };
    let network = scene.network.asked.borrow();
    let questions =
        network.iter().filter(|(route, _)| route == "/data/sync/known").map(|(_, body)| ids(body));
    assert_eq!(questions.collect::<Vec<_>>(), [1_000, 1_000, 400]);
}

#[test]
fn what_is_forgotten_leaves_no_receipt_and_is_not_called_missing() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..5);
    scene.sync(&engine);
    assert!(!scene.disk.memory.rows(Table::Receipts).is_empty());
    scene.world.run(engine.erase(Scope::Site("example.com".into()), true)).unwrap();
    assert!(scene.disk.memory.rows(Table::Receipts).is_empty());
    scene.sync(&engine);
    scene.record(&engine, 5..7);
    scene.sync(&engine);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.is_all_there(), found.acknowledged), (true, counts(7, 7)));
    assert_eq!(found.compared, counts(2, 2));
}

#[test]
fn receipts_that_are_too_old_are_dropped_with_a_settlement() {
    let scene = scene();
    let engine = scene.worker();
    let drops_when = |count: u64| {
        let disk = &scene.disk.memory;
        let query = [Query::Document(Document::Books)];
        let text = scene.world.run(disk.read(&query)).unwrap().remove(0).document().unwrap();
        let mut books: serde_json::Value = serde_json::from_str(&text).unwrap();
        books["next_count"] = count.into();
        let change = Change::Write(Document::Books, books.to_string());
        scene.world.run(disk.update(&[], |_| Ok::<_, StoreError>((vec![change], ())))).unwrap();
        scene.record(&engine, count as usize..count as usize + 1);
        scene.sync(&engine);
        disk.rows(Table::Receipts).len()
    };
    assert_eq!(drops_when(10), 1);
    assert_eq!(drops_when(RECEIPTS_KEPT), 2);
    assert_eq!(drops_when(RECEIPTS_KEPT + RECEIPTS_DROPPED_EVERY - 3), 2, "the first one is gone");
}

#[test]
fn what_the_server_says_is_erased_is_not_called_missing() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    scene.sync(&engine);
    for (kind, id) in [('v', "v00001"), ('a', "a00001"), ('a', "a00002")] {
        lose(&scene, kind, id);
    }
    let mut held = json!({ "success": true, "data": {
        "pageVisits": [{ "id": "v00000", "revision": 1 }, { "id": "v00002", "revision": 1 }],
        "tabAggregates": [{ "id": "a00000", "revision": 1 }],
        "erasedPageVisits": ["v00001"],
    }});
    let answer = |body: &serde_json::Value| {
        let answer = Answer { status: 200, body: body.to_string(), ..Answer::default() };
        Some(NetworkFault::Instead(answer))
    };
    scene.network.question_faults.borrow_mut().extend([None, None, answer(&held)]);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.erased, missing(&found)), (counts(1, 1), counts(0, 1)));
    held["data"]["erasedPageVisits"] = json!([]);
    scene.network.question_faults.borrow_mut().extend([None, None, answer(&held)]);
    let found = reconcile(&scene, &engine);
    assert_eq!((found.erased, missing(&found)), (counts(0, 0), counts(1, 2)));
    let asked = scene.network.asked.borrow();
    assert_eq!(asked.last().unwrap().1["pageVisits"], json!(["v00001"]), "is the aggregate's visit erased?");
}

#[test]
fn a_worker_that_dies_at_any_await_of_a_sync_leaves_a_receipt_for_each_acknowledged_record() {
    for polls in 0..80 {
        let scene = scene();
        let engine = scene.worker();
        scene.record(&engine, 0..150);
        scene.world.run_for(engine.sync(heyho_sync::engine::RunOptions::default()), polls);
        let engine = scene.worker();
        let acknowledged = scene.status(&engine).acknowledged;
        let receipts: usize =
            scene.disk.memory.rows(Table::Receipts).iter().map(|row| row.body.lines().count()).sum();
        assert_eq!(receipts as u64, acknowledged.total(), "{polls}");
        scene.sync(&engine);
        assert!(reconcile(&scene, &engine).is_all_there());
    }
}
