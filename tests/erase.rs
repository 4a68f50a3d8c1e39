//! What the user wants gone: here at once, on the server after all that is in flight, and nothing of it leaves any more.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails is to panic"
)]

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, aggregate, join, session};
use heyho_simulation::server::Server;
use heyho_simulation::store::StorageFault;
use heyho_simulation::world::End;
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::protocol;
use heyho_sync::engine::RunOptions;
use heyho_sync::outbox::Aside;
use heyho_sync::ports::store::{Answer, Document, Query, Store, StoreError, Table};
use heyho_sync::words::event::{Happening, TabEvent};
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::owner::Session;
use heyho_sync::words::record::moment;
use heyho_sync::words::time::{Millis, UnixMillis};
use serde_json::{Value, json};

/// Part of the name of the site that is forgotten.
const SENTINEL: &str = "sentinel";

fn forgotten() -> Scope {
    Scope::Site("sentinel.example".into())
}

fn visit(number: usize, host: &str) -> String {
    json!({
        "id": format!("v{number:05}"),
        "url": format!("https://{host}/{number}"),
        "visited_at": "2023-11-01T10:00:00.000Z",
    })
    .to_string()
}

/// Visits of even numbers are of the site, those of odd numbers name it in fields that they can do without.
fn mixed(numbers: std::ops::Range<usize>) -> PerKind<Vec<String>> {
    let page_visits = numbers.clone().map(|number| match number.is_multiple_of(2) {
        true => visit(number, "www.sentinel.example"),
        false => {
            let mut other: Value = serde_json::from_str(&visit(number, "other.example")).unwrap();
            other["metadata"] = json!({ "referrer": "https://a.sentinel.example/x", "words": 12 });
            other.to_string()
        }
    });
    let tab_aggregates = numbers.map(|number| {
        let mut one: Value = serde_json::from_str(&aggregate(number)).unwrap();
        one["domain_durations"] = json!({ "sentinel.example": 5, "other.example": 7 });
        one.to_string()
    });
    PerKind { page_visits: page_visits.collect(), tab_aggregates: tab_aggregates.collect() }
}

fn record(scene: &Scene, engine: &TestEngine, records: PerKind<Vec<String>>) {
    scene.world.run(engine.record(records)).unwrap();
}

fn erase(scene: &Scene, engine: &TestEngine, scope: Scope) {
    scene.world.run(engine.erase(scope, true)).unwrap();
}

/// The erases that the server was asked for.
fn erases(scene: &Scene) -> Vec<Value> {
    let asked = scene.network.asked.borrow();
    asked.iter().filter(|(route, _)| route == "/data/erase").map(|(_, body)| body.clone()).collect()
}

fn fail_next_erase(scene: &Scene, fault: NetworkFault) {
    scene.network.question_faults.borrow_mut().push_back(Some(fault));
}

/// Syncs until nothing waits.
fn drain(scene: &Scene, engine: &TestEngine) {
    for _ in 0..20 {
        scene.sync(engine);
        let status = scene.status(engine);
        if status.pending.total() == 0 && status.erasing.is_empty() {
            return;
        }
    }
    panic!("something waits for ever");
}

fn forbid_sentinel(scene: &Scene) {
    scene.network.forbidden.borrow_mut().push(SENTINEL.into());
}

/// Every text of the database that names the site.
fn traces(scene: &Scene) -> Vec<String> {
    let of_rows = Table::ALL.into_iter().flat_map(|table| {
        let rows = scene.disk.memory.rows(table);
        rows.into_iter().flat_map(|row| {
            let words =
                [row.body.to_string(), row.note.clone().unwrap_or_default(), row.head.sites.join(" ")];
            words.into_iter().filter(|text| text.contains(SENTINEL))
        })
    });
    let query = [Query::Document(Document::Tracker)];
    let found = scene.world.run(scene.disk.memory.read(&query)).unwrap();
    let tracker = found.into_iter().filter_map(Answer::document).filter(|text| text.contains(SENTINEL));
    of_rows.chain(tracker).collect()
}

fn second_account(scene: &Scene) -> Session {
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    Session { access_token: "token-2".into(), ..session("user-2").unwrap() }
}

fn sign_in(scene: &Scene, engine: &TestEngine, session: Option<Session>) {
    scene.world.run(engine.change_settings(|settings| settings.session = session)).unwrap();
}

