//! What a server can do beyond storing batches: asked for, made use of, and never in the way of a plain sync.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, aggregate, imported, records, session};
use heyho_simulation::server::{Poison, Server};
use heyho_simulation::store::Disk;
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::report::Outcome;
use heyho_sync::engine::{EngineError, RunOptions};
use heyho_sync::outbox::Aside;
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::owner::Session;
use heyho_sync::words::policy::Compress;
use heyho_sync::words::record::RecordError;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

fn scene_with(abilities: Value) -> Scene {
    Scene::with(Server { abilities: Some(abilities), ..Server::default() })
}

fn asked(scene: &Scene, route: &str) -> usize {
    scene.network.asked.borrow().iter().filter(|(asked, _)| asked == route).count()
}

fn packed(scene: &Scene) -> Vec<bool> {
    scene.network.seen.borrow().iter().map(|seen| seen.packed).collect()
}

const CAPABILITIES: &str = "/data/sync/capabilities";

#[test]
fn a_server_is_asked_for_its_abilities_once_a_day_and_only_when_something_is_to_be_sent() {
    for scene in [Scene::default(), scene_with(json!({ "compression": ["gzip"] }))] {
        let engine = scene.worker();
        scene.sync(&engine);
        assert_eq!(asked(&scene, CAPABILITIES), 0);
        for number in 0..3 {
            scene.record(&engine, number..number + 1);
            scene.sync(&engine);
        }
        assert_eq!(asked(&scene, CAPABILITIES), 1);
        scene.world.sleep(DAY_MS);
        scene.record(&engine, 3..4);
        scene.sync(&engine);
        assert_eq!((asked(&scene, CAPABILITIES), scene.stored()), (2, 8));
    }
}

#[test]
fn a_server_that_says_nothing_of_its_abilities_is_sent_to_all_the_same() {
    let hotel = Answer { status: 200, body: "<html>".into(), ..Answer::default() };
    for fault in [NetworkFault::LostRequest, NetworkFault::Slow(60_000), NetworkFault::Instead(hotel)] {
        let scene = scene_with(json!({ "compression": ["gzip"] }));
        let engine = scene.worker();
        scene.record(&engine, 0..20);
        scene.network.question_faults.borrow_mut().push_back(Some(fault));
        let report = scene.sync(&engine);
        assert_eq!((report.outcome, report.requests, packed(&scene)), (Outcome::Complete, 1, vec![false]));
        assert!(report.duration_ms.0 < 6_000);
        scene.record(&engine, 20..40);
        scene.sync(&engine);
        scene.world.sleep(600_000);
        scene.record(&engine, 40..60);
        scene.sync(&engine);
        assert_eq!((asked(&scene, CAPABILITIES), packed(&scene)), (2, vec![false, false, true]));
    }
}

#[test]
fn a_wait_that_is_asked_for_instead_of_an_answer_is_kept() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    let busy = Answer { status: 429, retry_after: Some("120".into()), ..Answer::default() };
    scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(busy)));
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("server trouble"));
    scene.world.sleep(119_000);
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("waiting"));
    assert_eq!(scene.requests(), 0);
    scene.world.sleep(20_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
}

fn worker_that_compresses(scene: &Scene, compress: Compress) -> TestEngine {
    let engine = scene.worker();
    scene.world.run(engine.change_settings(|settings| settings.policy.compress = compress)).unwrap();
    engine
}

#[test]
fn bodies_are_compressed_where_the_server_reads_that_or_the_policy_says_so() {
    let gzip = json!({ "compression": ["gzip"] });
    for (abilities, compress, expected) in [
        (gzip.clone(), Compress::Auto, true),
        (gzip, Compress::Never, false),
        (json!({}), Compress::Auto, false),
        (json!({}), Compress::Always, true),
    ] {
        let scene = scene_with(abilities);
        let engine = worker_that_compresses(&scene, compress);
        scene.record(&engine, 0..250);
        let report = scene.sync(&engine);
        assert_eq!(packed(&scene), vec![expected; 3], "{compress:?}");
        let seen = scene.network.seen.borrow();
        let bytes: usize = seen.iter().map(|seen| seen.bytes).sum();
        let packing = if expected { 3 * "packed:".len() } else { 0 };
        assert_eq!(
            (report.bytes_before_compression, report.bytes_sent),
            (bytes as u64, (bytes + packing) as u64)
        );
    }
}

