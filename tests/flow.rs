//! From records to a server's rows and back to an empty buffer, happy and sad, in simulated time.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use std::pin::pin;

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{SERVER_URLS, Scene, exported, imported, join, records, session};
use heyho_simulation::store::{Disk, StorageFault};
use heyho_simulation::world::End;
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::report::Outcome;
use heyho_sync::decisions::status::State;
use heyho_sync::engine::{RunOptions, Whereabouts};
use heyho_sync::outbox::OutboxError;
use heyho_sync::ports::store::StoreError;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::record::sites::SiteRules;
use heyho_sync::words::time::{Millis, UnixMillis};

#[test]
fn a_backlog_drains_in_order_within_the_limits_and_each_record_is_stored_once() {
    let scene = Scene::default();
    let engine = scene.worker();
    for start in (0..8_651).step_by(500) {
        scene.record(&engine, start..(start + 500).min(8_651));
    }
    let mut settled = 0;
    while scene.status(&engine).pending.total() > 0 {
        let report = scene.sync(&engine);
        assert!(report.balances());
        settled += report.batches;
    }
    assert_eq!(settled, 87);
    assert_eq!(scene.requests(), 87);
    assert_eq!(scene.stored(), 2 * 8_651);
    let seen = scene.network.seen.borrow();
    let order: Vec<&str> = seen.iter().flat_map(|s| &s.page_visits).map(|v| v.id.as_str()).collect();
    assert!(order.is_sorted());
    assert!(scene.network.server.borrow().dangling.is_empty());
    scene.assert_balanced(&engine, 2 * 8_651);
}

#[test]
fn only_what_was_sent_is_deleted_and_what_comes_during_an_upload_waits_for_the_next() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    let both = async {
        let sync = std::pin::pin!(engine.sync(RunOptions { max_batches: Some(1), ..RunOptions::default() }));
        let capture = std::pin::pin!(async {
            while scene.network.in_flight.get() == 0 {
                scene.world.pass(1).await;
            }
            engine.record(records(3..5)).await
        });
        join(sync, capture).await
    };
    let (report, captured) = scene.world.run(both);
    assert_eq!((report.unwrap().created, captured.unwrap().captured), (6, 4));
    assert_eq!(scene.rows_left(), 4);
    scene.assert_balanced(&engine, 10);
}

#[test]
fn a_worker_that_dies_at_any_await_loses_nothing_and_nothing_is_stored_twice_with_effect() {
    let mut deaths = 0;
    for polls in 1.. {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..250);
        let end = scene.world.run_for(engine.sync(RunOptions::default()), polls);
        drop(engine);
        let engine = scene.worker();
        let left = scene.rows_left();
        assert!(scene.stored() + left >= 500, "a record was deleted before it was stored");
        scene.assert_balanced(&engine, 500);
        scene.sync(&engine);
        assert_eq!((scene.rows_left(), scene.stored()), (0, 500));
        let server = scene.network.server.borrow();
        assert!(server.stored["user-1"].values().all(|stored| stored.writes == 1));
        scene.assert_balanced(&engine, 500);
        if end != End::Died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 15, "a sync has more awaits than {deaths}");
}

#[test]
fn the_same_content_carries_the_same_idempotency_key() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    scene.network.fail_next(NetworkFault::LostAnswer);
    scene.sync(&engine);
    scene.record(&engine, 2..3);
    scene.sync(&engine);
    let keys: Vec<_> =
        scene.network.seen.borrow().iter().map(|s| s.idempotency_key.clone().unwrap()).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn another_revision_of_a_record_has_another_idempotency_key() {
    let scene = Scene::default();
    let engine = scene.worker();
    for revision in 1..=2 {
        let visit = format!(
            r#"{{"id":"v","url":"https://example.com/","visited_at":"2026-11-21T10:00:00.000Z","revision":{revision}}}"#
        );
        let records = PerKind { page_visits: vec![visit], tab_aggregates: Vec::new() };
        scene.world.run(engine.record(records)).unwrap();
        scene.sync(&engine);
    }
    let seen = scene.network.seen.borrow();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].idempotency_key, seen[1].idempotency_key);
}