#[test]
fn a_forgotten_site_is_gone_here_at_once_and_nothing_of_it_is_sent() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..700));
    erase(&scene, &engine, forgotten());
    assert_eq!(traces(&scene), Vec::<String>::new());
    let status = scene.status(&engine);
    assert_eq!((status.discarded.page_visits, status.discarded.tab_aggregates), (350, 350));
    scene.assert_balanced(&engine, 1_400);
    forbid_sentinel(&scene);
    drain(&scene, &engine);
    assert_eq!(scene.stored(), 700);
    let server = scene.network.server.borrow();
    assert_eq!(server.stored["user-1"][&('v', "v00001".into())].record()["metadata"], json!({ "words": 12 }));
    let durations = &server.stored["user-1"][&('a', "a00001".into())].record()["domain_durations"];
    assert_eq!(*durations, json!({ "other.example": 7 }));
    assert!(server.dangling.is_empty());
}

#[test]
fn what_the_server_holds_of_a_forgotten_site_is_erased_before_anything_else_is_sent() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..10));
    scene.sync(&engine);
    assert_eq!(scene.stored(), 20);
    record(&scene, &engine, mixed(11..12));
    erase(&scene, &engine, forgotten());
    assert!(scene.browser.alarm.get().is_some());
    let standing = scene.status(&engine).erasing;
    assert_eq!((standing.len(), standing[0].site.as_deref()), (1, Some("sentinel.example")));
    scene.sync(&engine);
    assert_eq!(
        erases(&scene),
        [json!({ "scope": "site", "site": "sentinel.example", "to": standing[0].since })]
    );
    assert_eq!(scene.stored(), 12);
    assert_eq!(scene.status(&engine).erasing, []);
    assert_eq!(scene.browser.alarm.get(), None);
    scene.sync(&engine);
    assert_eq!(erases(&scene).len(), 1);
}

#[test]
fn an_erase_waits_for_what_is_in_flight_and_no_request_begins_after_it() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..2_000));
    scene.network.latency_ms.set(400);
    let both = async {
        let sync = std::pin::pin!(engine.sync(RunOptions::default()));
        let forget = std::pin::pin!(async {
            scene.world.pass(1_500).await;
            let begun = scene.requests();
            engine.erase(forgotten(), true).await.unwrap();
            scene.network.forbidden.borrow_mut().push(SENTINEL.into());
            begun
        });
        join(sync, forget).await
    };
    let (report, begun) = scene.world.run(both);
    assert_eq!(report.unwrap().reason.as_deref(), Some("settings changed"));
    assert!(begun > 1 && begun == scene.requests());
    assert_eq!(traces(&scene), Vec::<String>::new());
    assert!(erases(&scene).is_empty());
    drain(&scene, &engine);
    let server = scene.network.server.borrow();
    assert!(
        !server.stored["user-1"]
            .values()
            .any(|stored| { stored.record()["url"].as_str().is_some_and(|url| url.contains(SENTINEL)) })
    );
    assert_eq!(server.stored["user-1"].keys().filter(|(kind, _)| *kind == 'v').count(), 1_000);
    scene.assert_balanced(&engine, 4_000);
}

#[test]
fn a_worker_that_dies_at_any_await_of_an_erase_leaves_books_that_balance_and_the_next_one_ends_it() {
    for scope in [forgotten(), Scope::All] {
        let mut deaths = 0;
        for polls in 1.. {
            let scene = Scene::default();
            let engine = scene.worker();
            record(&scene, &engine, mixed(0..8));
            scene.sync(&engine);
            record(&scene, &engine, mixed(8..20));
            let end = scene.world.run_for(engine.erase(scope.clone(), true), polls);
            drop(engine);
            let engine = scene.worker();
            scene.assert_balanced(&engine, 40);
            let was_written = !scene.status(&engine).erasing.is_empty();
            if was_written {
                forbid_sentinel(&scene);
            }
            drain(&scene, &engine);
            if was_written {
                assert_eq!((traces(&scene), erases(&scene).len()), (Vec::new(), 1));
            }
            scene.assert_balanced(&engine, 40);
            if end != End::Died {
                assert!(was_written);
                break;
            }
            deaths += 1;
        }
        assert!(deaths > 1, "an erase has more awaits than {deaths}");
    }
}