#[test]
fn a_body_that_is_small_is_not_compressed() {
    let scene = scene_with(json!({ "compression": ["gzip"] }));
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    scene.sync(&engine);
    assert_eq!(packed(&scene), [false]);
}

#[test]
fn a_server_that_refuses_compressed_bodies_costs_one_request_a_day() {
    for status in [400, 415, 500] {
        let scene = scene_with(json!({ "compression": ["gzip"] }));
        scene.network.server.borrow_mut().gzip_refusal = Some(status);
        let engine = scene.worker();
        scene.record(&engine, 0..250);
        let report = scene.sync(&engine);
        assert_eq!((report.outcome, report.batches, report.requests), (Outcome::Complete, 3, 4), "{status}");
        assert_eq!(packed(&scene), [true, false, false, false]);
        let keys: Vec<_> = scene.network.seen.borrow().iter().map(|s| s.idempotency_key.clone()).collect();
        assert_eq!(keys[0], keys[1], "the content is the same");
        for number in 0..5 {
            scene.record(&engine, 300 + 20 * number..320 + 20 * number);
            scene.sync(&engine);
        }
        assert_eq!(scene.requests(), 9);
        scene.world.sleep(DAY_MS);
        scene.record(&engine, 500..520);
        scene.sync(&engine);
        assert_eq!(packed(&scene)[9..], [true, false]);
        assert_eq!(scene.stored(), 2 * 370);
        scene.assert_balanced(&engine, 2 * 370);
    }
}

#[test]
fn a_record_that_fails_in_a_compressed_body_is_found_as_in_a_plain_one() {
    let scene = scene_with(json!({ "compression": ["gzip"] }));
    scene
        .network
        .server
        .borrow_mut()
        .poison
        .insert("v00042".into(), heyho_simulation::server::Poison::Silent);
    let engine = scene.worker();
    scene.record(&engine, 0..150);
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.quarantined.total(), status.pending.total(), scene.stored()), (2, 0, 298));
}

#[test]
fn a_server_that_says_what_it_takes_gets_no_more_than_that() {
    let scene =
        scene_with(json!({ "max_page_visits": 7, "max_tab_aggregates": 1000, "max_body_bytes": 5_000 }));
    let engine = scene.worker();
    scene.record(&engine, 0..50);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    let seen = scene.network.seen.borrow();
    assert!(seen.iter().all(|seen| seen.page_visits.len() <= 7 && seen.bytes <= 5_000));
    assert_eq!(scene.stored(), 100);
}

// Each visit comes from the one before it: no two batches are independent.
fn record_chain(scene: &Scene, engine: &TestEngine, length: usize) {
    let visit = |number: usize| {
        let source = number.checked_sub(1).map(|before| format!("v{before:05}"));
        json!({ "id": format!("v{number:05}"), "url": "https://example.com/", "title": "x",
            "visited_at": "2026-11-21T10:00:00.000Z", "source_page_visit_id": source })
        .to_string()
    };
    let page_visits = (0..length).map(visit).collect();
    let records = PerKind { page_visits, tab_aggregates: (0..length).map(aggregate).collect() };
    scene.world.run(engine.record(records)).unwrap();
}

fn sources_stored(scene: &Scene) -> usize {
    let server = scene.network.server.borrow();
    server.stored["user-1"]
        .values()
        .filter(|stored| stored.record()["source_page_visit_id"].is_string())
        .count()
}

#[test]
fn a_chain_flies_side_by_side_and_whole_where_order_does_not_matter() {
    for (any_order, in_flight) in [(false, 1), (true, 3)] {
        let scene = scene_with(json!({ "references_in_any_order": any_order }));
        scene.network.server.borrow_mut().wants_order = !any_order;
        let engine = scene.worker();
        record_chain(&scene, &engine, 800);
        assert_eq!(scene.sync(&engine).requests, 8);
        assert_eq!(scene.network.most_in_flight.get(), in_flight);
        assert_eq!(sources_stored(&scene), 799);
    }
}

