//! A batch, from the rows that it covers to the request that carries it.

use crate::decisions::batch::{Candidate, Cut};
use crate::decisions::protocol::EMPTY_BODY_BYTES;
use crate::ports::store::{Body, Row};
use crate::ports::transport::{Payload, Request};
use crate::words::kind::{Kind, PerKind};
use crate::words::time::Millis;

/// The rows that one request settles, and those of them whose bodies it carries.
pub struct Batch<B> {
    /// Every covered row, in key order.
    pub rows: PerKind<Vec<Row<B>>>,
    /// Indices of the rows that are sent; the others are lower revisions of the same records.
    pub sent: PerKind<Vec<usize>>,
}

/// A row as the cutting sees it.
pub fn candidate<B>(row: &Row<B>) -> Candidate<'_> {
    Candidate {
        key: row.key,
        id: &row.head.id,
        revision: row.head.revision,
        bytes: row.head.bytes as usize,
        follows: row.follows,
    }
}

impl<B: Body> Batch<B> {
    /// Takes the rows that `cut` covers from the heads of the windows.
    pub fn take(cut: Cut, windows: &mut PerKind<Vec<Row<B>>>) -> Self {
        let mut take = |kind| {
            let window = windows.of_mut(kind);
            let covered = (*cut.covered.of(kind)).min(window.len());
            window.drain(..covered).collect()
        };
        let rows = PerKind { page_visits: take(Kind::PageVisit), tab_aggregates: take(Kind::TabAggregate) };
        Self { rows, sent: cut.sent }
    }

    /// The rows whose bodies are sent.
    pub fn sent(&self) -> impl Iterator<Item = (Kind, &Row<B>)> {
        Kind::ALL.into_iter().flat_map(|kind| {
            let rows = self.rows.of(kind);
            self.sent.of(kind).iter().filter_map(move |index| Some((kind, rows.get(*index)?)))
        })
    }

    /// How many records are sent.
    pub fn records(&self) -> u64 {
        (self.sent.page_visits.len() + self.sent.tab_aggregates.len()) as u64
    }

    /// Bytes of the request's body.
    pub fn bytes(&self) -> u64 {
        let commas = Kind::ALL.map(|kind| self.sent.of(kind).len().saturating_sub(1)).iter().sum::<usize>();
        let records: usize = self.sent().map(|(_, row)| row.head.bytes as usize).sum();
        (EMPTY_BODY_BYTES + commas + records) as u64
    }

    /// The request that carries the batch.
    pub fn request(&self, base_url: &str, bearer: &str, timeout: Millis) -> Request<B> {
        let bodies = |wanted: Kind| {
            self.sent().filter(|(kind, _)| *kind == wanted).map(|(_, row)| row.body.clone()).collect()
        };
        Request {
            url: format!("{}/data/sync", base_url.trim_end_matches('/')),
            bearer: Some(bearer.to_owned()),
            idempotency_key: Some(self.id()),
            payload: Payload::Batch {
                page_visits: bodies(Kind::PageVisit),
                tab_aggregates: bodies(Kind::TabAggregate),
            },
            timeout,
        }
    }

    // The same for the same content: a body never changes under its id and revision (rule 4). FNV-1a over both, twice
    // with different beginnings; two batches of one account that collide would have to share all 128 bits.
    fn id(&self) -> String {
        let mut halves = [0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142];
        for (kind, row) in self.sent() {
            let kind = [kind as u8];
            let revision = row.head.revision.to_le_bytes();
            for byte in kind.iter().chain(row.head.id.as_bytes()).chain(&revision).chain(&[0xff]) {
                for half in &mut halves {
                    *half = (*half ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
                }
            }
        }
        let [first, second] = halves;
        format!("{first:016x}{second:016x}")
    }
}