#[test]
fn an_erase_stands_until_the_server_confirms_it_whatever_comes_first() {
    let instead = |status, body: &str| {
        NetworkFault::Instead(protocol::Answer {
            status,
            body: body.to_owned(),
            ..protocol::Answer::default()
        })
    };
    for fault in [
        NetworkFault::LostRequest,
        NetworkFault::LostAnswer,
        NetworkFault::Slow(60_000),
        NetworkFault::AnswerCutOff,
        instead(200, "<html>Welcome to the hotel</html>"),
        instead(200, r#"{"success":false}"#),
        instead(302, ""),
        instead(401, ""),
        instead(403, ""),
        instead(500, ""),
        instead(503, ""),
        NetworkFault::Instead(protocol::Answer {
            status: 429,
            retry_after: Some("60".into()),
            ..protocol::Answer::default()
        }),
    ] {
        let scene = Scene::default();
        let engine = scene.worker();
        record(&scene, &engine, mixed(0..2));
        scene.sync(&engine);
        erase(&scene, &engine, Scope::All);
        fail_next_erase(&scene, fault.clone());
        scene.sync(&engine);
        assert_eq!(scene.status(&engine).erasing.len(), 1, "{fault:?}");
        let alarm = scene.browser.alarm.get().unwrap();
        drop(engine);
        let engine = scene.worker();
        scene.world.sleep(alarm.since(scene.world.wall()).0);
        scene.sync(&engine);
        assert_eq!((scene.status(&engine).erasing.len(), scene.stored()), (0, 0), "{fault:?}");
        assert_eq!(scene.status(&engine).problem, None, "{fault:?}");
    }
}

#[test]
fn a_server_that_can_not_erase_is_told_as_such_gets_the_other_records_and_is_asked_once_a_day() {
    let scene = Scene::with(Server { can_erase: false, ..Server::default() });
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..10));
    erase(&scene, &engine, forgotten());
    forbid_sentinel(&scene);
    scene.sync(&engine);
    let standing = &scene.status(&engine).erasing[0];
    assert!(standing.unable && !standing.waits_for_sign_in);
    assert_eq!(scene.stored(), 10);
    scene.world.sleep(3_600_000);
    scene.record(&engine, 500..501);
    scene.sync(&engine);
    assert_eq!((erases(&scene).len(), scene.stored()), (1, 12));
    scene.network.server.borrow_mut().can_erase = true;
    scene.world.sleep(27 * 3_600_000);
    scene.sync(&engine);
    assert_eq!(scene.status(&engine).erasing, []);
}

#[test]
fn an_erase_that_only_its_own_route_fails_at_does_not_keep_records_back() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..10));
    erase(&scene, &engine, forgotten());
    let broken = protocol::Answer { status: 500, ..protocol::Answer::default() };
    fail_next_erase(&scene, NetworkFault::Instead(broken));
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.status(&engine).erasing.len()), (10, 1));
    assert!(!scene.status(&engine).erasing[0].unable);
}

#[test]
fn an_erase_needs_no_consent_and_no_end_of_a_pause_but_a_login() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..4));
    scene.sync(&engine);
    record(&scene, &engine, mixed(5..6));
    scene.world.run(engine.change_settings(|settings| settings.consent = false)).unwrap();
    sign_in(&scene, &engine, None);
    erase(&scene, &engine, forgotten());
    scene.sync(&engine);
    assert!(scene.status(&engine).erasing[0].waits_for_sign_in);
    assert!(erases(&scene).is_empty());
    let before = scene.requests();
    sign_in(&scene, &engine, session("user-1"));
    let report = scene.sync(&engine);
    assert_eq!(report.reason.as_deref(), Some("consent missing"));
    assert_eq!((scene.requests(), scene.stored(), scene.status(&engine).erasing.len()), (before, 4, 0));
}