#[test]
fn what_is_no_acknowledgement_deletes_nothing() {
    let instead = |status, body: &str| {
        NetworkFault::Instead(Answer { status, body: body.to_owned(), ..Answer::default() })
    };
    let zeros = r#"{"success":true,"data":{"page_visits_synced":0,"tab_aggregates_synced":0}}"#;
    for fault in [
        NetworkFault::LostRequest,
        NetworkFault::LostAnswer,
        NetworkFault::Slow(60_000),
        instead(200, "<html>Welcome to the hotel</html>"),
        instead(200, r#"{"success":false}"#),
        instead(200, zeros),
        instead(204, ""),
        instead(302, ""),
        instead(400, r#"{"errors":[]}"#),
        instead(401, ""),
        instead(403, ""),
        instead(404, ""),
        instead(500, ""),
        instead(503, ""),
    ] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..5);
        for _ in 0..20 {
            scene.network.fail_next(fault.clone());
        }
        let report = scene.sync(&engine);
        assert_eq!(report.outcome, Outcome::Incomplete, "{fault:?}");
        assert!(report.reason.is_some() && report.balances());
        assert_eq!(scene.rows_left(), 10, "{fault:?}");
        assert!(scene.status(&engine).problem.is_some());
        assert!(scene.browser.alarm.get().is_some(), "nothing would wake the worker after {fault:?}");
        scene.network.faults.borrow_mut().clear();
        scene.world.sleep(3_600_000);
        let report = scene.sync(&engine);
        assert_eq!(
            (report.outcome, scene.rows_left(), scene.stored()),
            (Outcome::Complete, 0, 10),
            "{fault:?}"
        );
        assert_eq!(scene.status(&engine).problem, None);
        assert_eq!(scene.browser.alarm.get(), None);
        scene.assert_balanced(&engine, 10);
    }
}

#[test]
fn a_failing_request_is_tried_three_times_in_a_slice_each_later_than_the_last() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    for _ in 0..9 {
        scene.network.fail_next(NetworkFault::LostRequest);
    }
    let report = scene.sync(&engine);
    assert_eq!((report.requests, report.retries), (3, 2));
    let times: Vec<i64> = scene.network.seen.borrow().iter().map(|seen| seen.at_ms).collect();
    assert!(
        (500..=1_600).contains(&(times[1] - times[0])) && (1_000..=3_100).contains(&(times[2] - times[1]))
    );
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("waiting"));
    assert_eq!(scene.requests(), 3);
    scene.world.sleep(30_000);
    scene.sync(&engine);
    assert!(scene.requests() > 3, "a retry needs no new record");
}

fn busy_for(secs: &str) -> Answer {
    Answer { status: 429, retry_after: Some(secs.to_owned()), ..Answer::default() }
}

#[test]
fn a_servers_wait_outlives_the_worker_and_a_click_but_not_its_end() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    let busy = Answer { status: 429, retry_after: Some("120".into()), ..Answer::default() };
    scene.network.fail_next(NetworkFault::Instead(busy));
    let report = scene.sync(&engine);
    assert_eq!((report.requests, report.reason.as_deref()), (1, Some("server trouble")));
    drop(engine);
    let engine = scene.worker();
    let click = RunOptions { by_hand: true, ..RunOptions::default() };
    scene.world.sleep(119_000);
    assert_eq!(scene.world.run(engine.sync(click)).unwrap().reason.as_deref(), Some("waiting"));
    assert_eq!(scene.requests(), 1);
    scene.world.sleep(20_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
}

