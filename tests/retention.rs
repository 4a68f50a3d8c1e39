//! What nobody takes for months: nothing is lost, and nothing is withheld without a word.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is to panic")]

use heyho_simulation::fault::NetworkFault;
use heyho_simulation::scene::{Scene, TestEngine, aggregate, records, session};
use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::report::{Outcome, Report};
use heyho_sync::outbox::Aside;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::time::{Millis, UnixMillis};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn scene() -> Scene {
    let scene = Scene::default();
    scene.network.tells_date.set(true);
    scene
}

// A sync that meets nothing but this.
fn sync_against(scene: &Scene, engine: &TestEngine, fault: &NetworkFault) -> Report {
    for _ in 0..20 {
        scene.network.fail_next(fault.clone());
    }
    let report = scene.sync(engine);
    scene.network.faults.borrow_mut().clear();
    report
}

fn refusal(status: u16) -> NetworkFault {
    NetworkFault::Instead(Answer { status, ..Answer::default() })
}

fn archived(scene: &Scene, engine: &TestEngine) -> u64 {
    scene.status(engine).archived.total()
}

#[test]
fn what_a_server_refuses_for_the_archive_age_is_set_aside_told_and_offered_back_when_it_works_again() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..400);
    sync_against(&scene, &engine, &refusal(403));
    scene.world.sleep(89 * DAY_MS);
    scene.record(&engine, 400..410);
    sync_against(&scene, &engine, &refusal(403));
    assert_eq!(archived(&scene, &engine), 0);
    scene.world.sleep(DAY_MS);
    let report = sync_against(&scene, &engine, &refusal(403));
    assert_eq!((report.outcome, report.reason.as_deref()), (Outcome::Incomplete, Some("not allowed")));
    let status = scene.status(&engine);
    assert_eq!((status.archived.total(), status.pending.total(), status.restorable), (800, 20, false));
    scene.assert_balanced(&engine, 820);

    scene.world.sleep(2 * HOUR_MS);
    scene.sync(&engine);
    let status = scene.status(&engine);
    assert_eq!((status.archived.total(), status.pending.total(), status.restorable), (800, 0, true));
    assert_eq!(scene.world.run(engine.put_back(Aside::Archive, None)), Ok(800));
    sync_against(&scene, &engine, &refusal(403));
    assert_eq!(archived(&scene, &engine), 0, "their age has begun anew");
    scene.world.sleep(2 * HOUR_MS);
    scene.sync(&engine);
    assert_eq!((archived(&scene, &engine), scene.stored()), (0, 820));
    scene.assert_balanced(&engine, 820);
}

#[test]
fn an_aggregate_follows_its_visit_into_the_archive_and_out_of_it() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..2);
    sync_against(&scene, &engine, &refusal(403));
    scene.world.sleep(90 * DAY_MS);
    sync_against(&scene, &engine, &refusal(403));
    assert_eq!(archived(&scene, &engine), 4);
    let late = aggregate(1).replace("a00001", "late");
    let late = PerKind { page_visits: Vec::new(), tab_aggregates: vec![late] };
    scene.world.run(engine.record(late)).unwrap();
    scene.world.sleep(2 * HOUR_MS);
    scene.sync(&engine);
    assert_eq!((archived(&scene, &engine), scene.stored()), (5, 0));
    let back = scene.world.run(engine.put_back(Aside::Archive, Some(vec!["v00001".into()])));
    assert_eq!(back, Ok(3), "the visit and both of its aggregates");
    scene.sync(&engine);
    assert_eq!((archived(&scene, &engine), scene.stored()), (2, 3));
    scene.assert_balanced(&engine, 5);
}

#[test]
fn months_signed_out_by_a_true_clock_and_by_a_wrong_one_end_with_everything_on_the_server() {
    for clock_is_off_by_days in [0, 91, 4_000, -4_000] {
        let scene = scene();
        let engine = scene.worker_as(None);
        scene.record(&engine, 0..150);
        scene.world.sleep(91 * DAY_MS);
        scene.world.set_wall(UnixMillis(scene.world.wall().0 + clock_is_off_by_days * DAY_MS));
        scene.record(&engine, 150..300);
        scene.sync(&engine);
        assert_eq!(archived(&scene, &engine), 0);
        scene.world.run(engine.change_settings(|settings| settings.session = session("user-1"))).unwrap();
        // A sign-in comes first: the first attempts fail, and still nothing is withheld.
        sync_against(&scene, &engine, &refusal(403));
        assert_eq!((archived(&scene, &engine), scene.status(&engine).pending.total()), (0, 600));
        scene.world.sleep(2 * HOUR_MS);
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
        assert_eq!(scene.stored(), 600);
        scene.assert_balanced(&engine, 600);
    }
}

#[test]
fn neither_an_expired_login_nor_silence_nor_a_wrong_clock_sets_anything_aside() {
    for (fault, days_off) in [
        (refusal(401), 0),
        (NetworkFault::LostRequest, 0),
        (NetworkFault::Slow(60_000), 0),
        (refusal(403), 3),
        (refusal(403), -3),
    ] {
        let scene = scene();
        let engine = scene.worker();
        scene.record(&engine, 0..5);
        scene.world.set_wall(scene.world.wall() + Millis::from_days(days_off));
        for _ in 0..3 {
            sync_against(&scene, &engine, &fault);
            scene.world.sleep(91 * DAY_MS);
        }
        assert_eq!((archived(&scene, &engine), scene.rows_left()), (0, 10), "{fault:?} {days_off}");
        assert_eq!(scene.sync(&engine).outcome, Outcome::Complete);
    }
}

#[test]
fn nothing_is_set_aside_while_sends_succeed() {
    let scene = scene();
    let engine = scene.worker();
    scene.record(&engine, 0..300);
    for _ in 0..4 {
        // One batch is taken, then the server has enough.
        scene.network.faults.borrow_mut().push_back(None);
        sync_against(&scene, &engine, &refusal(403));
        scene.world.sleep(91 * DAY_MS);
        if scene.rows_left() == 0 {
            break;
        }
    }
    assert_eq!((archived(&scene, &engine), scene.stored()), (0, 600));
}

#[test]
fn the_archive_age_can_be_set() {
    let scene = scene();
    let engine = scene.worker();
    let week = Millis::from_days(7);
    scene.world.run(engine.change_settings(|settings| settings.policy.archive_after = week)).unwrap();
    scene.world.run(engine.record(records(0..2))).unwrap();
    sync_against(&scene, &engine, &refusal(403));
    scene.world.sleep(7 * DAY_MS);
    sync_against(&scene, &engine, &refusal(403));
    assert_eq!(archived(&scene, &engine), 4);
}
