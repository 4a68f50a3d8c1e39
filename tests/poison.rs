//! Bad records and sick servers (rule 5): nothing blocks the others, nothing is lost, and no request too many.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, session, visit};
use heyho_simulation::server::{Manner, Poison, Server};
use heyho_sync::decisions::sync_state::ProblemCode;
use heyho_sync::engine::RunOptions;
use heyho_sync::outbox::Aside;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::time::Millis;

const VISITS: usize = 1_000;

/// The published backend, or one of the others, with these visits refused for these reasons.
fn server(manner: Manner, poison: &[(usize, Poison)]) -> Server {
    let poison = poison.iter().map(|(number, poison)| (format!("v{number:05}"), *poison)).collect();
    Server { manner, poison, gives_counts: true, ..Server::default() }
}

/// Syncs until nothing more happens for a day, letting each wait pass; returns the requests that it took.
fn settle(scene: &Scene, engine: &TestEngine) -> usize {
    for _ in 0..400 {
        scene.sync(engine);
        if scene.status(engine).pending.total() == 0 {
            break;
        }
        scene.world.sleep(3_700_000);
    }
    scene.requests()
}

fn clean_run(manner: Manner) -> usize {
    let scene = Scene::with(server(manner, &[]));
    let engine = scene.worker();
    scene.record(&engine, 0..VISITS);
    settle(&scene, &engine)
}

fn check(manner: Manner, bad: &[usize], poison: Poison, most_each: usize) {
    check_of('v', manner, bad, poison, most_each);
}

/// Where the page visits ("v") or the tab aggregates ("a") with these numbers are bad.
fn check_of(kind: char, manner: Manner, bad: &[usize], poison: Poison, most_each: usize) {
    let clean = clean_run(manner);
    let mut server = server(manner, &[]);
    server.poison = bad.iter().map(|number| (format!("{kind}{number:05}"), poison)).collect();
    let scene = Scene::with(server);
    let engine = scene.worker();
    scene.record(&engine, 0..VISITS);
    let requests = settle(&scene, &engine);
    let stored = &scene.network.server.borrow().stored["user-1"];
    for number in 0..VISITS {
        let good = !bad.contains(&number);
        let is_stored = |kind: char| stored.contains_key(&(kind, format!("{kind}{number:05}")));
        assert_eq!((is_stored('v'), is_stored('a')), (good || kind == 'a', good), "{number}");
    }
    let status = scene.status(&engine);
    let tab_aggregates = bad.len() as u64;
    let page_visits = if kind == 'v' { tab_aggregates } else { 0 };
    assert_eq!(status.quarantined, PerKind { page_visits, tab_aggregates });
    assert_eq!(status.pending.total(), 0);
    scene.assert_balanced(&engine, 2 * VISITS as u64);
    let most = clean + most_each * bad.len();
    assert!(
        requests <= most,
        "{kind} {manner:?} {poison:?} {bad:?}: {requests} requests, {clean} in a clean run, at most {most} allowed"
    );
}

const SPREAD: [usize; 10] = [3, 105, 107, 250, 333, 480, 599, 701, 811, 998];
const IN_A_ROW: [usize; 10] = [505, 506, 507, 508, 509, 510, 511, 512, 513, 514];
const AT_THE_HEAD: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const AT_THE_END: [usize; 10] = [990, 991, 992, 993, 994, 995, 996, 997, 998, 999];

#[test]
fn records_that_a_strict_server_names_cost_at_most_three_requests_each() {
    for bad in [SPREAD, IN_A_ROW, AT_THE_HEAD, AT_THE_END] {
        check(Manner::Strict, &bad, Poison::Named, 3);
    }
}

#[test]
fn records_that_a_partial_server_names_cost_at_most_three_requests_each() {
    for bad in [SPREAD, IN_A_ROW, AT_THE_HEAD, AT_THE_END] {
        check(Manner::Partial, &bad, Poison::Named, 3);
    }
}

#[test]
fn records_that_the_published_backend_names_cost_at_most_three_requests_each_and_the_blamed_are_stored() {
    for bad in [SPREAD, IN_A_ROW, AT_THE_END] {
        check(Manner::Published, &bad, Poison::Named, 3);
    }
}

