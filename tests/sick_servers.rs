//! Servers, and what stands before them, that refuse whatever comes: nobody is condemned, nothing is hammered, and no wait
//! is undercut (rules 5, 7 and 11).
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use std::iter::repeat_n;
use std::pin::pin;

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, join, session, visit};
use heyho_simulation::server::{Manner, Poison, Server};
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::engine::RunOptions;
use heyho_sync::outbox::Aside;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::record::sites::SiteRules;

const WAKES: usize = 60;
const FOR_EVER: usize = 20_000;

fn hourly(scene: &Scene, engine: &TestEngine, wakes: usize) {
    for _ in 0..wakes {
        scene.sync(engine);
        scene.world.sleep(3_700_000);
    }
}

/// The reason for which a sync by hand ended early, if it did.
fn click(scene: &Scene, engine: &TestEngine) -> Option<String> {
    let options = RunOptions { by_hand: true, ..RunOptions::default() };
    scene.world.run(engine.sync(options)).unwrap().reason
}

fn one_visit() -> PerKind<Vec<String>> {
    PerKind { page_visits: vec![visit(0)], tab_aggregates: Vec::new() }
}

#[test]
fn a_gateway_that_calls_everything_too_large_condemns_nobody_and_is_not_hammered() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    scene.network.faults.borrow_mut().extend(repeat_n(Some(NetworkFault::instead(413, "")), FOR_EVER));
    scene.sync(&engine);
    assert!(scene.requests() < 50, "{} requests in the first wake", scene.requests());
    let first = scene.requests();
    hourly(&scene, &engine, WAKES);
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.total()), (800, 0));
    assert_eq!(status.problem.unwrap().code, "the server refuses");
    let per_attempt = (scene.requests() - first) as f64 / WAKES as f64;
    assert!(per_attempt < 4.0, "{per_attempt} requests an attempt");
    scene.network.faults.borrow_mut().clear();
    hourly(&scene, &engine, WAKES);
    assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (800, 0));
    scene.assert_balanced(&engine, 800);
}

#[test]
fn a_single_record_that_is_too_large_goes_to_quarantine_alone_and_what_may_not_be_sent_is_discarded() {
    let scene = Scene::default();
    let engine = scene.worker();
    let on = |number: usize, host: &str| {
        format!(
            r#"{{"id":"x{number}","url":"https://{host}/","title":"t","visited_at":"2026-11-21T10:00:00.000Z"}}"#
        )
    };
    let mut page_visits: Vec<String> = (0..99).map(|number| on(number, "secret.example")).collect();
    page_visits.push(on(99, "example.com"));
    let texts = PerKind { page_visits, tab_aggregates: Vec::new() };
    scene.world.run(engine.record(texts)).unwrap();
    let rules = SiteRules::new(["secret.example"]);
    scene.world.run(engine.change_settings(|settings| settings.excluded = rules)).unwrap();
    scene.network.fail_next(NetworkFault::instead(413, ""));
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.discarded.total(), status.quarantined.total(), status.pending.total()), (99, 1, 0));
}

#[test]
fn a_server_that_dies_beside_a_success_condemns_nobody() {
    for status in [500, 400] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..400);
        scene.network.latency_ms.set(50);
        let dead = || Some(NetworkFault::instead(status, ""));
        let mut faults = scene.network.faults.borrow_mut();
        faults.extend([None, dead(), Some(NetworkFault::Slow(500))]);
        faults.extend(repeat_n(dead(), FOR_EVER));
        drop(faults);
        hourly(&scene, &engine, WAKES);
        let pending = scene.status(&engine).pending.total();
        assert_eq!(scene.status(&engine).quarantined.total(), 0, "{status}");
        let (requests, wakes) = (scene.requests(), WAKES as f64);
        hourly(&scene, &engine, WAKES);
        let per_attempt = (scene.requests() - requests) as f64 / wakes;
        assert!(per_attempt < 4.0, "{status}: {per_attempt} requests an attempt");
        scene.network.faults.borrow_mut().clear();
        hourly(&scene, &engine, WAKES);
        assert!(pending > 0);
        assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (800, 0), "{status}");
        scene.assert_balanced(&engine, 800);
    }
}