#[test]
fn a_server_that_loses_an_ability_between_two_syncs_still_gets_every_record() {
    let scene = scene_with(json!({ "references_in_any_order": true, "compression": ["gzip"] }));
    scene.network.server.borrow_mut().wants_order = false;
    let engine = scene.worker();
    scene.record(&engine, 9_000..9_001);
    scene.sync(&engine);
    let mut server = scene.network.server.borrow_mut();
    (server.abilities, server.wants_order, server.gzip_refusal) = (None, true, Some(400));
    drop(server);
    record_chain(&scene, &engine, 800);
    // The second batch of a flight arrives before the first.
    scene.network.latency_ms.set(50);
    let report = scene.sync(&engine);
    assert_eq!((report.outcome, scene.stored(), sources_stored(&scene)), (Outcome::Complete, 1_602, 799));
    assert_eq!(scene.status(&engine).quarantined.total(), 0);
    assert!(report.requests <= 8 + 4, "{} requests", report.requests);
    scene.assert_balanced(&engine, 1_602);
}

#[test]
fn a_server_that_wants_order_in_spite_of_its_word_gets_it_at_the_second_request() {
    let scene = scene_with(json!({ "references_in_any_order": true }));
    let engine = scene.worker();
    let later = |number: usize| {
        json!({ "id": format!("w{number}"), "url": "https://example.com/", "title": "x",
        "visited_at": "2026-11-21T10:00:00.000Z", "source_page_visit_id": "v00000" })
    };
    let page_visits = (0..150).map(|number| later(number).to_string()).collect();
    scene.world.run(engine.record(PerKind { page_visits, tab_aggregates: Vec::new() })).unwrap();
    scene.record(&engine, 0..1);
    let report = scene.sync(&engine);
    assert_eq!((report.outcome, report.requests, scene.stored()), (Outcome::Complete, 3, 152));
    assert_eq!(scene.status(&engine).quarantined.total(), 0);
}

#[test]
fn nobody_is_blamed_for_the_order_while_a_bad_record_is_looked_for() {
    let scene = scene_with(json!({ "references_in_any_order": true }));
    let bad = ["v00010", "v00060"];
    scene.network.server.borrow_mut().poison = bad.map(|id| (id.to_owned(), Poison::Silent)).into();
    let engine = scene.worker();
    record_chain(&scene, &engine, 100);
    for _ in 0..60 {
        scene.sync(&engine);
        scene.world.sleep(3_700_000);
    }
    let quarantined = scene.world.run(engine.outbox().list(Aside::Quarantine)).unwrap();
    let quarantined: Vec<_> = quarantined
        .iter()
        .filter(|row| row.head.kind == Kind::PageVisit)
        .map(|row| row.head.id.as_str())
        .collect();
    assert_eq!((quarantined, scene.status(&engine).pending.total()), (bad.to_vec(), 0));
}

#[test]
fn a_server_that_gains_an_ability_is_made_use_of_within_a_day() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..20);
    scene.sync(&engine);
    scene.network.server.borrow_mut().abilities = Some(json!({ "compression": ["gzip"] }));
    scene.record(&engine, 20..40);
    scene.sync(&engine);
    scene.world.sleep(DAY_MS);
    scene.record(&engine, 40..60);
    scene.sync(&engine);
    assert_eq!(packed(&scene), [false, false, true]);
}

const KNOWN: &str = "/data/sync/known";

