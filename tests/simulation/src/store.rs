//! A store with a disk's ways: it takes time, and it fails when it is told to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::ports::store::{Answer, Change, Decide, Pending, Query, Row, Store, StoreError, Table};
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

/// The real store beneath the disk.
pub trait Medium: Store<Body: 'static> + Sized + 'static {
    /// The connection of a new worker.
    fn connect(self: &Rc<Self>) -> Rc<Self>;
}

impl Medium for MemoryStore {
    fn connect(self: &Rc<Self>) -> Rc<Self> {
        Rc::clone(self)
    }
}

#[derive(Debug)]
pub struct Disk<M = MemoryStore> {
    pub memory: Rc<M>,
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
    /// The last place of each epoch that was ever taken in an outbox.
    pub last_places: RefCell<BTreeMap<(Table, u32), RowKey>>,
}

impl Disk {
    pub fn new() -> Rc<Self> {
        Self::over(Rc::default())
    }
}

impl<M: Medium> Disk<M> {
    pub fn over(memory: Rc<M>) -> Rc<Self> {
        Rc::new(Self {
            memory,
            faults: RefCell::default(),
            read_faults: RefCell::default(),
            fired: RefCell::default(),
            most_rows_read: Cell::default(),
            unreadable: RefCell::default(),
            broken: Cell::new(false),
            last_places: RefCell::default(),
        })
    }

    fn count_rows(&self, answers: &[Answer<M::Body>]) {
        let of = |answer: &Answer<M::Body>| if let Answer::Rows(rows) = answer { rows.len() } else { 0 };
        self.most_rows_read.set(self.most_rows_read.get().max(answers.iter().map(of).sum()));
    }

    // What `Change::Insert` asks for: rows of an outbox come behind all others of their epoch.
    fn note_places(&self, mut taken: Vec<(Table, RowKey)>) {
        taken.sort_unstable();
        let mut last_places = self.last_places.borrow_mut();
        for (table, key) in taken {
            let before = last_places.insert((table, key.epoch()), key);
            assert!(before.is_none_or(|before| before < key), "a row comes before one that was there");
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.get() { Err(StoreError::Broken("UnknownError".into())) } else { Ok(()) }
    }

    /// Every row of a table, for a referee.
    pub async fn rows(&self, table: Table) -> Vec<Row<M::Body>> {
        let query = Query::Rows { table, range: KeyRange::everything(), limit: usize::MAX };
        let answers = self.memory.read(&[query]).await.expect("the referee reads a whole disk");
        answers.into_iter().flat_map(Answer::rows).collect()
    }

    // Queries of rows, some of which can't be read, ask for all, and are cut afterwards.
    fn asked(&self, queries: &[Query]) -> Option<Vec<Query>> {
        let all = |query: &Query| match query {
            Query::Rows { table, range, .. } => {
                Query::Rows { table: *table, range: *range, limit: usize::MAX }
            }
            other => other.clone(),
        };
        (!self.unreadable.borrow().is_empty()).then(|| queries.iter().map(all).collect())
    }

    // Without the rows that can't be read, as many as were asked for.
    fn readable(&self, queries: &[Query], mut answers: Vec<Answer<M::Body>>) -> Vec<Answer<M::Body>> {
        let unreadable = self.unreadable.borrow();
        if unreadable.is_empty() {
            return answers;
        }
        for (query, answer) in queries.iter().zip(&mut answers) {
            let (Query::Rows { table, .. } | Query::Revisions { table, .. } | Query::Last { table, .. }) =
                query
            else {
                continue;
            };
            if let Answer::Rows(rows) = answer {
                rows.retain(|row| !unreadable.contains(&(*table, row.key)));
                if let Query::Rows { limit, .. } = query {
                    rows.truncate(*limit);
                }
            }
        }
        answers
    }
}

fn place_in_outbox<B>(change: &Change<B>) -> Option<(Table, RowKey)> {
    match change {
        Change::Insert(table @ Table::Outbox(_), row) => Some((*table, row.key)),
        _ => None,
    }
}

/// A worker's connection to the disk.
#[derive(Debug)]
pub struct DiskStore<M = MemoryStore> {
    pub world: Rc<World>,
    pub disk: Rc<Disk<M>>,
    pub connection: Rc<M>,
}

impl<M: Medium> Store for DiskStore<M> {
    type Body = M::Body;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<M::Body>>> {
        Box::pin(async move {
            self.world.pass(1).await;
            if let Some(error) = self.disk.read_faults.borrow_mut().pop_front().flatten() {
                self.disk.fired.borrow_mut().push("read fails");
                return Err(error);
            }
            self.disk.check()?;
            let asked = self.disk.asked(queries);
            let found = self.connection.read(asked.as_deref().unwrap_or(queries));
            let found = self.world.really(found).await.map(|answers| self.disk.readable(queries, answers));
            self.disk.count_rows(found.as_deref().unwrap_or_default());
            self.world.pass(0).await;
            found
        })
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, M::Body>) -> Pending<'a, ()> {
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
            let asked = self.disk.asked(queries);
            let mut taken = Vec::new();
            let mut decide = |found| {
                let changes = decide(self.disk.readable(queries, found))?;
                taken = changes.iter().filter_map(place_in_outbox).collect();
                Some(changes)
            };
            let transaction = self.connection.transact(asked.as_deref().unwrap_or(queries), &mut decide);
            let result = self.world.really(transaction).await;
            if result.is_ok() {
                self.disk.note_places(taken);
            }
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