#[test]
fn a_batch_that_was_lost_is_not_blamed_for_what_the_server_does_later() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..300);
    scene.network.latency_ms.set(50);
    let mut faults = scene.network.faults.borrow_mut();
    faults.extend([None, Some(NetworkFault::LostRequest), Some(NetworkFault::Slow(500))]);
    faults.extend(repeat_n(Some(NetworkFault::instead(400, "")), 16));
    drop(faults);
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.quarantined.total(), status.pending.total()), (0, 200));
}

#[test]
fn a_wait_is_heeded_whatever_status_it_comes_with() {
    // A fault of the server's own is the records' at the third time.
    let at_the_third = [500, 501, 520].into_iter().flat_map(|status| [(status, 150, 3), (status, 1, 3)]);
    let at_once = [302, 400, 401, 403, 404, 413, 415, 422].map(|status| (status, 150, 1));
    for (status, records, attempts) in at_once.into_iter().chain(at_the_third) {
        let scene = Scene::default();
        let refreshable = Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() };
        let engine = scene.worker_as(Some(refreshable));
        scene.record(&engine, 0..records);
        for _ in 1..attempts {
            scene.network.fail_next(NetworkFault::instead(status, ""));
        }
        let retry_after = Some("600".to_owned());
        let answer = Answer { status, retry_after, redirected: status == 302, ..Answer::default() };
        scene.network.fail_next(NetworkFault::Instead(answer));
        scene.sync(&engine);
        let (requests, asked) = (scene.requests(), scene.network.asked.borrow().len());
        assert_eq!(requests, attempts, "{status}");
        scene.world.sleep(590_000);
        assert_eq!(click(&scene, &engine).as_deref(), Some("waiting"), "{status}");
        let engine = scene.worker();
        assert_eq!(click(&scene, &engine).as_deref(), Some("waiting"), "{status}");
        assert_eq!((scene.requests(), scene.network.asked.borrow().len()), (requests, asked), "{status}");
        scene.world.sleep(120_000);
        for _ in 0..10 {
            scene.sync(&engine);
            scene.world.sleep(3_700_000);
        }
        assert_eq!((scene.stored(), scene.rows_left()), (2 * records, 0), "{status}");
    }
}

#[test]
fn a_wait_is_heeded_while_it_is_looked_for_the_record_that_is_to_blame() {
    for (status, attempts) in [(400, 1), (500, 3)] {
        for (records, stored) in [(150, 0), (150, 1), (4, 0), (2, 0), (2, 1)] {
            let scene = Scene::default();
            let engine = scene.worker();
            scene.record(&engine, 0..records);
            let wait = Answer { status, retry_after: Some("600".into()), ..Answer::default() };
            let mut faults = scene.network.faults.borrow_mut();
            faults.extend(repeat_n(Some(NetworkFault::instead(status, "")), attempts));
            faults.extend(repeat_n(None, stored));
            faults.push_back(Some(NetworkFault::Instead(wait)));
            drop(faults);
            // The network's own referee fails where a request comes too early.
            scene.sync(&engine);
            assert_eq!(scene.requests(), attempts + stored + 1, "{status} {records} {stored}");
            for engine in [engine, scene.worker()] {
                let reason = click(&scene, &engine);
                assert_eq!(reason.as_deref(), Some("waiting"), "{status} {records} {stored}");
                scene.world.sleep(290_000);
            }
            let engine = scene.worker();
            scene.world.sleep(120_000);
            hourly(&scene, &engine, 10);
            assert_eq!((scene.stored(), scene.rows_left()), (2 * records, 0), "{status} {records} {stored}");
        }
    }
}

