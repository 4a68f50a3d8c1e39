//! Trouble on demand: what goes wrong beneath the engine, and what happens while it is at work.

use std::rc::Rc;

use heyho_sync::decisions::protocol::Answer;
use heyho_sync::engine::RunOptions;
use heyho_sync::ports::store::StoreError;

use crate::fault::{Flaw, NetworkFault};
use crate::model::{Somebody, server_of};
use crate::records::identities;
use crate::run::Run;
use crate::scene::join;
use crate::store::{Medium, StorageFault};
use crate::world::End;

impl<M: Medium> Run<M> {
    pub(crate) async fn sync_while_capturing(&mut self, units: u64, salt: u64, after_ms: i64) {
        let records = self.make_units(units, salt);
        let identities = identities(&records);
        self.model.syncs += 1;
        let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
        let capture = Box::pin(async {
            world.pass(after_ms).await;
            engine.capture(records).await
        });
        let sync = Box::pin(engine.sync(RunOptions::default()));
        let (_, kept) = self.scene.world.live(join(sync, capture)).await;
        self.model.captured(&identities, kept.ok().map(|recorded| recorded.captured));
        self.model.fired("capture during an upload");
    }

    pub(crate) async fn sync_while_switching(&mut self, to: Somebody, after_ms: i64) {
        self.model.syncs += 1;
        let other_server = server_of(to) != self.model.server;
        self.sign_in(to);
        let after = self.settings();
        let failed = {
            let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
            let switch = Box::pin(async {
                world.pass(after_ms).await;
                engine.change_settings(|settings| *settings = after).await
            });
            let sync = Box::pin(engine.sync(RunOptions::default()));
            self.scene.world.live(join(sync, switch)).await.1.is_err()
        };
        if failed {
            self.restart().await;
        }
        self.model.fired(match other_server {
            true => "server change during an upload",
            false => "account switch during an upload",
        });
    }

    pub(crate) async fn sync_while_excluding(&mut self, site: u64, after_ms: i64) {
        self.model.syncs += 1;
        self.model.excluded.insert(site);
        self.model.ever_excluded.insert(site);
        let after = self.settings();
        let forbidden = self.model.excluded_sites();
        let failed = {
            let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
            let network = &self.scene.network;
            let exclude = Box::pin(async {
                world.pass(after_ms).await;
                let changed = engine.change_settings(|settings| *settings = after).await;
                if changed.is_ok() {
                    *network.forbidden.borrow_mut() = forbidden;
                }
                changed
            });
            let sync = Box::pin(engine.sync(RunOptions::default()));
            self.scene.world.live(join(sync, exclude)).await.1.is_err()
        };
        if failed {
            self.restart().await;
        }
        self.model.fired("exclusion during an upload");
    }

    pub(crate) async fn two_syncers(&mut self) {
        self.model.syncs += 1;
        let other = self.scene.closed_worker();
        if self.scene.world.live(other.open(self.settings())).await.is_ok() {
            let one = Box::pin(self.engine.sync(RunOptions::default()));
            let two = Box::pin(other.sync(RunOptions::default()));
            let _ = self.scene.world.live(join(one, two)).await;
            self.model.fired("second syncer");
        }
    }

    pub(crate) async fn freeze(&mut self, polls: u64) {
        self.model.syncs += 2;
        let other = self.scene.closed_worker();
        let world = Rc::clone(&self.scene.world);
        {
            let mut frozen = Box::pin(self.engine.sync(RunOptions::default()));
            if matches!(world.live_pinned(frozen.as_mut(), polls).await, End::Finished(_)) {
                return;
            }
            let awaited = world.freeze();
            world.sleep(600_000);
            if world.live(other.open(self.settings())).await.is_ok() {
                let _ = world.live(other.sync(RunOptions::default())).await;
            }
            world.thaw(awaited);
            // What it was about to send when it froze goes out late; nobody can hold it back.
            self.model.very_late_requests = true;
            self.scene.network.forget_waits();
            let _ = world.live_pinned(frozen.as_mut(), u64::MAX).await;
            // Nor may an overtaken worker write down what wait it was asked for.
            self.scene.network.forget_waits();
        }
        self.model.fired("frozen syncer");
    }

    pub(crate) fn plan_disk_fault(&mut self, fault: u64, after: u64) {
        let mut faults = self.scene.disk.faults.borrow_mut();
        faults.extend((0..after).map(|_| StorageFault::None));
        faults.push_back(match fault {
            0 => StorageFault::Fails(StoreError::QuotaExceeded),
            1 => StorageFault::Fails(StoreError::Closed),
            2 => StorageFault::Fails(StoreError::Failed("AbortError".into())),
            _ => StorageFault::FailsAfterCommit(StoreError::Failed("AbortError".into())),
        });
    }

