//! The in-memory store with a disk's ways: it takes time, and it fails when it is told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::ports::store::{Answer, Decide, Pending, Query, Store, StoreError};

use crate::world::World;

/// What goes wrong with one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageFault {
    /// Nothing.
    None,
    /// It fails, and nothing is written.
    Fails(StoreError),
    /// It is written, and told as failed all the same.
    FailsAfterCommit(StoreError),
}

#[derive(Debug)]
pub struct Disk {
    pub memory: MemoryStore,
    /// Faults of the writes to come; none where it is empty.
    pub faults: RefCell<VecDeque<StorageFault>>,
    /// Faults of the reads to come.
    pub read_faults: RefCell<VecDeque<Option<StoreError>>>,
    /// Faults that fired.
    pub fired: RefCell<Vec<&'static str>>,
}

impl Disk {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            memory: MemoryStore::default(),
            faults: RefCell::default(),
            read_faults: RefCell::default(),
            fired: RefCell::default(),
        })
    }
}

/// A worker's connection to the disk.
#[derive(Debug, Clone)]
pub struct DiskStore {
    pub world: Rc<World>,
    pub disk: Rc<Disk>,
}

impl Store for DiskStore {
    type Body = String;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<String>>> {
        Box::pin(async move {
            self.world.pass(1).await;
            if let Some(error) = self.disk.read_faults.borrow_mut().pop_front().flatten() {
                self.disk.fired.borrow_mut().push("read fails");
                return Err(error);
            }
            let found = self.disk.memory.read(queries).await;
            self.world.pass(0).await;
            found
        })
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, String>) -> Pending<'a, ()> {
        Box::pin(async move {
            self.world.pass(1).await;
            let fault = self.disk.faults.borrow_mut().pop_front().unwrap_or(StorageFault::None);
            if let StorageFault::Fails(error) = fault {
                self.world.disk_failed.set(true);
                self.disk.fired.borrow_mut().push(match error {
                    StoreError::QuotaExceeded => "write: no space",
                    StoreError::Closed => "write: connection closed",
                    _ => "write fails",
                });
                return Err(error);
            }
            let result = self.disk.memory.transact(queries, decide).await;
            self.world.pass(0).await;
            match fault {
                StorageFault::FailsAfterCommit(error) if result.is_ok() => {
                    self.disk.fired.borrow_mut().push("write told as failed");
                    Err(error)
                }
                _ => result,
            }
        })
    }
}