#[test]
fn an_erase_renews_its_login_without_consent_and_during_a_pause() {
    type Change = fn(&mut heyho_sync::engine::Settings);
    let changes: [Change; 2] = [|settings| settings.consent = false, |settings| settings.paused = true];
    for change in changes {
        for can_refresh in [true, false] {
            let scene = Scene::with(Server { can_refresh, ..Server::default() });
            let refreshable =
                Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() };
            let engine = scene.worker_as(Some(refreshable));
            record(&scene, &engine, mixed(0..4));
            scene.sync(&engine);
            scene.world.run(engine.change_settings(change)).unwrap();
            erase(&scene, &engine, forgotten());
            scene.network.server.borrow_mut().tokens.clear();
            let start = scene.world.monotonic();
            let mut waits = Vec::new();
            while scene.world.monotonic() < start + 86_400_000 {
                scene.sync(&engine);
                let Some(alarm) = scene.browser.alarm.get() else { break };
                waits.push(alarm.since(scene.world.wall()).0);
                scene.world.sleep(waits[waits.len() - 1]);
            }
            let status = scene.status(&engine);
            if can_refresh {
                assert_eq!((erases(&scene).len(), status.erasing.len(), waits.len()), (2, 0, 0));
            } else {
                assert_eq!(status.problem.unwrap().code, "sign in again");
                assert!((20..60).contains(&erases(&scene).len()), "{} in a day", erases(&scene).len());
                assert!(waits[waits.len() - 1] >= 1_800_000, "{waits:?}");
            }
        }
    }
}

#[test]
fn a_wait_beside_one_erase_holds_for_the_next() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..4));
    scene.sync(&engine);
    for site in ["a.example", "b.example"] {
        erase(&scene, &engine, Scope::Site(site.into()));
    }
    let refused = protocol::Answer { status: 404, retry_after: Some("600".into()), ..Default::default() };
    fail_next_erase(&scene, NetworkFault::Instead(refused));
    scene.sync(&engine);
    scene.world.sleep(590_000);
    scene.sync(&engine);
    assert_eq!(erases(&scene).len(), 1);
    scene.world.sleep(120_000);
    scene.sync(&engine);
    assert_eq!(erases(&scene).len(), 2);
}

#[test]
fn every_account_that_is_known_here_is_asked_with_its_own_login() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..4));
    scene.sync(&engine);
    record(&scene, &engine, mixed(4..6));
    let second = second_account(&scene);
    sign_in(&scene, &engine, Some(second));
    record(&scene, &engine, mixed(6..8));
    erase(&scene, &engine, forgotten());
    let waiting: Vec<bool> = scene.status(&engine).erasing.iter().map(|one| one.waits_for_sign_in).collect();
    assert_eq!(waiting, [true, false]);
    forbid_sentinel(&scene);
    scene.sync(&engine);
    let holds = |account: &str| scene.network.server.borrow().stored[account].len();
    assert_eq!((holds("user-1"), holds("user-2")), (8, 2));
    sign_in(&scene, &engine, session("user-1"));
    scene.sync(&engine);
    assert_eq!((holds("user-1"), holds("user-2")), (6, 2));
    assert_eq!(scene.status(&engine).erasing, []);
    scene.assert_balanced(&engine, 16);
}

#[test]
fn forgetting_everything_leaves_counts_and_the_login_and_nothing_else() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..10));
    scene.sync(&engine);
    record(&scene, &engine, mixed(10..20));
    scene
        .network
        .server
        .borrow_mut()
        .poison
        .extend([("v00011".into(), heyho_simulation::server::Poison::Named)]);
    scene.sync(&engine);
    record(&scene, &engine, mixed(20..30));
    sign_in(&scene, &engine, None);
    record(&scene, &engine, mixed(30..40));
    sign_in(&scene, &engine, session("user-1"));
    assert!(scene.status(&engine).quarantined.total() > 0);
    let navigated = Happening::Navigated {
        tab_id: 1,
        window_id: 1,
        url: "https://sentinel.example/".into(),
        title: None,
        active: true,
        incognito: false,
    };
    scene.world.run(engine.handle_event(&TabEvent { at: scene.world.wall(), what: navigated })).unwrap();
    erase(&scene, &engine, Scope::All);
    for table in Table::ALL {
        assert!(scene.disk.memory.rows(table).is_empty(), "{table:?}");
    }
    assert_eq!(traces(&scene), Vec::<String>::new());
    let status = scene.status(&engine);
    assert!(status.signed_in && status.health.books_balance);
    assert_eq!((status.pending.total(), status.quarantined.total()), (0, 0));
    scene.assert_balanced(&engine, 80);
    scene.sync(&engine);
    assert_eq!((scene.stored(), erases(&scene)[0]["scope"].as_str()), (0, Some("all")));
    record(&scene, &engine, mixed(41..42));
    scene.sync(&engine);
    assert_eq!(scene.stored(), 2);
    scene.assert_balanced(&engine, 82);
}