#[test]
fn a_clock_that_jumps_a_day_back_does_not_freeze_the_sync() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    for _ in 0..3 {
        scene.network.fail_next(NetworkFault::LostRequest);
    }
    scene.sync(&engine);
    scene.world.set_wall(UnixMillis(scene.world.wall().0 - 86_400_000));
    scene.sync(&engine);
    scene.world.sleep(60_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
}

#[test]
fn a_clock_that_is_set_back_after_a_servers_wait_does_not_bring_it_back() {
    for set_back in [|wall: i64| wall - 86_400_000, |_| 0] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..1);
        scene.network.fail_next(NetworkFault::Instead(busy_for("30")));
        scene.sync(&engine);
        scene.world.sleep(40_000);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
        scene.world.set_wall(UnixMillis(set_back(scene.world.wall().0)));
        scene.record(&engine, 1..2);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    }
}

#[test]
fn a_clock_that_is_set_within_a_servers_wait_neither_prolongs_nor_shortens_it_for_the_worker() {
    let click = RunOptions { by_hand: true, ..RunOptions::default() };
    for days in [&[-1_i64] as &[_], &[-1, 1], &[-1, 3], &[1, -1], &[-1, 1, -1]] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..1);
        scene.network.fail_next(NetworkFault::Instead(busy_for("600")));
        scene.sync(&engine);
        for day in days {
            scene.world.sleep(100_000);
            scene.world.set_wall(UnixMillis(scene.world.wall().0 + day * 86_400_000));
            let report = scene.world.run(engine.sync(click)).unwrap();
            assert_eq!(report.reason.as_deref(), Some("waiting"), "{days:?}");
        }
        assert_eq!(scene.requests(), 1);
        // A wait that is written down begins anew where the clock went back.
        scene.world.sleep(700_000);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete, "{days:?}");
    }
}

#[test]
fn signed_out_paused_or_without_consent_nothing_is_sent() {
    let scene = Scene::default();
    let engine = scene.worker_as(None);
    scene.record(&engine, 0..2);
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("signed out"));
    assert_eq!(scene.status(&engine).state, State::SignedOut);
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
    scene.world.run(engine.change_settings(|settings| settings.paused = true)).unwrap();
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("paused"));
    assert_eq!(scene.record(&engine, 2..4).not_recorded, 4);
    scene.world.run(engine.change_settings(|settings| settings.consent = false)).unwrap();
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("consent missing"));
    assert_eq!(scene.requests(), 0);
    scene
        .world
        .run(engine.change_settings(|settings| {
            settings.consent = true;
            settings.paused = false;
        }))
        .unwrap();
    assert_eq!(scene.sync(&engine).created, 4);
    scene.assert_balanced(&engine, 4);
}

#[test]
fn another_accounts_records_are_parked_and_go_to_no_one_else() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second))).unwrap();
    assert_eq!(scene.status(&engine).parked.total(), 4);
    scene.record(&engine, 10..11);
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-2"].len(), 2);
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-1"].len(), 4);
    scene.assert_balanced(&engine, 6);
}

#[test]
fn a_slice_starts_no_request_after_its_time_and_the_alarm_goes_on() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1_500);
    scene.network.latency_ms.set(400);
    let report = scene
        .world
        .run(engine.sync(RunOptions { slice_budget: Some(Millis(1_000)), ..RunOptions::default() }))
        .unwrap();
    assert_eq!((report.outcome, report.reason.as_deref()), (Outcome::Incomplete, Some("slice over")));
    let last = scene.network.seen.borrow().last().unwrap().at_ms;
    assert!(last - scene.network.seen.borrow()[0].at_ms < 1_000);
    assert_eq!(report.batches as usize, scene.requests(), "what is in flight finishes and is kept");
    assert!(scene.browser.alarm.get().is_some());
}

#[test]
fn the_alarm_is_armed_before_the_first_request_and_cleared_when_nothing_is_left() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    let begun = scene.world.wall();
    scene.sync(&engine);
    let armed = scene.browser.armed.borrow();
    assert!(armed[0].is_some_and(|at| at >= begun + Millis(30_000)));
    assert_eq!(armed.last(), Some(&None));
}

