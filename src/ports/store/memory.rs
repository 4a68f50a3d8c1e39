//! The store of native tests and the simulation: the same promises, without a disk.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Answer, Change, Document, Query, Row, Store, StoreError, Table};
use crate::words::key::RowKey;

/// Tables and documents in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: RefCell<Content>,
}

#[derive(Debug, Default)]
struct Content {
    documents: BTreeMap<Document, String>,
    tables: BTreeMap<Table, BTreeMap<RowKey, Row<String>>>,
}

impl Content {
    fn answer(&self, query: &Query) -> Answer<String> {
        let rows = |table| self.tables.get(table).into_iter().flatten();
        match query {
            Query::Document(document) => Answer::Document(self.documents.get(document).cloned()),
            Query::Rows { table, range, limit } => Answer::Rows(
                self.tables
                    .get(table)
                    .map(|rows| {
                        rows.range(range.from..range.to).take(*limit).map(|(_, row)| row.clone()).collect()
                    })
                    .unwrap_or_default(),
            ),
            Query::Keys { table, range, limit } => Answer::Keys(
                self.tables
                    .get(table)
                    .map(|rows| rows.range(range.from..range.to).take(*limit).map(|(key, _)| *key).collect())
                    .unwrap_or_default(),
            ),
            Query::Revisions { table, id } => Answer::Rows(
                rows(table).filter(|(_, row)| row.head.id == *id).map(|(_, row)| row.clone()).collect(),
            ),
            Query::KeysOf { table, id } => {
                Answer::Keys(rows(table).filter(|(_, row)| row.head.id == *id).map(|(key, _)| *key).collect())
            }
        }
    }

    // Checked before anything is applied, so that a refused change leaves nothing behind.
    fn check(&self, changes: &[Change<String>]) -> Result<(), StoreError> {
        let taken =
            |table, row: &Row<String>| self.tables.get(table).is_some_and(|rows| rows.contains_key(&row.key));
        let refused =
            changes.iter().any(|change| matches!(change, Change::Insert(table, row) if taken(table, row)));
        if refused { Err(StoreError::Failed("ConstraintError".into())) } else { Ok(()) }
    }

    fn apply(&mut self, change: Change<String>) {
        match change {
            Change::Write(document, text) => {
                self.documents.insert(document, text);
            }
            Change::Erase(document) => {
                self.documents.remove(&document);
            }
            Change::Insert(table, row) => {
                self.tables.entry(table).or_default().insert(row.key, row);
            }
            Change::Delete(table, range) => {
                let rows = self.tables.entry(table).or_default();
                let mut behind = rows.split_off(&range.from);
                rows.append(&mut behind.split_off(&range.to));
            }
        }
    }
}

impl MemoryStore {
    /// Every row of a table, for a referee.
    pub fn rows(&self, table: Table) -> Vec<Row<String>> {
        self.content
            .borrow()
            .tables
            .get(&table)
            .map(|rows| rows.values().cloned().collect())
            .unwrap_or_default()
    }
}

impl Store for MemoryStore {
    type Body = String;

    async fn read(&self, queries: &[Query]) -> Result<Vec<Answer<String>>, StoreError> {
        let content = self.content.borrow();
        Ok(queries.iter().map(|query| content.answer(query)).collect())
    }

    async fn update<T, E: From<StoreError>>(
        &self,
        queries: &[Query],
        decide: impl FnOnce(Vec<Answer<String>>) -> Result<(Vec<Change<String>>, T), E>,
    ) -> Result<T, E> {
        let mut content = self.content.borrow_mut();
        let (changes, result) = decide(queries.iter().map(|query| content.answer(query)).collect())?;
        content.check(&changes)?;
        for change in changes {
            content.apply(change);
        }
        Ok(result)
    }
}
