//! What a comparison with the server says must be true, whenever it is made and whatever goes wrong with it.

use heyho_sync::decisions::reconcile::{Day, Reconciliation};
use heyho_sync::words::kind::{Kind, PerKind};
use serde_json::json;

use crate::model::{account_of, server_of};
use crate::referee;
use crate::run::Run;
use crate::scene::SERVER_URLS;
use crate::server::{Manner, RecordKey};
use crate::store::Medium;
use crate::world::End;

/// Of the records at a server every so many are lost there in the end.
const LOSES_ONE_IN: usize = 9;

fn sum(found: &Reconciliation, of: fn(&Day) -> PerKind<u64>) -> PerKind<u64> {
    let mut sum = PerKind::default();
    for day in found.days.iter().map(of) {
        for kind in Kind::ALL {
            *sum.of_mut(kind) += day.of(kind);
        }
    }
    sum
}

impl<M: Medium> Run<M> {
    /// Compares with the server, which has lost nothing so far. The worker may die of it after so many polls.
    pub(crate) async fn compare(&mut self, polls: u64) {
        match self.scene.world.live_for(self.engine.reconcile(), polls).await {
            End::Died => {
                self.scene.network.forget_waits();
                self.model.fired("death in a comparison");
                self.restart().await;
            }
            End::Finished(Ok(found)) => {
                assert!(found.days.is_empty(), "what is there is called missing: {found:?}");
                assert!(found.compared.total() <= found.acknowledged.total(), "{found:?}");
                if found.is_all_there() {
                    assert_eq!(found.compared, found.acknowledged, "a receipt is missing");
                    self.model.fired("compared");
                }
            }
            End::Finished(Err(_)) => {}
        }
    }

    /// At the end a server loses records behind the client's back, and gets them back.
    pub(crate) async fn lose_and_compare(&mut self) {
        let Some(owner) = self.model.owner else { return };
        // The longest wait is over: a date is as far away as a wrong clock makes it.
        self.scene.world.sleep(2 * 86_400_000);
        let held = referee::everywhere(&self.scene).await;
        let account = account_of(owner);
        {
            let mut server =
                self.scene.network.server_at(SERVER_URLS[server_of(owner) as usize]).borrow_mut();
            if server.manner == Manner::Published {
                return;
            }
            server.abilities = Some(json!({ "preflight": { "max_ids": 1000 } }));
        }
        self.compare(u64::MAX).await;
        let network = self.scene.network.clone();
        let server = network.server_at(SERVER_URLS[server_of(owner) as usize]);
        let mut gone = Vec::new();
        let mut lost = PerKind::<u64>::default();
        {
            let mut server = server.borrow_mut();
            let rows = server.stored.entry(account.clone()).or_default();
            // What the client holds in any form may not have been acknowledged to it.
            let certain = rows.keys().filter(|key| !held.contains(*key));
            let losing: Vec<RecordKey> = certain.step_by(LOSES_ONE_IN).cloned().collect();
            for key in losing {
                gone.extend(rows.remove_entry(&key));
                let kind = if key.0 == 'v' { Kind::PageVisit } else { Kind::TabAggregate };
                *lost.of_mut(kind) += 1;
            }
        }
        let found = self.scene.world.live(self.engine.reconcile()).await.expect("a disk that works");
        assert_eq!(found.reason, None, "{found:?}");
        let missing = sum(&found, |day| day.missing);
        for kind in Kind::ALL {
            // Each acknowledged revision of a lost record is missing.
            let (missing, lost) = (*missing.of(kind), *lost.of(kind));
            assert!(lost <= missing && (lost > 0 || missing == 0), "{lost} of {kind:?} are lost: {found:?}");
        }
        assert_eq!(sum(&found, |day| day.older).total(), 0, "{found:?}");
        if lost.total() > 0 {
            self.model.fired("loss found out");
        }
        server.borrow_mut().stored.entry(account).or_default().extend(gone);
        self.compare(u64::MAX).await;
    }
}