#[test]
fn records_that_always_fail_with_a_wait_block_nobody() {
    use Poison::{Crash, Named, Silent};
    for kinds in [&[Named] as &[_], &[Silent], &[Crash], &[Named, Silent], &[Crash, Named, Named]] {
        for number in [0, 37, 96] {
            let abilities = Some(serde_json::json!({ "references_in_any_order": true }));
            for abilities in [None, abilities] {
                let id = |behind: usize| format!("v{:05}", number + behind);
                let poison = kinds.iter().zip(0..).map(|(kind, behind)| (id(behind), *kind)).collect();
                let bad = 2 * kinds.len();
                let poison_asks_for = Some("600");
                let server = Server { poison, poison_asks_for, abilities, ..Server::default() };
                let scene = Scene::with(server);
                let engine = scene.worker();
                scene.record(&engine, 0..120);
                hourly(&scene, &engine, 60);
                let status = scene.status(&engine);
                assert_eq!((scene.stored(), scene.rows_left()), (240 - bad, 0), "{kinds:?} at {number}");
                assert_eq!(status.quarantined.total(), bad as u64, "{kinds:?} at {number}");
                scene.assert_balanced(&engine, 240);
            }
        }
    }
}

#[test]
fn a_server_that_fails_at_everything_and_asks_for_waits_condemns_nobody() {
    for status in [400, 500] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..400);
        let dead = Answer { status, retry_after: Some("600".into()), ..Answer::default() };
        scene.network.faults.borrow_mut().extend(repeat_n(Some(NetworkFault::Instead(dead)), FOR_EVER));
        hourly(&scene, &engine, WAKES);
        let now = scene.status(&engine);
        assert_eq!((now.pending.total(), now.quarantined.total()), (800, 0), "{status}");
        assert_eq!(now.problem.unwrap().code, "the server refuses", "{status}");
        assert!(scene.requests() <= WAKES + 2, "{status}: {} requests", scene.requests());
        scene.network.faults.borrow_mut().clear();
        hourly(&scene, &engine, WAKES);
        assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (800, 0), "{status}");
        scene.assert_balanced(&engine, 800);
    }
}

#[test]
fn a_wait_is_heeded_by_the_next_worker_too_where_nothing_is_left_to_send() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.world.run(engine.record(one_visit())).unwrap();
    let retry_after = Some("600".to_owned());
    scene.network.fail_next(NetworkFault::Instead(Answer { status: 413, retry_after, ..Answer::default() }));
    scene.sync(&engine);
    assert_eq!(scene.status(&engine).quarantined.total(), 1);
    drop(engine);
    let engine = scene.worker();
    scene.record(&engine, 1..2);
    assert_eq!(click(&scene, &engine).as_deref(), Some("waiting"));
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_wait_is_heeded_beside_a_200_that_is_no_full_acknowledgement() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..150);
    let body = r#"{"success":true,"data":{"page_visits_synced":0,"tab_aggregates_synced":0}}"#;
    let retry_after = Some("600".to_owned());
    let answer = Answer { status: 200, body: body.into(), retry_after, ..Answer::default() };
    scene.network.fail_next(NetworkFault::Instead(answer));
    scene.sync(&engine);
    scene.world.sleep(590_000);
    assert_eq!(click(&scene, &engine).as_deref(), Some("waiting"));
    assert_eq!(scene.requests(), 1);
}

#[test]
fn a_wait_beside_a_refused_erase_holds_for_the_uploads_too() {
    for status in [302, 400, 401, 403, 404, 413, 422] {
        let scene = Scene::default();
        let refreshable = Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() };
        let engine = scene.worker_as(Some(refreshable));
        scene.record(&engine, 0..10);
        scene.world.run(engine.erase(Scope::Site("elsewhere.example".into()), true)).unwrap();
        let retry_after = Some("600".to_owned());
        let answer = Answer { status, retry_after, redirected: status == 302, ..Answer::default() };
        scene.network.question_faults.borrow_mut().push_back(Some(NetworkFault::Instead(answer)));
        scene.sync(&engine);
        assert_eq!((scene.requests(), scene.network.asked.borrow().len()), (0, 1), "{status}");
        scene.world.sleep(590_000);
        assert_eq!(click(&scene, &engine).as_deref(), Some("waiting"), "{status}");
        scene.world.sleep(120_000);
        for _ in 0..10 {
            scene.sync(&engine);
            scene.world.sleep(3_700_000);
        }
        assert_eq!((scene.stored(), scene.rows_left()), (20, 0), "{status}");
    }
}

