//! Whose records they are where only the user can say: those captured signed out, and those that wait for another server.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use heyho_simulation::scene::{Scene, TestEngine, aggregate, session};
use heyho_sync::decisions::erasure::Scope;
use heyho_sync::decisions::handover::Elsewhere;
use heyho_sync::engine::EngineError;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;

const OLD: &str = "https://api.example.com";

fn sign_in(scene: &Scene, engine: &TestEngine, account: &str) {
    let token = format!("token of {account}");
    scene.network.server.borrow_mut().tokens.insert(token.clone(), account.into());
    let session = Session { access_token: token, ..session(account).unwrap() };
    scene.world.run(engine.change_settings(|settings| settings.session = Some(session))).unwrap();
}

fn sign_out(scene: &Scene, engine: &TestEngine) {
    scene.world.run(engine.change_settings(|settings| settings.session = None)).unwrap();
}

/// The user types another address, and signs in there.
fn move_to(scene: &Scene, engine: &TestEngine, server: &str, account: &str) {
    sign_out(scene, engine);
    let server_url = format!("{server}/api/v1");
    scene.world.run(engine.change_settings(|settings| settings.server_url = server_url)).unwrap();
    sign_in(scene, engine, account);
}

fn stored(scene: &Scene, account: &str) -> usize {
    scene.network.server.borrow().stored.get(account).map_or(0, |rows| rows.len())
}

const fn both(count: u64) -> PerKind<u64> {
    PerKind { page_visits: count, tab_aggregates: count }
}

/// The second revision of an aggregate.
fn closed_aggregate(number: usize) -> String {
    aggregate(number).replacen('{', r#"{"revision":2,"closed_at":"2026-11-21T11:00:00.000Z","#, 1)
}

/// Two accounts are known, and three visits with their aggregates were captured signed out.
fn with_unclaimed() -> (Scene, TestEngine) {
    let scene = Scene::default();
    let engine = scene.worker();
    sign_in(&scene, &engine, "user-2");
    sign_out(&scene, &engine);
    scene.record(&engine, 0..3);
    (scene, engine)
}

#[test]
fn what_was_captured_signed_out_goes_by_itself_to_the_only_account_that_is_known() {
    let scene = Scene::default();
    let engine = scene.worker_as(None);
    scene.record(&engine, 0..3);
    assert_eq!(scene.status(&engine).unclaimed, both(0));
    sign_in(&scene, &engine, "user-1");
    assert_eq!(scene.status(&engine).unclaimed, both(0));
    scene.sync(&engine);
    assert_eq!(stored(&scene, "user-1"), 6);
}

#[test]
fn with_several_accounts_known_it_is_nobodys_until_the_user_hands_it_over() {
    let (scene, engine) = with_unclaimed();
    sign_in(&scene, &engine, "user-1");
    let status = scene.status(&engine);
    assert_eq!((status.unclaimed, status.parked), (both(3), both(3)));
    scene.sync(&engine);
    assert_eq!(scene.requests(), 0);
    assert_eq!(scene.world.run(engine.claim(None)), Ok(both(3)));
    assert_eq!(scene.status(&engine).unclaimed, both(0));
    assert!(scene.browser.alarm.get().is_some());
    scene.sync(&engine);
    assert_eq!((stored(&scene, "user-1"), stored(&scene, "user-2")), (6, 0));
    scene.assert_balanced(&engine, 6);
}

#[test]
fn what_is_nobodys_can_be_given_up_and_nothing_else_goes_with_it() {
    let (scene, engine) = with_unclaimed();
    sign_in(&scene, &engine, "user-1");
    scene.record(&engine, 10..12);
    scene.world.run(engine.erase(Scope::Unclaimed, false)).unwrap();
    let status = scene.status(&engine);
    assert_eq!((status.unclaimed, status.discarded, status.pending), (both(0), both(3), both(2)));
    scene.sync(&engine);
    assert_eq!((stored(&scene, "user-1"), scene.rows_left()), (4, 0));
    scene.assert_balanced(&engine, 10);
}

#[test]
fn nobody_can_be_handed_anything_while_nobody_is_signed_in() {
    let (scene, engine) = with_unclaimed();
    assert_eq!(scene.world.run(engine.claim(None)), Err(EngineError::NobodysChoice));
    assert_eq!(scene.world.run(engine.claim(Some(OLD))), Err(EngineError::NobodysChoice));
    scene.assert_balanced(&engine, 6);
}

#[test]
fn a_new_server_address_takes_rows_along_only_when_the_user_says_so() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    move_to(&scene, &engine, "https://new.example.com", "user-9");
    scene.record(&engine, 10..11);
    scene.sync(&engine);
    assert_eq!((stored(&scene, "user-9"), scene.status(&engine).parked), (2, both(3)));
    let there = Elsewhere { server: OLD.into(), pending: both(3), may_be_taken: true };
    assert_eq!(scene.status(&engine).elsewhere, [there]);
    assert_eq!(scene.world.run(engine.claim(Some(OLD))), Ok(both(3)));
    assert_eq!(scene.status(&engine).elsewhere, []);
    scene.sync(&engine);
    assert_eq!((stored(&scene, "user-9"), scene.rows_left()), (8, 0));
    scene.assert_balanced(&engine, 8);
}