    pub(crate) async fn sync_while_comparing(&mut self, after_ms: i64) {
        self.model.syncs += 1;
        let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
        let compare = Box::pin(async {
            world.pass(after_ms).await;
            engine.reconcile().await
        });
        let sync = Box::pin(engine.sync(RunOptions::default()));
        let (_, found) = self.scene.world.live(join(sync, compare)).await;
        if let Ok(found) = found {
            assert!(found.days.is_empty(), "what is there is called missing: {found:?}");
        }
        self.model.fired("comparison during an upload");
    }

    pub(crate) fn plan_read_fault(&mut self, after: u64) {
        let mut faults = self.scene.disk.read_faults.borrow_mut();
        faults.extend((0..after).map(|_| None));
        faults.push_back(Some(StoreError::Closed));
    }

    pub(crate) fn plan_network_faults(&mut self, fault: u64, times: u64, after: u64) {
        let instead = NetworkFault::instead;
        let planned = match fault {
            0 => NetworkFault::LostRequest,
            1 => NetworkFault::LostAnswer,
            2 => NetworkFault::Slow(3_000),
            3 => NetworkFault::Slow(60_000),
            4 => instead(500, ""),
            5 => NetworkFault::Instead(Answer {
                status: 503,
                retry_after: Some("90".into()),
                ..Answer::default()
            }),
            6 => instead(429, r#"{"success":false,"retry_after":30}"#),
            7 => instead(200, "<html>Welcome to the hotel</html>"),
            8 => instead(302, ""),
            9 => instead(200, r#"{"success":false}"#),
            10 => NetworkFault::AnswerReplaced(Answer {
                status: 200,
                body: r#"{"success":true,"data":{"page_visits_synced":0,"tab_aggregates_synced":0}}"#.into(),
                ..Answer::default()
            }),
            11 => NetworkFault::AnswerCutOff,
            12 => instead(413, ""),
            13 => instead(401, ""),
            14 => instead(400, r#"{"success":false,"errors":[]}"#),
            _ => instead(204, ""),
        };
        if times == 4 {
            self.scene.network.question_faults.borrow_mut().push_back(Some(planned.clone()));
        }
        let mut faults = self.scene.network.faults.borrow_mut();
        faults.extend((0..after).map(|_| None));
        faults.extend((0..times).map(|_| Some(planned.clone())));
    }

    pub(crate) fn plan_answers(&mut self, status: u64, wait: u64, times: u64, after: u64) {
        let planned = wrong_answer(status, wait);
        let mut faults = self.scene.network.faults.borrow_mut();
        faults.extend((0..after).map(|_| None));
        faults.extend((0..times).map(|_| Some(planned.clone())));
    }

    pub(crate) fn plan_question_answers(&mut self, status: u64, wait: u64, times: u64) {
        // A question that is answered with 200 asks for no wait, whatever stands in it.
        let status = if STATUSES[status as usize % STATUSES.len()] == 200 { 0 } else { status };
        let planned = wrong_answer(status, wait);
        let mut faults = self.scene.network.question_faults.borrow_mut();
        faults.extend((0..times).map(|_| Some(planned.clone())));
    }

    pub(crate) fn plan_altered_answers(&mut self, flaw: u64, times: u64, after: u64) {
        let flaw = [Flaw::Stranger, Flaw::Doubled, Flaw::Exceeding][flaw as usize % 3];
        let mut faults = self.scene.network.faults.borrow_mut();
        faults.extend((0..after).map(|_| None));
        faults.extend((0..times).map(|_| Some(NetworkFault::AnswerAltered(flaw))));
    }
}

const STATUSES: [u16; 18] =
    [500, 502, 503, 504, 408, 425, 429, 400, 401, 403, 404, 405, 413, 415, 422, 302, 200, 204];

// An answer that is none of the server's, without a wait, or with one in any of its forms.
fn wrong_answer(status: u64, wait: u64) -> NetworkFault {
    let status = STATUSES[status as usize % STATUSES.len()];
    let secs = 20 + 25 * wait as i64;
    let body = match wait {
        2 => format!(r#"{{"success":false,"retry_after":{secs}}}"#),
        _ => r#"{"success":false}"#.into(),
    };
    let retry_after = (wait == 3).then(|| secs.to_string());
    let answer = Answer { status, redirected: status == 302, retry_after, body, ..Answer::default() };
    if wait > 3 { NetworkFault::InsteadUntil(answer, secs) } else { NetworkFault::Instead(answer) }
}
