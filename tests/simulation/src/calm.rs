//! The end of a run: no more faults, and everybody syncs.

use heyho_sync::words::policy::{LONGEST_BACKOFF, Policy};
use heyho_sync::words::time::Millis;

use crate::run::Run;
use crate::store::Medium;

/// A worker that lives on has sent everything that is good after so many alarms.
const ALARMS_ENOUGH: u32 = 6;

impl<M: Medium> Run<M> {
    fn stop_faults(&self) {
        self.scene.network.faults.take();
        self.scene.network.question_faults.take();
        self.scene.disk.faults.take();
        self.scene.disk.read_faults.take();
    }

    // The faults stop, and the last worker lives on. Where nothing is bad, a few of its alarms are enough for everything,
    // and none is further away than the longest wait, a server's or our own.
    async fn live_on(&mut self) {
        self.stop_faults();
        for server in self.scene.network.servers() {
            let mut server = server.borrow_mut();
            let ended = std::mem::take(&mut server.ended);
            server.tokens.extend(ended);
        }
        if (self.model.paused, self.model.consent_withdrawn) != (false, false) {
            (self.model.paused, self.model.consent_withdrawn) = (false, false);
            self.apply_settings().await;
        }
        self.publish_rules();
        let asked = self.scene.network.longest_wait_ms.get();
        let most = Millis((asked + (asked / 10).max(5_000)).max(LONGEST_BACKOFF.0 * 3 / 2));
        let all_good = self.model.known.values().all(|known| !known.poison);
        for _ in 0..ALARMS_ENOUGH {
            self.sync(false, u64::MAX).await;
            let pending = self.status().await.pending.total();
            let Some(at) = self.scene.browser.alarm.get().filter(|_| pending > 0) else {
                self.model.fired("worker lives on");
                return;
            };
            let wait = at.since(self.scene.world.wall());
            assert!(wait <= most, "{pending} wait for an alarm in {wait:?}, longer than anybody asked for");
            self.scene.world.sleep(wait.0);
        }
        assert!(!all_good, "nothing is wrong any more, and records still wait after {ALARMS_ENOUGH} alarms");
    }

    // The faults stop, the archive is restored in every other run, and everybody syncs until nothing more moves.
    pub(crate) async fn calm_down(&mut self) {
        if self.model.lives_on && self.model.owner.is_some() {
            self.live_on().await;
        }
        for server in self.scene.network.servers() {
            server.borrow_mut().max_records = 100;
        }
        self.stop_faults();
        (self.model.paused, self.model.consent_withdrawn) = (false, false);
        self.policy.archive_after = Policy::default().archive_after;
        self.restart().await;
        if self.serial.is_multiple_of(2) {
            self.restore_archive(0).await;
        }
        for owner in self.model.owners_seen.clone() {
            self.sign_in(owner);
            self.apply_settings().await;
            let mut before = u64::MAX;
            let mut unmoved = 0;
            while unmoved < 12 {
                self.scene.world.sleep(90_000_000);
                self.sync(false, u64::MAX).await;
                let left = self.status().await.pending.total();
                if left == 0 {
                    break;
                }
                unmoved = if left < before { 0 } else { unmoved + 1 };
                before = left;
            }
        }
    }
}