#[test]
fn a_wake_with_nothing_to_do_sends_nothing() {
    let scene = Scene::default();
    let engine = scene.worker();
    let report = scene.sync(&engine);
    assert_eq!((report.outcome, report.attempted), (Outcome::Complete, 0));
    assert_eq!(scene.requests(), 0);
    assert!(scene.browser.armed.borrow().is_empty());
}

#[test]
fn a_write_that_fails_is_told_and_can_be_repeated() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.disk.faults.borrow_mut().push_back(StorageFault::Fails(StoreError::QuotaExceeded));
    let refused = scene.world.run(engine.record(records(0..1))).unwrap_err();
    assert_eq!(refused, OutboxError::Store(StoreError::QuotaExceeded).into());
    scene.assert_balanced(&engine, 0);
    assert_eq!(scene.record(&engine, 0..1).captured, 2);
    scene.disk.faults.borrow_mut().push_back(StorageFault::FailsAfterCommit(StoreError::Closed));
    assert!(scene.world.run(engine.record(records(1..2))).is_err());
    let again = scene.record(&engine, 1..2);
    assert_eq!((again.captured, again.held_already), (0, 2));
    scene.assert_balanced(&engine, 4);
}

#[test]
fn a_full_disk_is_shown_until_something_is_kept_again() {
    let scene = Scene::default();
    let engine = scene.worker();
    let no_room = || scene.disk.faults.borrow_mut().push_back(StorageFault::Fails(StoreError::QuotaExceeded));
    let problem = || scene.status(&engine).problem.map(|problem| problem.code);
    no_room();
    scene.world.run(engine.record(records(0..1))).unwrap_err();
    assert_eq!((problem(), scene.status(&engine).state), (Some("storage"), State::Error));
    scene.record(&engine, 0..1);
    assert_eq!(problem(), None);
    no_room();
    scene.world.run(engine.sync(RunOptions::default())).unwrap_err();
    assert_eq!((problem(), scene.rows_left()), (Some("storage"), 2));
    scene.sync(&engine);
    assert_eq!((problem(), scene.rows_left()), (None, 0));
}

#[test]
fn a_settlement_that_fails_leaves_the_rows_and_the_next_run_settles_them() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    scene
        .disk
        .faults
        .borrow_mut()
        .extend([StorageFault::None, StorageFault::Fails(StoreError::Failed("AbortError".into()))]);
    assert!(scene.world.run(engine.sync(RunOptions::default())).is_err());
    assert_eq!((scene.rows_left(), scene.stored()), (6, 6));
    assert!(scene.browser.alarm.get().is_some());
    let report = scene.sync(&engine);
    assert_eq!((report.skipped, scene.rows_left()), (6, 0));
    scene.assert_balanced(&engine, 6);
}

#[test]
fn a_reset_forgets_backoff_and_problems_and_keeps_every_record_and_what_is_known_of_the_server() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    scene.sync(&engine);
    scene.record(&engine, 1..3);
    for _ in 0..3 {
        scene.network.fail_next(NetworkFault::LostRequest);
    }
    scene.sync(&engine);
    assert!(scene.status(&engine).problem.is_some());
    scene.world.run(engine.outbox().reset()).unwrap();
    let status = scene.status(&engine);
    assert_eq!((status.problem, status.next_attempt_at, status.pending.total()), (None, None, 4));
    scene.network.fail_next(NetworkFault::Instead(Answer { status: 200, ..Answer::default() }));
    scene.sync(&engine);
    assert_eq!(scene.stored(), 6, "an empty 200 of a server that counts is not believed");
    scene.assert_balanced(&engine, 6);
}

