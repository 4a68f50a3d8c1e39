//! Records to and from a file: NDJSON, one
//! `{"kind": "page_visit" | "tab_aggregate", "owner": {"origin", "account"} | null, "record": {...}}` a line.
//!
//! A record keeps its owner on the way (rule 10); null is nobody, and a line without one is whoever's that imports it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::record::Recorded;
use super::{Engine, EngineError};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Body, Row, Store, Table};
use crate::ports::transport::Transport;
use crate::words::key::KeyRange;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;

/// Lines of one transaction: memory stays bounded, and an import that is interrupted can be repeated.
const LINES_AT_ONCE: usize = 500;

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
    /// Records what a file holds. A bad line is told and stands in nobody's way; a line that is held already counts
    /// nowhere, so that the same file can be imported again.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where the database fails; the lines before are kept then.
    pub async fn import(&self, ndjson: &str) -> Result<Imported, EngineError> {
        let mut imported = Imported::default();
        self.outbox.note_doubt().await?;
        let lines: Vec<(usize, &str)> =
            (1..).zip(ndjson.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
        for some in lines.chunks(LINES_AT_ONCE) {
            self.import_lines(some, &mut imported).await?;
        }
        Ok(imported)
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

    /// Every record of this machine that is not on the server, of every owner, oldest first: what waits, what is in
    /// quarantine, what is archived. In pieces of a bounded size, each of whole lines.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where the database fails.
    pub async fn export(&self) -> Result<Vec<String>, EngineError> {
        let mut pieces = Vec::new();
        let books = self.outbox.overview().await?.books;
        let owner_of = |epoch: u32| {
            let epoch = books.epochs().iter().find(|each| each.number == epoch);
            epoch.and_then(|epoch| serde_json::to_string(&epoch.owner).ok())
        };
        for table in [
            Table::Outbox(Kind::PageVisit),
            Table::Outbox(Kind::TabAggregate),
            Table::Quarantine,
            Table::Archive,
        ] {
            let mut range = KeyRange::everything();
            loop {
                let rows = self.outbox.page(table, range, LINES_AT_ONCE).await?;
                let Some(last) = rows.last() else { break };
                range.from = last.key.next();
                let mut owner = (0, None);
                let mut piece = String::new();
                for row in &rows {
                    if owner.0 != row.key.epoch() {
                        owner = (row.key.epoch(), owner_of(row.key.epoch()));
                    }
                    piece.push_str(&line_of(row, owner.1.as_deref()));
                }
                pieces.push(piece);
            }
        }
        Ok(pieces)
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
