//! Months in which a server answers and takes nothing, and what then lies in the archive.

use std::collections::VecDeque;

use heyho_sync::outbox::Aside;
use heyho_sync::ports::store::Table;
use heyho_sync::words::time::Millis;

use crate::fault::NetworkFault;
use crate::run::Run;
use crate::store::Medium;
use crate::world::START;

impl<M: Medium> Run<M> {
    /// For longer than the archive age whoever is signed in may not send, by a clock that is right.
    pub(crate) async fn refuse_for_months(&mut self) {
        let (world, network) = (self.scene.world.clone(), self.scene.network.clone());
        let before = self.scene.disk.rows(Table::Archive).await.len();
        let (dated, planned) = (network.tells_date.replace(true), network.faults.take());
        world.set_wall(START + Millis(world.monotonic()));
        network.forget_waits();
        self.model.may_archive = true;
        for days in [91, 0] {
            let refusals = (0..20).map(|_| Some(NetworkFault::instead(403, "")));
            network.faults.replace(refusals.collect::<VecDeque<_>>());
            self.sync(true, u64::MAX).await;
            world.sleep(days * 86_400_000);
        }
        network.faults.replace(planned);
        network.tells_date.set(dated);
        if self.scene.disk.rows(Table::Archive).await.len() > before {
            self.model.fired("refused for months");
        }
    }

    /// Archived records are sent after all, one with what belongs to it, or all.
    pub(crate) async fn restore_archive(&mut self, which: u64) {
        let ids = match which.is_multiple_of(2) {
            true => None,
            false => Some(self.one_aside(Aside::Archive, which).await),
        };
        let back = self.scene.world.live(self.engine.put_back(Aside::Archive, ids)).await;
        if back.is_ok_and(|back| back > 0) {
            self.model.fired("archive restored");
        }
    }

    /// An archived record is given up.
    pub(crate) async fn discard_archived(&mut self, which: u64) {
        let ids = self.one_aside(Aside::Archive, which).await;
        self.model.discarded_by_user |= !ids.is_empty();
        let gone = self.scene.world.live(self.engine.outbox().discard(Aside::Archive, ids)).await;
        if gone.is_ok_and(|gone| gone > 0) {
            self.model.fired("archive discarded");
        }
    }

    // The id of one record of a place, if it holds any.
    async fn one_aside(&self, aside: Aside, which: u64) -> Vec<String> {
        let rows = self.scene.world.live(self.engine.outbox().list(aside)).await.unwrap_or_default();
        let row = rows.get(which as usize % rows.len().max(1));
        row.map(|row| row.head.id.clone()).into_iter().collect()
    }
}