#[test]
fn a_reset_forgets_no_wait_that_a_server_has_asked_for() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    scene.network.fail_next(NetworkFault::Instead(busy_for("600")));
    scene.sync(&engine);
    scene.world.run(engine.outbox().reset()).unwrap();
    for engine in [engine, scene.worker()] {
        assert_eq!(scene.sync(&engine).reason.as_deref(), Some("waiting"));
        assert!(scene.status(&engine).next_attempt_at.is_some());
    }
    let engine = scene.worker();
    scene.world.sleep(700_000);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
}

#[test]
fn a_sync_that_can_not_even_begin_is_tried_again() {
    // It fails to begin a wait anew on a clock that was set back, or to read at all.
    for set_back in [true, false] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..1);
        scene.network.fail_next(NetworkFault::Instead(busy_for("600")));
        if set_back {
            scene.sync(&engine);
            scene.world.set_wall(UnixMillis(scene.world.wall().0 - 86_400_000));
        }
        scene.browser.alarm.set(None);
        let broken = StoreError::Failed("AbortError".into());
        if set_back {
            scene.disk.faults.borrow_mut().push_back(StorageFault::Fails(broken));
        } else {
            scene.disk.read_faults.borrow_mut().push_back(Some(broken));
        }
        assert!(scene.world.run(engine.sync(RunOptions::default())).is_err());
        assert!(scene.browser.alarm.get().is_some(), "{set_back}");
    }
}

#[test]
fn a_record_is_found_where_it_is_by_its_id_or_by_a_part_of_its_pages_address() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..30);
    let find = |text: &str| {
        let found = scene.world.run(engine.find(text)).unwrap();
        found.into_iter().map(|found| (found.place, found.row.head.id)).collect::<Vec<_>>()
    };
    let (_, id) = find("https://")[19].clone();
    assert_eq!(find("https://").len(), 20, "who sees so many asks more precisely");
    assert_eq!(find(&format!(" {id} ")), [(Whereabouts::Pending, id.clone())]);
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-2"))).unwrap();
    assert_eq!(find(&id), [(Whereabouts::Parked, id.clone())]);
    scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
    scene.sync(&engine);
    assert_eq!((find(&id), find("https://"), find("  ")), (vec![], vec![], vec![]));
}

#[test]
fn the_login_of_one_server_is_not_shown_to_another() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    let other = SERVER_URLS[1].to_owned();
    scene.world.run(engine.change_settings(|settings| settings.server_url = other)).unwrap();
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("signed out"));
    assert_eq!((scene.requests(), scene.rows_left()), (0, 4));
    scene
        .world
        .run(engine.change_settings(|settings| {
            settings.server_url = SERVER_URLS[0].to_owned();
            settings.session = session("user-1");
        }))
        .unwrap();
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.rows_left()), (4, 0));
}

#[test]
fn what_was_exported_comes_back_to_the_account_that_it_belongs_to() {
    let mut scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    let file = scene.world.run(exported(&engine)).unwrap();
    scene.disk = Disk::new();
    let engine = scene.worker_as(None);
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(second))).unwrap();
    let told = scene.world.run(imported(&engine, &file)).unwrap();
    assert_eq!((told.recorded.captured, told.refused.len()), (4, 0));
    scene.sync(&engine);
    assert!(!scene.network.server.borrow().stored.contains_key("user-2"));
    assert_eq!(scene.status(&engine).parked.total(), 4);
    // A file of somebody else's making says nothing of owners.
    let foreign = file.lines().map(|line| line.replacen("\"owner\"", "\"whose\"", 1) + "\n");
    let foreign: String = foreign.map(|line| line.replace("\"v0", "\"w0").replace("\"a0", "\"b0")).collect();
    scene.world.run(imported(&engine, &foreign)).unwrap();
    scene.sync(&engine);
    assert_eq!(scene.network.server.borrow().stored["user-2"].len(), 4);
    scene.assert_balanced(&engine, 8);
}