// A server that has the first `stored` pairs of records, and a new installation that has imported `backlog` of them.
fn restored(stored: usize, backlog: usize, most_ids: usize) -> (Scene, TestEngine) {
    let mut scene = scene_with(json!({ "preflight": { "max_ids": most_ids } }));
    let engine = scene.worker();
    scene.record(&engine, 0..stored);
    while scene.status(&engine).pending.total() > 0 {
        scene.sync(&engine);
    }
    (scene.disk, scene.browser) = (Disk::new(), Rc::default());
    let engine = scene.worker();
    let records = records(0..backlog);
    let lines = |kind: &str, records: Vec<String>| -> String {
        let line = |text: String| format!("{{\"kind\":\"{kind}\",\"record\":{}}}\n", text.replace('\n', ""));
        records.into_iter().map(line).collect()
    };
    let ndjson = lines("page_visit", records.page_visits) + &lines("tab_aggregate", records.tab_aggregates);
    let imported = scene.world.run(imported(&engine, &ndjson)).unwrap();
    assert_eq!(imported.recorded.captured, 2 * backlog as u64);
    scene.network.seen.borrow_mut().clear();
    scene.network.asked.borrow_mut().clear();
    // That of its abilities is answered.
    scene.network.question_faults.borrow_mut().push_back(None);
    (scene, engine)
}

#[test]
fn a_restored_backlog_costs_one_question_and_the_requests_for_what_the_server_has_not() {
    let (scene, engine) = restored(8_000, 8_651, 20_000);
    let report = scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), scene.requests()), (1, 7));
    assert_eq!((report.outcome, report.skipped, report.created), (Outcome::Complete, 16_000, 1_302));
    assert!(report.balances());
    assert_eq!((scene.rows_left(), scene.stored()), (0, 2 * 8_651));
    scene.assert_balanced(&engine, 2 * 8_651);
    scene.record(&engine, 9_000..9_500);
    scene.sync(&engine);
    assert_eq!(asked(&scene, KNOWN), 1, "what was captured since is in no doubt");
}

#[test]
fn a_question_that_fails_three_times_leaves_everything_to_be_sent() {
    let wrong =
        |status, body: &str| NetworkFault::Instead(Answer { status, body: body.into(), ..Answer::default() });
    for fault in [
        NetworkFault::LostRequest,
        NetworkFault::Slow(60_000),
        NetworkFault::AnswerCutOff,
        wrong(404, ""),
        wrong(500, ""),
        wrong(200, "{}"),
    ] {
        let (scene, engine) = restored(400, 500, 20_000);
        for _ in 0..9 {
            scene.network.question_faults.borrow_mut().push_back(Some(fault.clone()));
        }
        let report = scene.sync(&engine);
        assert_eq!((asked(&scene, KNOWN), scene.requests()), (3, 5), "{fault:?}");
        assert_eq!((report.outcome, report.skipped, report.created), (Outcome::Complete, 800, 200));
        assert_eq!((scene.rows_left(), scene.stored()), (0, 1_000));
        scene.assert_balanced(&engine, 1_000);
    }
}

#[test]
fn a_question_is_asked_again_after_a_second_and_the_third_answer_counts() {
    let (scene, engine) = restored(400, 500, 20_000);
    for _ in 0..2 {
        scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::LostRequest));
    }
    let before = scene.world.monotonic();
    let report = scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), scene.requests(), report.skipped), (3, 1, 800));
    assert!(scene.world.monotonic() - before >= 2_000);
}

#[test]
fn a_backlog_beyond_one_question_is_asked_about_in_pages() {
    let (scene, engine) = restored(3_000, 3_100, 2_000);
    let report = scene.sync(&engine);
    let asked = scene.network.asked.borrow();
    let ids = |body: &Value| {
        body["pageVisits"].as_array().unwrap().len() + body["tabAggregates"].as_array().unwrap().len()
    };
    let pages: Vec<usize> =
        asked.iter().filter(|(route, _)| route == KNOWN).map(|(_, body)| ids(body)).collect();
    assert!(pages.len() <= 5 && pages.iter().all(|page| *page <= 2_000), "{pages:?}");
    assert_eq!(pages.iter().sum::<usize>(), 2 * 3_100, "each record is asked about once");
    assert_eq!((report.skipped, report.created, scene.requests()), (6_000, 200, 1));
}

#[test]
fn a_later_revision_than_the_servers_is_sent() {
    let (scene, engine) = restored(300, 300, 20_000);
    let revised = |number| aggregate(number).replace("\"id\"", "\"revision\":2,\"id\"");
    let records = PerKind { page_visits: Vec::new(), tab_aggregates: (0..10).map(revised).collect() };
    scene.world.run(engine.record(records)).unwrap();
    let report = scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), report.skipped, report.updated), (1, 600, 10));
    assert_eq!(scene.network.server.borrow().stored["user-1"][&('a', "a00003".into())].revision, 2);
    scene.assert_balanced(&engine, 610);
}