#[test]
fn more_bad_records_in_a_row_than_may_be_condemned_at_once_block_nobody() {
    let in_a_row: Vec<usize> = (505..530).collect();
    for (manner, most_each) in [(Manner::Strict, 3), (Manner::Partial, 3), (Manner::Published, 10)] {
        check(manner, &in_a_row, Poison::Named, most_each);
    }
}

#[test]
fn a_published_backend_that_refuses_its_first_record_without_a_word_costs_at_most_twenty_each() {
    check(Manner::Published, &AT_THE_HEAD, Poison::Named, 20);
}

#[test]
fn records_that_are_refused_without_a_word_cost_at_most_twenty_requests_each() {
    for poison in [Poison::Silent, Poison::Crash] {
        for bad in [SPREAD, IN_A_ROW, AT_THE_HEAD, AT_THE_END] {
            check(Manner::Published, &bad, poison, 20);
        }
    }
}

#[test]
fn bad_aggregates_cost_no_more_than_bad_visits_and_leave_their_visits_alone() {
    for bad in [SPREAD, IN_A_ROW, AT_THE_HEAD, AT_THE_END] {
        for manner in [Manner::Strict, Manner::Partial, Manner::Published] {
            check_of('a', manner, &bad, Poison::Named, 3);
        }
        for (manner, poison) in [
            (Manner::Strict, Poison::Silent),
            (Manner::Published, Poison::Silent),
            (Manner::Strict, Poison::Crash),
        ] {
            check_of('a', manner, &bad, poison, 20);
        }
    }
}

#[test]
fn one_bad_record_among_a_hundred_is_found_in_about_two_log_n_requests() {
    let scene = Scene::with(server(Manner::Strict, &[(61, Poison::Silent)]));
    let engine = scene.worker();
    scene.record(&engine, 0..100);
    let requests = settle(&scene, &engine);
    assert!(requests <= 1 + 2 * 8, "{requests} requests");
}

#[test]
fn a_last_record_with_nothing_to_compare_it_with_stays_pending_and_is_shown() {
    let scene = Scene::with(server(Manner::Strict, &[(0, Poison::Silent)]));
    let engine = scene.worker();
    scene
        .world
        .run(
            engine.record(PerKind {
                page_visits: vec![heyho_simulation::scene::visit(0)],
                ..PerKind::default()
            }),
        )
        .unwrap();
    for _ in 0..5 {
        scene.sync(&engine);
        scene.world.sleep(3_700_000);
    }
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.total()), (1, 0));
    assert_eq!(status.problem.unwrap().code, ProblemCode::ServerRefuses.as_str());
    scene.record(&engine, 1..2);
    settle(&scene, &engine);
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.total(), status.acknowledged.total()), (0, 1, 2));
}

#[test]
fn a_server_that_refuses_everything_condemns_nobody_and_is_not_hammered() {
    let all: Vec<(usize, Poison)> = (0..400).map(|number| (number, Poison::Silent)).collect();
    let scene = Scene::with(server(Manner::Strict, &all));
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    for _ in 0..60 {
        scene.sync(&engine);
        scene.world.sleep(3_700_000);
    }
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.total()), (800, 0));
    assert_eq!(status.problem.unwrap().code, "the server refuses");
    let per_attempt = scene.requests() as f64 / 60.0;
    assert!(per_attempt < 4.0, "{per_attempt} requests an attempt");
    scene.network.server.borrow_mut().poison.clear();
    settle(&scene, &engine);
    let status = scene.status(&engine);
    assert_eq!((status.acknowledged.total(), status.quarantined.total()), (800, 0));
    scene.assert_balanced(&engine, 800);
}

#[test]
fn a_whole_batch_of_bad_records_at_the_head_blocks_nobody_in_the_end() {
    let bad: Vec<(usize, Poison)> = (0..120).map(|number| (number, Poison::Named)).collect();
    let scene = Scene::with(server(Manner::Strict, &bad));
    let engine = scene.worker();
    scene.record(&engine, 0..300);
    settle(&scene, &engine);
    let status = scene.status(&engine);
    assert_eq!((status.acknowledged.total(), status.quarantined.total()), (360, 240));
    scene.assert_balanced(&engine, 600);
}

