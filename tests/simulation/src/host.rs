//! The extension's side: one lock for all workers of a database, and the one-shot alarm.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use heyho_sync::ports::host::Host;
use heyho_sync::words::time::UnixMillis;

use crate::world::World;

/// What outlives a worker: the browser.
#[derive(Debug, Default)]
pub struct Browser {
    holder: Cell<Option<u64>>,
    locks: Cell<u64>,
    pub alarm: Cell<Option<UnixMillis>>,
    /// Every arming, for a referee.
    pub armed: RefCell<Vec<Option<UnixMillis>>>,
    /// The mirror of the books.
    pub mirror: RefCell<Option<String>>,
}

impl Browser {
    /// An alarm that is due is gone: it wakes once.
    pub fn fire(&self, now: UnixMillis) {
        self.alarm.set(self.alarm.get().filter(|at| *at > now));
    }
}

#[derive(Debug, Clone)]
pub struct SimulatedHost {
    pub world: Rc<World>,
    pub browser: Rc<Browser>,
}

#[derive(Debug)]
pub struct HeldLock {
    browser: Rc<Browser>,
    mine: u64,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if self.browser.holder.get() == Some(self.mine) {
            self.browser.holder.set(None);
        }
    }
}

impl Host for SimulatedHost {
    type Lock = HeldLock;

    async fn try_lock(&self, steals: bool) -> Option<HeldLock> {
        self.world.pass(0).await;
        let holder = self.browser.holder.get();
        if holder.is_some() && !steals {
            return None;
        }
        let mine = self.browser.locks.get() + 1;
        self.browser.locks.set(mine);
        self.browser.holder.set(Some(mine));
        Some(HeldLock { browser: Rc::clone(&self.browser), mine })
    }

    fn arm_retry(&self, at: Option<UnixMillis>) {
        self.browser.alarm.set(at);
        self.browser.armed.borrow_mut().push(at);
    }

    async fn save_mirror(&self, text: String) {
        self.world.pass(0).await;
        *self.browser.mirror.borrow_mut() = Some(text);
    }

    async fn load_mirror(&self, _database_is_new: bool) -> Option<String> {
        self.world.pass(0).await;
        self.browser.mirror.borrow().clone()
    }

    fn changed(&self) {}
}