#[test]
fn what_a_dead_worker_had_in_flight_is_asked_about_before_it_is_sent_again() {
    let scene = scene_with(json!({ "preflight": { "max_ids": 20_000 } }));
    let engine = scene.worker();
    scene.record(&engine, 0..250);
    let dies = async {
        let sync = std::pin::pin!(engine.sync(RunOptions::default()));
        let death = std::pin::pin!(async {
            while scene.stored() == 0 {
                scene.world.pass(1).await;
            }
        });
        futures_first(sync, death).await;
    };
    scene.world.run(dies);
    drop(engine);
    assert_eq!((scene.rows_left(), scene.stored()), (500, 200));
    let engine = scene.worker();
    let report = scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), report.skipped, report.created), (1, 200, 300));
    assert_eq!(scene.requests(), 1 + 2);
    scene.assert_balanced(&engine, 500);
    scene.record(&engine, 300..500);
    scene.sync(&engine);
    assert_eq!(asked(&scene, KNOWN), 1);
}

#[test]
fn records_that_were_put_back_are_asked_about() {
    let scene = scene_with(json!({ "preflight": { "max_ids": 20_000 } }));
    let engine = scene.worker();
    for number in 0..150 {
        let poison = heyho_simulation::server::Poison::Named;
        scene.network.server.borrow_mut().poison.insert(format!("v{number:05}"), poison);
    }
    scene.record(&engine, 0..500);
    scene.sync(&engine);
    assert_eq!(scene.status(&engine).quarantined.total(), 300);
    // Another installation of the same account has delivered them meanwhile.
    scene.network.server.borrow_mut().poison.clear();
    let mut other = Scene::default();
    (other.network, other.world) = (Rc::clone(&scene.network), Rc::clone(&scene.world));
    let elsewhere = other.worker();
    other.record(&elsewhere, 0..150);
    other.sync(&elsewhere);
    let before = scene.requests();
    scene.world.run(engine.put_back(Aside::Quarantine, None)).unwrap();
    let report = scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), scene.requests() - before, report.skipped), (1, 0, 300));
    scene.assert_balanced(&engine, 1_000);
}

#[test]
fn what_fits_into_one_batch_is_sent_unasked() {
    let (scene, engine) = restored(100, 100, 20_000);
    assert_eq!(scene.sync(&engine).skipped, 200);
    assert_eq!((asked(&scene, KNOWN), scene.requests()), (0, 1));
}

#[test]
fn a_wait_that_a_question_is_answered_with_is_kept() {
    let (scene, engine) = restored(400, 500, 20_000);
    let busy = Answer { status: 503, retry_after: Some("60".into()), ..Answer::default() };
    scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(busy)));
    scene.sync(&engine);
    assert_eq!((asked(&scene, KNOWN), scene.requests()), (1, 0));
    scene.world.sleep(70_000);
    assert_eq!((scene.sync(&engine).skipped, asked(&scene, KNOWN)), (800, 2));
}

// Runs the first until the second ends.
async fn futures_first<A>(
    first: Pin<&mut impl Future<Output = A>>,
    second: Pin<&mut impl Future<Output = ()>>,
) {
    let (mut first, mut second) = (first, second);
    std::future::poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => second.as_mut().poll(context),
    })
    .await;
}

#[test]
fn a_caller_who_repeats_what_was_acknowledged_is_told_so_and_nothing_is_queued() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..120);
    scene.sync(&engine);
    let again = scene.record(&engine, 100..130);
    assert_eq!((again.captured, again.held_already), (20, 40));
    assert_eq!((scene.rows_left(), scene.sync(&engine).created), (20, 20));
    scene.assert_balanced(&engine, 260);
    drop(engine);
    let engine = scene.worker();
    assert_eq!(scene.record(&engine, 110..130).captured, 0, "a new worker knows it too");
}