#[test]
fn everything_that_is_erased_while_it_is_in_flight_is_settled_without_harm() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..500));
    scene.network.latency_ms.set(400);
    let both = async {
        let sync = std::pin::pin!(engine.sync(RunOptions::default()));
        let erase = std::pin::pin!(async {
            scene.world.pass(1_000).await;
            engine.erase(Scope::All, true).await.unwrap();
            // A change of accounts folds the epochs that hold nothing any more.
            engine.change_settings(|settings| settings.session = None).await.unwrap();
            engine.change_settings(|settings| settings.session = session("user-1")).await.unwrap();
        });
        join(sync, erase).await
    };
    let (report, ()) = scene.world.run(both);
    assert!(report.is_ok());
    scene.assert_balanced(&engine, 1_000);
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.rows_left(), scene.status(&engine).erasing.len()), (0, 0, 0));
}

#[test]
fn a_page_that_goes_on_at_a_forgotten_site_is_not_recorded_when_it_ends() {
    let scene = Scene::default();
    let engine = scene.worker();
    let tell = |at: i64, what: Happening| {
        scene.world.run(engine.handle_event(&TabEvent { at: UnixMillis(at), what })).unwrap()
    };
    let navigated = |url: &str| Happening::Navigated {
        tab_id: 1,
        window_id: 1,
        url: url.into(),
        title: None,
        active: true,
        incognito: false,
    };
    tell(1_700_000_000_000, navigated("https://sentinel.example/a"));
    erase(&scene, &engine, forgotten());
    assert_eq!(traces(&scene), Vec::<String>::new());
    tell(1_700_000_010_000, navigated("https://other.example/"));
    tell(1_700_000_020_000, Happening::Closed { tab_id: 1 });
    assert_eq!(traces(&scene), Vec::<String>::new());
    assert_eq!(scene.status(&engine).captured.page_visits, 1);
}

#[test]
fn a_late_aggregate_of_a_forgotten_visit_follows_it() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(
        &scene,
        &engine,
        PerKind { page_visits: vec![visit(0, "sentinel.example")], tab_aggregates: vec![] },
    );
    erase(&scene, &engine, forgotten());
    record(&scene, &engine, PerKind { page_visits: vec![], tab_aggregates: vec![aggregate(0)] });
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.discarded.total(), status.pending.total(), scene.requests()), (2, 0, 0));
}

#[test]
fn a_forgotten_site_leaves_quarantine_too_with_the_servers_words_on_other_records() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..4));
    let wordy = json!({ "failed_records": [
        { "id": "v00000", "error": "no" }, { "id": "v00001", "error": "sentinel.example is bad" },
    ]});
    let refusal = protocol::Answer { status: 400, body: wordy.to_string(), ..protocol::Answer::default() };
    scene.network.fail_next(NetworkFault::Instead(refusal));
    scene.sync(&engine);
    assert!(scene.status(&engine).quarantined.page_visits == 2 && !traces(&scene).is_empty());
    erase(&scene, &engine, forgotten());
    assert_eq!(traces(&scene), Vec::<String>::new());
    let rows = scene.world.run(engine.outbox().list(Aside::Quarantine)).unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.head.id.as_str()).collect();
    assert_eq!(ids, ["v00001", "a00001"]);
    scene.world.run(engine.put_back(Aside::Quarantine, None)).unwrap();
    forbid_sentinel(&scene);
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.rows_left()), (4, 0));
    scene.assert_balanced(&engine, 8);
}

#[test]
fn a_forgotten_site_leaves_the_servers_words_on_records_that_are_only_suspects() {
    let error = "sentinel.example is bad";
    let named: Vec<_> = ["v00001", "a00001"].map(|id| json!({ "id": id, "error": error })).into();
    let body = json!({ "failed_records": named }).to_string();
    let mut remembered = 0;
    // A slice goes on to try its suspects again; one that a failing disk ends leaves them behind.
    for after in 0..8 {
        let scene = Scene::default();
        let engine = scene.worker();
        record(&scene, &engine, mixed(1..2));
        let refusal = protocol::Answer { status: 400, body: body.clone(), ..protocol::Answer::default() };
        scene.network.fail_next(NetworkFault::Instead(refusal));
        {
            let mut faults = scene.disk.faults.borrow_mut();
            faults.extend((0..after).map(|_| StorageFault::None));
            faults.push_back(StorageFault::Fails(StoreError::Failed("AbortError".into())));
        }
        let _ = scene.world.run(engine.sync(RunOptions::default()));
        scene.disk.faults.take();
        let remembers_words = || {
            let state = [Query::Document(Document::SyncState)];
            let found = scene.world.run(scene.disk.memory.read(&state)).unwrap();
            found.into_iter().filter_map(Answer::document).any(|text| text.contains(error))
        };
        remembered += usize::from(remembers_words());
        erase(&scene, &engine, forgotten());
        assert!(!remembers_words(), "after {after} writes");
    }
    assert!(remembered > 0);
}

