//! A memory store that several handles look at, as several contexts look at one database.

use std::rc::Rc;

use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::ports::store::{Answer, Decide, Pending, Query, Store};

#[derive(Clone, Default)]
pub struct SharedMemory(Rc<MemoryStore>);

impl Store for SharedMemory {
    type Body = Rc<str>;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<Rc<str>>>> {
        self.0.read(queries)
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, Rc<str>>) -> Pending<'a, ()> {
        self.0.transact(queries, decide)
    }
}