#[test]
fn what_refers_to_a_visit_of_the_old_server_goes_without_it_where_order_matters() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    scene.sync(&engine);
    scene.record(&engine, 3..5);
    let late = PerKind { page_visits: Vec::new(), tab_aggregates: vec![closed_aggregate(2)] };
    scene.world.run(engine.record(late)).unwrap();
    move_to(&scene, &engine, "https://new.example.com", "user-9");
    scene.world.run(engine.claim(Some(OLD))).unwrap();
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.pending.total(), status.quarantined.tab_aggregates), (0, 1));
    let server = scene.network.server.borrow();
    let source =
        |id: &str| server.stored["user-9"][&('v', id.into())].record()["source_page_visit_id"].clone();
    assert_eq!((source("v00003"), source("v00004")), (serde_json::Value::Null, "v00003".into()));
    assert!(server.dangling.is_empty() && server.stored["user-9"].len() == 4);
    drop(server);
    scene.assert_balanced(&engine, 11);
}

#[test]
fn of_several_accounts_at_the_old_server_the_one_with_the_same_id_is_meant_or_none() {
    for (account, taken) in [("user-2", Ok(both(1))), ("user-9", Err(EngineError::NobodysChoice))] {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..3);
        sign_in(&scene, &engine, "user-2");
        scene.record(&engine, 5..6);
        move_to(&scene, &engine, "https://new.example.com", account);
        let there = Elsewhere { server: OLD.into(), pending: both(4), may_be_taken: taken.is_ok() };
        assert_eq!(scene.status(&engine).elsewhere, [there]);
        assert_eq!(scene.world.run(engine.claim(Some(OLD))), taken);
        scene.sync(&engine);
        assert_eq!(stored(&scene, "user-1"), 0);
        assert_eq!(stored(&scene, account), if taken.is_ok() { 2 } else { 0 });
        scene.assert_balanced(&engine, 8);
    }
}

#[test]
fn the_records_of_another_account_at_the_same_server_can_not_be_taken() {
    let scene = Scene::default();
    let engine = scene.worker();
    scene.record(&engine, 0..3);
    sign_in(&scene, &engine, "user-2");
    assert_eq!(scene.status(&engine).elsewhere, []);
    assert_eq!(scene.world.run(engine.claim(Some(OLD))), Err(EngineError::NobodysChoice));
    scene.sync(&engine);
    assert_eq!((scene.requests(), scene.status(&engine).parked), (0, both(3)));
}

#[test]
fn a_login_that_is_remembered_is_not_shown_to_another_server() {
    let scene = Scene::default();
    let settings = |server_url: &str, session| heyho_sync::engine::Settings {
        server_url: server_url.into(),
        consent: true,
        session,
        remembers_session: true,
        ..heyho_sync::engine::Settings::default()
    };
    let engine = scene.closed_worker();
    scene.world.run(engine.open(settings("https://api.example.com/api/v1", session("user-1")))).unwrap();
    for (server_url, signed_in) in
        [("https://api.example.com/api/v2", true), ("https://new.example.com/api/v1", false)]
    {
        let engine = scene.closed_worker();
        scene.world.run(engine.open(settings(server_url, None))).unwrap();
        assert_eq!(scene.status(&engine).signed_in, signed_in, "{server_url}");
    }
}
