//! The extension's side: one lock for all workers of a database, and the one-shot alarm.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use heyho_sync::ports::host::Host;
use heyho_sync::words::time::UnixMillis;

use crate::world::World;

/// What outlives a worker: the browser.
#[derive(Debug, Default)]
pub struct Browser {
    locked: Rc<Cell<bool>>,
    pub alarm: Cell<Option<UnixMillis>>,
    /// Every arming, for a referee.
    pub armed: RefCell<Vec<Option<UnixMillis>>>,
}

#[derive(Debug, Clone)]
pub struct SimulatedHost {
    pub world: Rc<World>,
    pub browser: Rc<Browser>,
}

#[derive(Debug)]
pub struct HeldLock(Rc<Cell<bool>>);

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Host for SimulatedHost {
    type Lock = HeldLock;

    async fn try_lock(&self) -> Option<HeldLock> {
        self.world.pass(0).await;
        let free = !self.browser.locked.replace(true);
        free.then(|| HeldLock(Rc::clone(&self.browser.locked)))
    }

    fn arm_retry(&self, at: Option<UnixMillis>) {
        self.browser.alarm.set(at);
        self.browser.armed.borrow_mut().push(at);
    }

    fn changed(&self) {}
}