#[test]
fn what_was_quarantined_is_seen_and_comes_back_with_its_aggregates_on_retry() {
    let scene = Scene::with(server(Manner::Strict, &[(5, Poison::Named)]));
    let engine = scene.worker();
    scene.record(&engine, 0..10);
    settle(&scene, &engine);
    let rows = scene.world.run(engine.outbox().list(Aside::Quarantine)).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.note.is_some()));
    scene.network.server.borrow_mut().poison.clear();
    let back = scene.world.run(engine.put_back(Aside::Quarantine, Some(vec!["v00005".into()]))).unwrap();
    assert_eq!(back, 2);
    settle(&scene, &engine);
    assert_eq!(scene.stored(), 20);
    scene.assert_balanced(&engine, 20);
}

#[test]
fn a_lower_revision_that_comes_back_is_not_sent_behind_a_higher_one() {
    let scene = Scene::with(server(Manner::Published, &[(0, Poison::Named)]));
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    settle(&scene, &engine);
    assert_eq!(scene.status(&engine).quarantined.total(), 2);
    scene.network.server.borrow_mut().poison.clear();
    let revised = |number| visit(number).replacen('{', r#"{"revision":2,"#, 1);
    let page_visits = vec![revised(0)];
    scene.world.run(engine.record(PerKind { page_visits, tab_aggregates: Vec::new() })).unwrap();
    scene.record(&engine, 2..150);
    assert_eq!(scene.world.run(engine.put_back(Aside::Quarantine, None)), Ok(2));
    settle(&scene, &engine);
    let server = scene.network.server.borrow();
    let stored = &server.stored["user-1"][&('v', "v00000".to_owned())];
    assert_eq!((stored.revision, stored.writes), (2, 1));
    scene.assert_balanced(&engine, 301);
}

#[test]
fn what_the_user_discards_is_gone_and_counted() {
    let scene = Scene::with(server(Manner::Strict, &[(5, Poison::Named)]));
    let engine = scene.worker();
    scene.record(&engine, 0..10);
    settle(&scene, &engine);
    let gone = scene.world.run(engine.outbox().discard(Aside::Quarantine, vec!["v00005".into()])).unwrap();
    assert_eq!(gone, 2);
    let status = scene.status(&engine);
    assert_eq!((status.discarded.total(), status.quarantined.total()), (2, 0));
    scene.assert_balanced(&engine, 20);
}

#[test]
fn a_visit_whose_source_is_quarantined_is_sent_without_it() {
    let scene = Scene::with(server(Manner::Strict, &[(5, Poison::Named)]));
    let engine = scene.worker();
    scene.record(&engine, 0..10);
    settle(&scene, &engine);
    let server = scene.network.server.borrow();
    assert!(server.stored["user-1"][&('v', "v00006".into())].arrived.source_page_visit_id.is_none());
    let source = &server.stored["user-1"][&('v', "v00007".into())].arrived.source_page_visit_id;
    assert_eq!(source.as_deref(), Some("v00006"));
}

#[test]
fn a_visit_whose_source_was_quarantined_long_before_is_sent_without_it() {
    let scene = Scene::with(server(Manner::Strict, &[(5, Poison::Named)]));
    let engine = scene.worker();
    scene.record(&engine, 0..6);
    settle(&scene, &engine);
    scene.record(&engine, 6..8);
    settle(&scene, &engine);
    let server = scene.network.server.borrow();
    let source = |id: &str| server.stored["user-1"][&('v', id.into())].arrived.source_page_visit_id.clone();
    assert_eq!((source("v00006"), source("v00007").as_deref()), (None, Some("v00006")));
}

#[test]
fn an_excluded_site_leaves_the_backlog_with_its_aggregates_and_nothing_of_it_is_sent() {
    let scene = Scene::default();
    let engine = scene.worker_as(session("user-1"));
    scene.record(&engine, 0..3);
    let secret =
        r#"{"id":"s","url":"https://secret.example/x","title":"t","visited_at":"2026-11-21T10:00:00.000Z"}"#;
    let aggregate = r#"{"id":"sa","page_visit_id":"s","total_time_seconds":3,"active_time_seconds":2}"#;
    let named = r#"{"id":"n","page_visit_id":"v00002","total_time_seconds":3,"active_time_seconds":2,
        "domain_durations":{"secret.example":4,"example.com":3}}"#;
    let texts = PerKind {
        page_visits: vec![secret.to_owned()],
        tab_aggregates: vec![aggregate.to_owned(), named.to_owned()],
    };
    scene.world.run(engine.record(texts)).unwrap();
    let rules = heyho_sync::words::record::sites::SiteRules::new(["secret.example"]);
    scene.world.run(engine.change_settings(|settings| settings.excluded = rules)).unwrap();
    settle(&scene, &engine);
    let sent = format!("{:?}", scene.network.seen.borrow());
    assert!(!sent.contains("secret.example"));
    let status = scene.status(&engine);
    assert_eq!((status.discarded.total(), status.acknowledged.total()), (2, 7));
    scene.assert_balanced(&engine, 9);
}

