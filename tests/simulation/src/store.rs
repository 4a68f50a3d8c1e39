//! The in-memory store with a disk's ways: it takes time, and it fails when it is told to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::ports::store::{Answer, Decide, Pending, Query, Row, Store, StoreError, Table};
use heyho_sync::words::key::{KeyRange, RowKey};

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
    /// The most rows that one transaction has read.
    pub most_rows_read: Cell<usize>,
    /// Rows whose keys are there, and nothing else that can be read.
    pub unreadable: RefCell<BTreeSet<(Table, RowKey)>>,
    /// Nothing works before the next rebuilding.
    pub broken: Cell<bool>,
}

impl Disk {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            memory: MemoryStore::default(),
            faults: RefCell::default(),
            read_faults: RefCell::default(),
            fired: RefCell::default(),
            most_rows_read: Cell::default(),
            unreadable: RefCell::default(),
            broken: Cell::new(false),
        })
    }

    fn count_rows<'a>(&self, answers: impl Iterator<Item = &'a Answer<String>>) {
        let rows = answers.map(|answer| if let Answer::Rows(rows) = answer { rows.len() } else { 0 }).sum();
        self.most_rows_read.set(self.most_rows_read.get().max(rows));
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.get() { Err(StoreError::Broken("UnknownError".into())) } else { Ok(()) }
    }

    // Without the rows that can't be read, as many as were asked for.
    fn readable(&self, queries: &[Query], answers: Vec<Answer<String>>) -> Vec<Answer<String>> {
        let unreadable = self.unreadable.borrow();
        let all = |table| self.memory.rows(table).into_iter();
        let within = |table, range: &KeyRange, row: &Row<String>| {
            range.contains(row.key) && !unreadable.contains(&(table, row.key))
        };
        let replaced = queries.iter().zip(answers).map(|(query, answer)| match (query, answer) {
            (Query::Rows { table, range, limit }, _) if !unreadable.is_empty() => {
                Answer::Rows(all(*table).filter(|row| within(*table, range, row)).take(*limit).collect())
            }
            (Query::Revisions { table, .. } | Query::Last { table, .. }, Answer::Rows(rows)) => {
                let everywhere = KeyRange::everything();
                Answer::Rows(rows.into_iter().filter(|row| within(*table, &everywhere, row)).collect())
            }
            (_, answer) => answer,
        });
        replaced.collect()
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
            self.disk.check()?;
            let found = self.disk.memory.read(queries).await;
            self.disk.count_rows(found.iter().flatten());
            self.world.pass(0).await;
            found.map(|answers| self.disk.readable(queries, answers))
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
            self.disk.check()?;
            let found = self.disk.memory.read(queries).await?;
            let mut decided = decide(self.disk.readable(queries, found));
            let result = self.disk.memory.transact(&[], &mut |_| decided.take()).await;
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

    fn rebuild(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.world.pass(1).await;
            self.disk.broken.set(false);
            Ok(())
        })
    }
}
