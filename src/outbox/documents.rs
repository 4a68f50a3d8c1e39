//! Books and the syncer's memory, read and written as texts.

use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{OutboxError, Overview};
use crate::decisions::ledger::Books;
use crate::decisions::sync_state::SyncState;
use crate::ports::store::{Answer, Change, Document};
use crate::words::document;

pub(super) fn parse<T: DeserializeOwned + Default>(
    document: Document,
    text: Option<String>,
) -> Result<T, OutboxError> {
    match text {
        Some(text) => document::read(&text).map_err(|_| OutboxError::Unreadable(document)),
        None => Ok(T::default()),
    }
}

/// What was last read or written of a document, beside its text: it is looked at more often than it changes.
#[derive(Default)]
struct Memo<T>(RefCell<(String, T)>);

impl<T: Clone + Default + Serialize + DeserializeOwned> Memo<T> {
    fn parse(&self, document: Document, text: Option<String>) -> Result<T, OutboxError> {
        let Some(text) = text else { return Ok(T::default()) };
        let mut known = self.0.borrow_mut();
        if known.0 != text {
            known.1 = parse(document, Some(text.clone()))?;
            known.0 = text;
        }
        Ok(known.1.clone())
    }

    fn write<B>(&self, document: Document, value: &T) -> Result<Change<B>, OutboxError> {
        let text = serde_json::to_string(value).map_err(|_| OutboxError::Unreadable(document))?;
        *self.0.borrow_mut() = (text.clone(), value.clone());
        Ok(Change::Write(document, text))
    }
}

/// The documents that every step of a sync reads and writes.
#[derive(Default)]
pub(super) struct Documents {
    books: Memo<Books>,
    state: Memo<SyncState>,
}

impl Documents {
    pub(super) fn books(&self, text: Option<String>) -> Result<Books, OutboxError> {
        self.books.parse(Document::Books, text)
    }

    pub(super) fn state(&self, text: Option<String>) -> Result<SyncState, OutboxError> {
        self.state.parse(Document::SyncState, text)
    }

    pub(super) fn overview<B>(
        &self,
        answers: &mut impl Iterator<Item = Answer<B>>,
    ) -> Result<Overview, OutboxError> {
        let mut next = || answers.next().and_then(Answer::document);
        let (books, state) = (next(), next());
        let is_new = books.is_none();
        Ok(Overview { books: self.books(books)?, state: self.state(state)?, is_new })
    }

    pub(super) fn write_books<B>(&self, books: &Books) -> Result<Change<B>, OutboxError> {
        self.books.write(Document::Books, books)
    }

    pub(super) fn write_state<B>(&self, state: &SyncState) -> Result<Change<B>, OutboxError> {
        self.state.write(Document::SyncState, state)
    }
}

// They name accounts.
impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Documents(..)")
    }
}