#[test]
fn a_probe_hides_nothing_that_stands_before_it_in_its_epoch() {
    let bad: Vec<(usize, Poison)> = (10..22).map(|number| (number, Poison::Named)).collect();
    let scene = Scene::with(server(Manner::Strict, &bad));
    scene.network.server.borrow_mut().tokens.insert("token-2".into(), "user-2".into());
    let engine = scene.worker();
    // The daily count, which would put it right, is done.
    scene.record(&engine, 0..1);
    scene.sync(&engine);
    scene.record(&engine, 10..22);
    let second = Session { access_token: "token-2".into(), ..session("user-2").unwrap() };
    for session in [Some(second), session("user-1")] {
        scene.world.run(engine.change_settings(|settings| settings.session = session)).unwrap();
    }
    scene.record(&engine, 30..60);
    for _ in 0..12 {
        scene.sync(&engine);
        scene.world.sleep(3_700_000);
    }
    let status = scene.status(&engine);
    assert_eq!((scene.stored(), status.quarantined.total(), status.pending.total()), (62, 24, 0));
    scene.assert_balanced(&engine, 86);
}

#[test]
fn what_comes_after_many_that_are_refused_is_delivered_all_the_same() {
    for poison in [Poison::Named, Poison::Silent] {
        let bad: Vec<(usize, Poison)> = (0..12).map(|number| (number, poison)).collect();
        let scene = Scene::with(server(Manner::Strict, &bad));
        let engine = scene.worker();
        scene.record(&engine, 0..12);
        for _ in 0..24 {
            scene.sync(&engine);
            scene.world.sleep(3_700_000);
        }
        assert_eq!(scene.status(&engine).quarantined.total(), 0, "{poison:?}");
        scene.record(&engine, 20..50);
        for _ in 0..24 {
            scene.sync(&engine);
            scene.world.sleep(3_700_000);
        }
        let status = scene.status(&engine);
        assert_eq!((scene.stored(), status.quarantined.total()), (60, 24), "{poison:?}");
    }
}

#[test]
fn a_record_that_crashes_the_server_is_found_though_others_are_recorded_between_the_attempts() {
    let scene = Scene::with(server(Manner::Strict, &[(0, Poison::Crash)]));
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    // So long a trouble that a wake has time for one attempt only.
    scene.network.faults.borrow_mut().extend(std::iter::repeat_n(Some(NetworkFault::LostRequest), 40));
    while !scene.network.faults.borrow().is_empty() {
        scene.sync(&engine);
        scene.world.sleep(7_200_000);
    }
    for number in 10..20 {
        scene.record(&engine, number..number + 1);
        scene.sync(&engine);
        scene.world.sleep(7_200_000);
    }
    let status = scene.status(&engine);
    assert_eq!((scene.stored(), status.quarantined.total(), status.pending.total()), (22, 2, 0));
    scene.assert_balanced(&engine, 24);
}

#[test]
fn a_probed_record_that_times_out_is_in_memory_once() {
    let bad: Vec<(usize, Poison)> = (0..100).chain([300]).map(|number| (number, Poison::Named)).collect();
    let scene = Scene::with(server(Manner::Strict, &bad));
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    // All of the first batch are named; the first record of the next window is probed.
    scene.network.faults.borrow_mut().extend([None, Some(NetworkFault::Slow(30_000))]);
    let options = RunOptions { slice_budget: Some(Millis(120_000)), ..RunOptions::default() };
    scene.world.run(engine.sync(options)).unwrap();
    let probed = &scene.network.seen.borrow()[1].page_visits;
    assert_eq!(probed.iter().map(|visit| visit.id.as_str()).collect::<Vec<_>>(), ["v00300"]);
    assert_eq!(scene.status(&engine).quarantined.total(), 202);
    scene.assert_balanced(&engine, 800);
    settle(&scene, &engine);
    assert_eq!((scene.stored(), scene.status(&engine).quarantined.total()), (598, 202));
    scene.assert_balanced(&engine, 800);
}
