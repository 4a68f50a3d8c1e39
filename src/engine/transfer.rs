//! Records to and from a file: NDJSON, one
//! `{"kind": "page_visit" | "tab_aggregate", "owner": {"origin", "account"} | null, "record": {...}}` a line.
//!
//! A record keeps its owner on the way (rule 10); null is nobody, and a line without one is whoever's that imports it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::record::Recorded;
use super::{Engine, EngineError};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Body, Row, Store, Table};
use crate::ports::transport::Transport;
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;

/// Lines of one transaction: memory stays bounded, and an import that is interrupted can be repeated.
const LINES_AT_ONCE: usize = 500;

/// A piece of an export ends behind the record that makes it as long as this: far below the 64 MB of one message.
const PIECE_BYTES: usize = 1 << 20;

/// What an export holds, in its order: visits before what refers to them.
const EXPORTED: [Table; 4] =
    [Table::Outbox(Kind::PageVisit), Table::Outbox(Kind::TabAggregate), Table::Quarantine, Table::Archive];

/// Where an export goes on; travels as a text that only [`Bookmark::from_str`] understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    table: usize,
    from: RowKey,
}

impl Default for Bookmark {
    fn default() -> Self {
        Self { table: 0, from: KeyRange::everything().from }
    }
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.table, self.from.packed())
    }
}

impl FromStr for Bookmark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (table, from) = text.split_once(':').ok_or(())?;
        let from = from.parse().map_err(|_| ())?;
        Ok(Self { table: table.parse().map_err(|_| ())?, from: RowKey::from_packed(from) })
    }
}

/// A piece of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Whole lines. All pieces one behind the other are the document.
    pub text: String,
    /// Where the next piece begins; none at the end.
    pub next: Option<Bookmark>,
}

#[derive(Deserialize)]
struct Line<'a> {
    kind: Kind,
    #[serde(default, deserialize_with = "given")]
    owner: Option<Option<Owner>>,
    #[serde(borrow)]
    record: &'a RawValue,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Owner>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Records that are kept now, held already, or not to be recorded.
    #[serde(flatten)]
    pub recorded: Recorded,
    /// Lines that hold no record.
    pub refused: Vec<RefusedLine>,
    /// Lines that were read.
    #[serde(skip)]
    pub lines: usize,
}

/// A line that holds no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub code: &'static str,
    /// The field that is wrong, or nothing.
    pub field: String,
}

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Records what a file holds, of which this is the next piece, of whole lines; `imported` tells of those before.
    /// A bad line is told and stands in nobody's way; a line that is held already counts nowhere, so that the same file
    /// can be imported again, also where an import of it has died.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where the database fails; the lines before are kept then.
    pub async fn import(&self, piece: &str, imported: &mut Imported) -> Result<(), EngineError> {
        // Noted already where an earlier piece has come: nothing but records is to be written to a disk that is full.
        if !self.outbox.overview().await?.state.doubtful {
            self.outbox.note_doubt().await?;
        }
        let mut lines = Vec::new();
        for line in piece.lines() {
            imported.lines += 1;
            if !line.trim().is_empty() {
                lines.push((imported.lines, line));
            }
            if lines.len() == LINES_AT_ONCE {
                self.import_lines(&std::mem::take(&mut lines), imported).await?;
            }
        }
        self.import_lines(&lines, imported).await
    }

    // Line by line, as far as neighbours belong to the same owner together.
    async fn import_lines(
        &self,
        lines: &[(usize, &str)],
        imported: &mut Imported,
    ) -> Result<(), EngineError> {
        let mut texts = PerKind::<Vec<(usize, String)>>::default();
        let mut owner = None;
        for (number, line) in lines {
            match serde_json::from_str::<Line<'_>>(line) {
                Ok(line) => {
                    if line.owner != owner {
                        self.import_texts(owner, std::mem::take(&mut texts), imported).await?;
                        owner = line.owner;
                    }
                    texts.of_mut(line.kind).push((*number, line.record.get().to_owned()));
                }
                Err(_) => {
                    imported.refused.push(RefusedLine {
                        line: *number,
                        code: "not_a_record",
                        field: String::new(),
                    });
                }
            }
        }
        self.import_texts(owner, texts, imported).await
    }

    async fn import_texts(
        &self,
        owner: Option<Option<Owner>>,
        mut texts: PerKind<Vec<(usize, String)>>,
        imported: &mut Imported,
    ) -> Result<(), EngineError> {
        loop {
            let just_texts = |texts: &[(usize, String)]| texts.iter().map(|(_, text)| text.clone()).collect();
            let all = PerKind {
                page_visits: just_texts(&texts.page_visits),
                tab_aggregates: just_texts(&texts.tab_aggregates),
            };
            let (kind, index, code, field) = match self.record_of(owner.clone(), all).await {
                Ok(recorded) => {
                    imported.recorded.captured += recorded.captured;
                    imported.recorded.held_already += recorded.held_already;
                    imported.recorded.not_recorded += recorded.not_recorded;
                    return Ok(());
                }
                Err(EngineError::Record { kind, index, error }) => {
                    (kind, index, error.code(), error.field().to_owned())
                }
                Err(error) => return Err(error),
            };
            let (line, _) = texts.of_mut(kind).remove(index);
            imported.refused.push(RefusedLine { line, code, field });
        }
    }

    /// The records of this machine that are not on the server, of every owner: what waits, what is in quarantine, what
    /// is archived, each oldest first. A piece of a bounded size, which begins at `from`.
    ///
    /// What goes to another place between two pieces may stand in the document twice; what is put back then may be
    /// missing in it, and is here.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where the database fails.
    pub async fn export(&self, from: Bookmark) -> Result<Exported, EngineError> {
        let books = self.outbox.overview().await?.books;
        let owner_of = |epoch: u32| {
            let epoch = books.epochs().iter().find(|each| each.number == epoch);
            epoch.and_then(|epoch| serde_json::to_string(&epoch.owner).ok())
        };
        let (mut at, mut text) = (from, String::new());
        let mut owner = (0, None);
        while let Some(table) = EXPORTED.get(at.table) {
            let range = KeyRange { from: at.from, ..KeyRange::everything() };
            let rows = self.outbox.page(*table, range, LINES_AT_ONCE).await?;
            for row in &rows {
                if owner.0 != row.key.epoch() {
                    owner = (row.key.epoch(), owner_of(row.key.epoch()));
                }
                text.push_str(&line_of(row, owner.1.as_deref()));
                at.from = row.key.next();
                if text.len() >= PIECE_BYTES {
                    return Ok(Exported { text, next: Some(at) });
                }
            }
            if rows.len() == LINES_AT_ONCE {
                return Ok(Exported { text, next: Some(at) });
            }
            at = Bookmark { table: at.table + 1, ..Bookmark::default() };
        }
        Ok(Exported { text, next: None })
    }
}

fn line_of<B: Body>(row: &Row<B>, owner: Option<&str>) -> String {
    let kind = match row.head.kind {
        Kind::PageVisit => "page_visit",
        Kind::TabAggregate => "tab_aggregate",
    };
    let owner = owner.unwrap_or("null");
    format!("{{\"kind\":\"{kind}\",\"owner\":{owner},\"record\":{}}}\n", row.body.text())
}
