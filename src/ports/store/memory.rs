//! The store of native tests and the simulation: the same promises, without a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Answer, Change, Decide, Document, Pending, Query, Row, Store, StoreError, Table};
use crate::words::hash::HashMap;
use crate::words::key::{KeyRange, RowKey};

/// Tables and documents in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: RefCell<Content>,
}

#[derive(Debug, Default)]
struct Content {
    documents: BTreeMap<Document, String>,
    tables: BTreeMap<Table, BTreeMap<RowKey, Row<Rc<str>>>>,
    /// Where the rows of an id are, in order.
    by_id: BTreeMap<Table, HashMap<String, Vec<RowKey>>>,
}

impl Content {
    fn answer(&self, query: &Query) -> Answer<Rc<str>> {
        let rows = |table: &Table| self.tables.get(table);
        let keys = |table: &Table, id: &str| {
            self.by_id
                .get(table)
                .and_then(|ids| ids.get(id))
                .into_iter()
                .flatten()
                .copied()
                .collect::<Vec<_>>()
        };
        match query {
            Query::Document(document) => Answer::Document(self.documents.get(document).cloned()),
            Query::Rows { table, range, limit } => {
                let found = rows(table).into_iter().flat_map(|rows| rows.range(range.from..range.to));
                Answer::Rows(found.take(*limit).map(|(_, row)| row.clone()).collect())
            }
            Query::Last { table, range } => {
                let found = rows(table).and_then(|rows| rows.range(range.from..range.to).next_back());
                Answer::Rows(found.map(|(_, row)| row.clone()).into_iter().collect())
            }
            Query::Keys { table, range, limit } => {
                let found = rows(table).into_iter().flat_map(|rows| rows.range(range.from..range.to));
                Answer::Keys(found.take(*limit).map(|(key, _)| *key).collect())
            }
            Query::Revisions { table, id } => {
                let row = |key| rows(table).and_then(|rows| rows.get(&key)).cloned();
                Answer::Rows(keys(table, id).into_iter().filter_map(row).collect())
            }
            Query::Referring { table, id } => {
                let all = rows(table).into_iter().flat_map(BTreeMap::values);
                Answer::Rows(all.filter(|row| row.head.refers_to.as_ref() == Some(id)).cloned().collect())
            }
            Query::KeysOf { table, id } => Answer::Keys(keys(table, id)),
        }
    }

    // Checked before anything is applied, so that a refused change leaves nothing behind.
    fn check(&self, changes: &[Change<Rc<str>>]) -> Result<(), StoreError> {
        let mut added = BTreeSet::<(Table, RowKey)>::new();
        let mut deleted = Vec::<(Table, KeyRange)>::new();
        for change in changes {
            match change {
                Change::Insert(table, row) => {
                    let stored = self.tables.get(table).is_some_and(|rows| rows.contains_key(&row.key));
                    let gone = deleted.iter().any(|(from, range)| from == table && range.contains(row.key));
                    if (stored && !gone) || !added.insert((*table, row.key)) {
                        return Err(StoreError::Failed("ConstraintError".into()));
                    }
                }
                Change::Delete(table, range) => {
                    added.retain(|(to, key)| to != table || !range.contains(*key));
                    deleted.push((*table, *range));
                }
                Change::Write(..) | Change::Erase(_) => {}
            }
        }
        Ok(())
    }

    fn apply_all(&mut self, changes: Vec<Change<Rc<str>>>) -> Result<(), StoreError> {
        self.check(&changes)?;
        changes.into_iter().for_each(|change| self.apply(change));
        Ok(())
    }

    fn apply(&mut self, change: Change<Rc<str>>) {
        match change {
            Change::Write(document, text) => {
                self.documents.insert(document, text);
            }
            Change::Erase(document) => {
                self.documents.remove(&document);
            }
            Change::Insert(table, row) => {
                let ids = self.by_id.entry(table).or_default();
                let keys = ids.entry(row.head.id.clone()).or_insert_with(|| Vec::with_capacity(1));
                keys.insert(keys.partition_point(|key| *key < row.key), row.key);
                self.tables.entry(table).or_default().insert(row.key, row);
            }
            Change::Delete(table, range) => {
                let Some(rows) = self.tables.get_mut(&table).filter(|_| range.from < range.to) else {
                    return;
                };
                let ids = self.by_id.entry(table).or_default();
                for (key, row) in rows.extract_if(range.from..range.to, |_, _| true) {
                    if let Some(keys) = ids.get_mut(&row.head.id) {
                        keys.retain(|other| *other != key);
                        if keys.is_empty() {
                            ids.remove(&row.head.id);
                        }
                    }
                }
            }
        }
    }
}

impl MemoryStore {
    /// Every row of a table, for a referee.
    pub fn rows(&self, table: Table) -> Vec<Row<Rc<str>>> {
        self.content
            .borrow()
            .tables
            .get(&table)
            .map(|rows| rows.values().cloned().collect())
            .unwrap_or_default()
    }
}

impl Store for MemoryStore {
    type Body = Rc<str>;

    fn read<'a>(&'a self, queries: &'a [Query]) -> Pending<'a, Vec<Answer<Rc<str>>>> {
        Box::pin(async move {
            let content = self.content.borrow();
            Ok(queries.iter().map(|query| content.answer(query)).collect())
        })
    }

    fn transact<'a>(&'a self, queries: &'a [Query], decide: Decide<'a, Rc<str>>) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut content = self.content.borrow_mut();
            let decided = decide(queries.iter().map(|query| content.answer(query)).collect());
            decided.map_or(Ok(()), |changes| content.apply_all(changes))
        })
    }
}