#[test]
fn a_server_that_names_everything_in_a_partial_200_condemns_nobody_and_is_not_hammered() {
    let poison = (0..400).map(|number| (format!("v{number:05}"), Poison::Named)).collect();
    let scene =
        Scene::with(Server { manner: Manner::Partial, poison, gives_counts: true, ..Server::default() });
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    scene.sync(&engine);
    assert!(scene.requests() < 50, "{} requests in the first wake", scene.requests());
    let first = scene.requests();
    scene.world.sleep(3_700_000);
    hourly(&scene, &engine, WAKES);
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.total()), (800, 0));
    assert_eq!(status.problem.unwrap().code, "the server refuses");
    let per_attempt = (scene.requests() - first) as f64 / WAKES as f64;
    assert!(per_attempt < 4.0, "{per_attempt} requests an attempt");
    scene.network.server.borrow_mut().poison.clear();
    hourly(&scene, &engine, WAKES);
    assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (800, 0));
    scene.assert_balanced(&engine, 800);
}

#[test]
fn whom_a_published_backend_blames_is_not_condemned_by_its_sickness() {
    let poison = [("v00001".to_owned(), Poison::Named)].into();
    let scene =
        Scene::with(Server { manner: Manner::Published, poison, gives_counts: true, ..Server::default() });
    let engine = scene.worker();
    scene.record(&engine, 0..100);
    let mut faults = scene.network.faults.borrow_mut();
    faults.push_back(None);
    faults.extend(repeat_n(Some(NetworkFault::instead(400, "")), FOR_EVER));
    drop(faults);
    hourly(&scene, &engine, WAKES);
    let status = scene.status(&engine);
    assert_eq!((status.acknowledged.total(), status.quarantined.total()), (1, 0));
    scene.network.faults.borrow_mut().clear();
    hourly(&scene, &engine, WAKES);
    assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (198, 2));
    scene.assert_balanced(&engine, 200);
}

#[test]
fn a_login_is_not_renewed_after_a_no_or_for_somebody_else() {
    type Change = fn(&mut heyho_sync::engine::Settings);
    let changes: [Change; 3] = [
        |settings| settings.consent = false,
        |settings| settings.paused = true,
        |settings| {
            let refresh_token = Some("refresh-2".into());
            let account = "user-2".into();
            let somebody = session("user-2").unwrap();
            settings.session =
                Some(Session { account, access_token: "token-2".into(), refresh_token, ..somebody });
        },
    ];
    for change in changes {
        let scene = Scene::default();
        let refreshable = Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() };
        let engine = scene.worker_as(Some(refreshable));
        scene.record(&engine, 0..2);
        scene.network.latency_ms.set(50);
        scene.network.fail_next(NetworkFault::instead(401, ""));
        let sync = pin!(engine.sync(RunOptions::default()));
        let change = pin!(async {
            while scene.requests() == 0 {
                scene.world.pass(1).await;
            }
            engine.change_settings(change).await.unwrap();
        });
        let (report, ()) = scene.world.run(join(sync, change));
        assert_eq!((report.unwrap().created, scene.requests()), (0, 1));
        let asked = scene.network.asked.borrow();
        assert!(asked.iter().all(|(route, _)| !route.ends_with("/auth/refresh")), "{asked:?}");
        assert!(scene.status(&engine).problem.is_none());
    }
}

#[test]
fn what_a_server_says_of_a_record_is_kept_though_it_is_condemned_later() {
    let poison = [("v00000".to_owned(), Poison::Named)].into();
    let scene =
        Scene::with(Server { manner: Manner::Strict, poison, gives_counts: true, ..Server::default() });
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    hourly(&scene, &engine, 3);
    assert_eq!(scene.status(&engine).quarantined.total(), 0, "nothing proves yet that the server works");
    scene.record(&engine, 10..11);
    hourly(&scene, &engine, 3);
    let rows = scene.world.run(engine.outbox().list(Aside::Quarantine)).unwrap();
    let visit = rows.iter().find(|row| row.head.id == "v00000").unwrap();
    let note: serde_json::Value = serde_json::from_str(visit.note.as_ref().unwrap()).unwrap();
    assert_eq!(note["reason"], "refused");
    assert!(
        note["words"].as_str().is_some_and(|words| !words.is_empty()) && note["at"].is_number(),
        "{note}"
    );
}