#[test]
fn a_wait_that_is_asked_for_instead_of_a_new_login_is_kept() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    let refreshable = Session { refresh_token: Some("refresh-1".into()), ..session("user-1").unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(refreshable))).unwrap();
    scene.network.server.borrow_mut().tokens.clear();
    let body = r#"{"success":false,"retry_after":600}"#.to_owned();
    let wait = NetworkFault::Instead(Answer { status: 429, body, ..Answer::default() });
    // That of the abilities is answered.
    scene.network.question_faults.borrow_mut().extend([None, Some(wait)]);
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert!(status.next_attempt_at.unwrap() >= scene.world.wall() + Millis(599_000));
    let by_hand = RunOptions { by_hand: true, ..RunOptions::default() };
    assert_eq!(scene.world.run(engine.sync(by_hand)).unwrap().reason.as_deref(), Some("waiting"));
}

#[test]
fn a_wait_that_one_of_several_requests_is_asked_for_holds_for_all_of_them() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..600);
    let refused = Answer { status: 400, body: r#"{"success":false}"#.into(), ..Answer::default() };
    let busy = Answer { status: 503, retry_after: Some("90".into()), ..Answer::default() };
    let faults = [None, None, None, Some(refused), Some(busy)].map(|fault| fault.map(NetworkFault::Instead));
    scene.network.faults.borrow_mut().extend(faults);
    // The network's own referee fails where a request comes too early.
    assert_eq!(scene.sync(&engine).reason.as_deref(), Some("server trouble"));
    scene.world.sleep(100_000);
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.rows_left()), (1_200, 0));
}

#[test]
fn a_wait_is_kept_though_the_disk_fails_at_any_write_beside_it() {
    let busy = Answer { status: 503, retry_after: Some("90".into()), ..Answer::default() };
    let click = RunOptions { by_hand: true, ..RunOptions::default() };
    for writes in 0..8 {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..400);
        let faults = [None, Some(NetworkFault::Instead(busy.clone()))];
        scene.network.faults.borrow_mut().extend(faults);
        let told_as_failed = StorageFault::FailsAfterCommit(StoreError::Failed("AbortError".into()));
        let faults = (0..writes).map(|_| StorageFault::None).chain([told_as_failed]);
        scene.disk.faults.borrow_mut().extend(faults);
        // The network's own referee fails where a request comes too early, of the next worker too.
        let _ = scene.world.run(engine.sync(click));
        let _ = scene.world.run(engine.sync(click));
        scene.disk.faults.take();
        drop(engine);
        let engine = scene.worker();
        let _ = scene.world.run(engine.sync(click));
        scene.world.sleep(100_000);
        scene.sync(&engine);
        assert_eq!((scene.stored(), scene.rows_left()), (800, 0));
    }
}

#[test]
fn a_wait_that_one_server_has_asked_for_does_not_hold_at_the_next() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..1);
    let busy = Answer { status: 429, retry_after: Some("7200".into()), ..Answer::default() };
    scene.network.fail_next(NetworkFault::Instead(busy));
    scene.sync(&engine);
    scene.network.other.borrow_mut().tokens = [("token-9".into(), "user-1".into())].into();
    let changed = engine.change_settings(|settings| {
        settings.server_url = SERVER_URLS[1].to_owned();
        settings.session = Some(Session { access_token: "token-9".into(), ..session("user-1").unwrap() });
    });
    scene.world.run(changed).unwrap();
    scene.record(&engine, 1..2);
    assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    assert_eq!(scene.network.other.borrow().stored["user-1"].len(), 2);
}

