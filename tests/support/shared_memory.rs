//! A memory store that several handles look at, as several contexts look at one database.

use std::rc::Rc;

use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::ports::store::{Answer, Change, Query, Store, StoreError};

#[derive(Clone, Default)]
pub struct SharedMemory(Rc<MemoryStore>);

impl Store for SharedMemory {
    type Body = String;

    async fn read(&self, queries: &[Query]) -> Result<Vec<Answer<String>>, StoreError> {
        self.0.read(queries).await
    }

    async fn update<T, E: From<StoreError>>(
        &self,
        queries: &[Query],
        decide: impl FnOnce(Vec<Answer<String>>) -> Result<(Vec<Change<String>>, T), E>,
    ) -> Result<T, E> {
        self.0.update(queries, decide).await
    }
}
