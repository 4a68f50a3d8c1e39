//! "Where is it?": what is known on this machine of one record, or of one page.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::outbox::OutboxError;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Body, Row, Store, Table};
use crate::ports::transport::Transport;
use crate::words::document;
use crate::words::key::KeyRange;
use crate::words::kind::Kind;
use crate::words::record::address::lower_case;

/// Most records that are shown: whoever sees so many asks more precisely.
const MOST_FOUND: usize = 20;

/// Rows read at once.
const PAGE_ROWS: usize = 500;

/// A place in which a record may be, in the order of the search.
const PLACES: [Table; 5] = [
    Table::Outbox(Kind::PageVisit),
    Table::Outbox(Kind::TabAggregate),
    Table::Quarantine,
    Table::Archive,
    Table::Discarded,
];

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Whereabouts {
    /// It waits to be sent.
    Pending,
    /// It waits for another account.
    Parked,
    /// The server refuses it.
    Quarantined,
    /// Set aside because of its age.
    Archived,
    /// Given up; only its id is left.
    Discarded,
}

/// A record that was looked for.
#[derive(Debug)]
pub struct Found<B> {
    /// Where it is.
    pub place: Whereabouts,
    /// The record.
    pub row: Row<B>,
}

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// The records with this id, every revision for itself; if there is none, the page visits whose address holds
    /// `text`, at most twenty. What is found nowhere is on the server, or was never recorded here.
    ///
    /// # Errors
    /// [`OutboxError`] where the database can't be read.
    pub async fn find(&self, text: &str) -> Result<Vec<Found<S::Body>>, OutboxError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.outbox.revisions(&PLACES, text).await?;
        if found.is_empty() {
            found = self.find_pages(&lower_case(text)).await?;
        }
        let books = self.outbox.overview().await?.books;
        let place = |table, row: &Row<S::Body>| match table {
            Table::Outbox(_) if books.is_parked(row.key.epoch()) => Whereabouts::Parked,
            Table::Outbox(_) => Whereabouts::Pending,
            Table::Quarantine => Whereabouts::Quarantined,
            Table::Archive => Whereabouts::Archived,
            Table::Discarded | Table::Receipts => Whereabouts::Discarded,
        };
        Ok(found.into_iter().map(|(table, row)| Found { place: place(table, &row), row }).collect())
    }

    async fn find_pages(&self, part: &str) -> Result<Vec<(Table, Row<S::Body>)>, OutboxError> {
        let mut found = Vec::new();
        for table in [Table::Outbox(Kind::PageVisit), Table::Quarantine, Table::Archive] {
            let mut range = KeyRange::everything();
            loop {
                let rows = self.outbox.page(table, range, PAGE_ROWS).await?;
                let Some(last) = rows.last() else { break };
                range.from = last.key.next();
                found.extend(rows.into_iter().filter(|row| is_visit_of(row, part)).map(|row| (table, row)));
                if found.len() >= MOST_FOUND {
                    found.truncate(MOST_FOUND);
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Page {
    url: String,
}

fn is_visit_of<B: Body>(row: &Row<B>, part: &str) -> bool {
    row.head.kind == Kind::PageVisit
        && document::read::<Page>(&row.body.text()).is_ok_and(|page| lower_case(&page.url).contains(part))
}