#[test]
fn a_disk_that_fails_at_an_erase_is_told_and_nothing_of_it_is_sent_before_it_is_through() {
    for after in 0..3 {
        let scene = Scene::default();
        let engine = scene.worker();
        record(&scene, &engine, mixed(0..10));
        {
            let mut faults = scene.disk.faults.borrow_mut();
            faults.extend((0..=after).map(|_| StorageFault::None));
            faults.push_back(StorageFault::Fails(StoreError::Failed("AbortError".into())));
        }
        assert!(scene.world.run(engine.erase(forgotten(), true)).is_err());
        scene.assert_balanced(&engine, 20);
        forbid_sentinel(&scene);
        scene.sync(&engine);
        assert_eq!((traces(&scene), scene.stored()), (Vec::new(), 10));
    }
}

#[test]
fn pages_deleted_from_the_history_go_unsent_and_the_server_keeps_what_it_has() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..2));
    scene.sync(&engine);
    record(&scene, &engine, mixed(2..6));
    let urls = vec![
        "https://www.sentinel.example/0".into(),
        "https://www.sentinel.example:443/4?utm_source=x".into(),
    ];
    scene.world.run(engine.erase(Scope::Pages(urls), false)).unwrap();
    scene.sync(&engine);
    let server = scene.network.server.borrow();
    let visits: Vec<&str> =
        server.stored["user-1"].keys().filter(|(kind, _)| *kind == 'v').map(|(_, id)| id.as_str()).collect();
    assert_eq!(visits, ["v00000", "v00001", "v00002", "v00003", "v00005"]);
    assert!(erases(&scene).is_empty());
    scene.assert_balanced(&engine, 12);
}

#[test]
fn pages_that_the_browser_drops_from_its_history_for_their_age_are_sent_all_the_same() {
    let scene = Scene::default();
    let engine = scene.worker();
    let visited = |number: usize, days: i64| {
        let mut one: Value = serde_json::from_str(&visit(number, "old.example")).unwrap();
        one["visited_at"] = json!(moment::to_iso(scene.world.wall() - Millis::from_days(days)));
        one.to_string()
    };
    let page_visits = vec![visited(0, 90), visited(1, 90), visited(2, 88)];
    let tab_aggregates = (0..3).map(aggregate).collect();
    record(&scene, &engine, PerKind { page_visits, tab_aggregates });
    let urls = [0, 2].map(|number| format!("https://old.example/{number}"));
    scene.world.run(engine.erase(Scope::Pages(urls.into()), false)).unwrap();
    scene.sync(&engine);
    let server = scene.network.server.borrow();
    let stored: Vec<&str> = server.stored["user-1"].keys().map(|(_, id)| id.as_str()).collect();
    assert_eq!(stored, ["a00000", "a00001", "v00000", "v00001"]);
    scene.assert_balanced(&engine, 6);
}

#[test]
fn a_history_that_is_cleared_takes_everything_unsent_along_and_nothing_else() {
    let scene = Scene::default();
    let engine = scene.worker();
    record(&scene, &engine, mixed(0..2));
    scene.sync(&engine);
    record(&scene, &engine, mixed(2..6));
    scene.world.run(engine.erase(Scope::All, false)).unwrap();
    assert_eq!(scene.rows_left(), 0);
    scene.sync(&engine);
    assert_eq!((scene.stored(), erases(&scene).len()), (4, 0));
    scene.assert_balanced(&engine, 12);
}

#[test]
fn a_forgotten_site_is_in_no_debug_output() {
    let scene = Scene::default();
    let engine = scene.worker();
    erase(&scene, &engine, forgotten());
    let state = scene.world.run(engine.outbox().overview()).unwrap().state;
    let shown = format!("{:?} {state:?} {:?}", forgotten(), scene.status(&engine));
    assert!(!shown.contains(SENTINEL), "{shown}");
    let kinds = Kind::ALL.map(|kind| scene.disk.memory.rows(Table::Outbox(kind)).len());
    assert_eq!(kinds, [0, 0]);
}