#[test]
fn another_body_at_an_acknowledged_revision_is_refused_and_a_higher_revision_is_taken() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    scene.sync(&engine);
    let changed = |revision| {
        aggregate(0)
            .replace("\"total_time_seconds\":3", "\"total_time_seconds\":4")
            .replace("\"id\"", &format!("\"revision\":{revision},\"id\""))
    };
    let record = |text: String| {
        scene.world.run(engine.record(PerKind { page_visits: Vec::new(), tab_aggregates: vec![text] }))
    };
    let refused = record(changed(1)).unwrap_err();
    assert!(matches!(refused, EngineError::Record { error: RecordError::RevisionHeld, .. }));
    assert_eq!(record(changed(2)).unwrap().captured, 1);
    assert_eq!(scene.sync(&engine).updated, 1);
    scene.assert_balanced(&engine, 3);
}

#[test]
fn an_erase_forgets_what_was_delivered() {
    for scope in [Scope::All, Scope::Site("example.com".into())] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..1);
        scene.sync(&engine);
        scene.world.run(engine.erase(scope, false)).unwrap();
        assert_eq!(scene.record(&engine, 0..1).captured, 2);
    }
}

#[test]
fn what_one_account_has_delivered_is_new_to_another() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    scene.sync(&engine);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second))).unwrap();
    assert_eq!(scene.record(&engine, 0..2).captured, 4);
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-2"].len(), 4);
}

#[test]
fn the_status_tells_how_the_last_uploads_went() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.network.latency_ms.set(40);
    for number in 0..30 {
        scene.record(&engine, number..number + 1);
        scene.sync(&engine);
    }
    let metrics = scene.status(&engine).metrics;
    assert_eq!((metrics.uploads, metrics.success_rate, metrics.network_errors), (30, Some(1.0), 0));
    assert!(metrics.alerts.is_empty() && metrics.p95_batch_ms.is_some_and(|ms| (40..60).contains(&ms)));
    scene.record(&engine, 30..31);
    for _ in 0..3 {
        scene.network.fail_next(NetworkFault::LostRequest);
    }
    scene.sync(&engine);
    drop(engine);
    let metrics = scene.status(&scene.worker()).metrics;
    assert_eq!((metrics.uploads, metrics.network_errors, metrics.alerts), (33, 3, vec!["success_rate"]));
}

#[test]
fn what_was_refused_is_tried_once_more_when_the_server_has_another_version() {
    let scene = scene_with(json!({ "version": "1" }));
    scene.network.server.borrow_mut().poison.insert("v00005".into(), Poison::Named);
    let engine = scene.worker();
    let refused = |scene: &Scene, engine: &TestEngine| scene.status(engine).quarantined.total();
    let tries = |scene: &Scene| {
        let seen = scene.network.seen.borrow();
        seen.iter().filter(|seen| seen.page_visits.iter().any(|visit| visit.id == "v00005")).count()
    };
    let next_day = |scene: &Scene, first: usize| {
        scene.world.sleep(DAY_MS);
        scene.record(&engine, first..first + 1);
        while scene.status(&engine).pending.total() > 0 {
            scene.sync(&engine);
        }
    };
    next_day(&scene, 0);
    scene.record(&engine, 1..10);
    scene.sync(&engine);
    assert_eq!(refused(&scene, &engine), 2, "the visit and its aggregate");
    let before = tries(&scene);
    next_day(&scene, 10);
    assert_eq!(tries(&scene), before, "the same version is not asked again");

    scene.network.server.borrow_mut().abilities = Some(json!({ "version": "2" }));
    next_day(&scene, 20);
    assert!(tries(&scene) > before);
    assert_eq!(refused(&scene, &engine), 2, "it refuses them still");
    let before = tries(&scene);
    next_day(&scene, 30);
    assert_eq!(tries(&scene), before, "once for each version");

    scene.network.server.borrow_mut().abilities = Some(json!({ "version": "3" }));
    scene.network.server.borrow_mut().poison.clear();
    next_day(&scene, 40);
    assert_eq!(refused(&scene, &engine), 0);
    assert_eq!(scene.rows_left(), 0);
}