#[test]
fn a_wait_that_the_last_server_asks_for_after_the_change_does_not_hold_at_the_next() {
    let statuses = [(429, false), (413, false), (401, false), (503, true)];
    for (status, disk_fails) in statuses {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..1);
        scene.network.latency_ms.set(50);
        scene.network.fail_next(NetworkFault::Instead(Answer { status, ..busy_for("86400") }));
        scene.network.other.borrow_mut().tokens = [("token-9".into(), "user-1".into())].into();
        let sync = pin!(engine.sync(RunOptions::default()));
        let change = pin!(async {
            while scene.requests() == 0 {
                scene.world.pass(1).await;
            }
            let changed = engine.change_settings(|settings| {
                settings.server_url = SERVER_URLS[1].to_owned();
                let access_token = "token-9".into();
                settings.session = Some(Session { access_token, ..session("user-1").unwrap() });
            });
            changed.await.unwrap();
            if disk_fails {
                let fault = StorageFault::Fails(StoreError::Failed("AbortError".into()));
                scene.disk.faults.borrow_mut().push_back(fault);
            }
        });
        let (report, ()) = scene.world.run(join(sync, change));
        assert_eq!(report.is_err(), disk_fails);
        scene.record(&engine, 1..2);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete, "{status}");
        assert_eq!(scene.network.other.borrow().stored["user-1"].len(), 2, "{status}");
    }
}

#[test]
fn an_excluded_site_is_not_kept_from_the_moment_it_is_excluded() {
    let scene = Scene::default();
    let engine = scene.worker();
    let excluded = SiteRules::new(["example.com"]);
    scene.world.run(engine.change_settings(|settings| settings.excluded = excluded)).unwrap();
    let recorded = scene.record(&engine, 0..3);
    assert_eq!((recorded.captured, recorded.not_recorded, scene.rows_left()), (0, 6, 0));
}

#[test]
fn a_batch_that_failed_is_not_sent_again_as_it_was_if_a_site_was_excluded_since() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    scene.network.latency_ms.set(50);
    // The last one's answer is lost when the other has landed, and the next batch was made ready under the new rules.
    scene.network.faults.borrow_mut().extend([None, None, Some(NetworkFault::LostAnswer)]);
    let sync = pin!(engine.sync(RunOptions::default()));
    let exclude = pin!(async {
        while scene.network.in_flight.get() < 2 {
            scene.world.pass(1).await;
        }
        let excluded = SiteRules::new(["example.com"]);
        let changed = engine.change_settings(|settings| settings.excluded = excluded).await;
        // The network's own referee fails where a request names it.
        scene.network.forbidden.borrow_mut().push("example.com".to_owned());
        changed
    });
    let (report, changed) = scene.world.run(join(sync, exclude));
    assert_eq!((report.unwrap().reason.as_deref(), changed), (Some("settings changed"), Ok(())));
    scene.sync(&engine);
    assert_eq!((scene.stored(), scene.rows_left()), (600, 0));
}

#[test]
fn a_backlog_is_read_in_windows() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2_000);
    scene.disk.most_rows_read.set(0);
    scene.sync(&engine);
    assert_eq!((scene.rows_left(), scene.stored()), (0, 4_000));
    assert!(scene.disk.most_rows_read.get() <= 2 * 300, "{}", scene.disk.most_rows_read.get());
}

#[test]
fn what_one_server_has_counted_is_not_expected_of_the_next() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    let mut other = scene.network.other.borrow_mut();
    (other.gives_counts, other.tokens) = (false, [("token-9".into(), "user-1".into())].into());
    drop(other);
    let login = Session { access_token: "token-9".into(), ..session("user-1").unwrap() };
    let sync = pin!(engine.sync(RunOptions::default()));
    let switch = pin!(async {
        // While the first upload is out.
        while scene.network.in_flight.get() == 0 {
            scene.world.pass(1).await;
        }
        let changed = engine.change_settings(|settings| {
            settings.server_url = SERVER_URLS[1].to_owned();
            settings.session = Some(login);
        });
        changed.await.unwrap();
    });
    let _ = scene.world.run(join(sync, switch));
    scene.record(&engine, 5..6);
    scene.sync(&engine);
    assert_eq!(scene.network.other.borrow().stored["user-1"].len(), 2);
    assert_eq!((scene.stored(), scene.rows_left()), (4, 0));
}
