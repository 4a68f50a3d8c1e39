//! Erasing what is here, and remembering what servers are still to erase (rule 11).

use super::settle::{place_of, tombstone};
use super::{OVERVIEW, Outbox, OutboxError, Overview};
use crate::decisions::erasure::{Doom, Erasures, Scope, Search};
use crate::decisions::ledger::{Books, Place};
use crate::decisions::suspects::Unexplained;
use crate::ports::store::{Answer, Body, Change, Document, Query, Row, Store, Table};
use crate::words::hash::HashSet;
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;
use crate::words::policy::WINDOW_RECORDS;
use crate::words::record::Head;
use crate::words::record::sites::MORE_SITES;
use crate::words::time::UnixMillis;

/// Where records are looked for: visits before the aggregates that follow them.
const PLACES: [Table; 4] =
    [Table::Outbox(Kind::PageVisit), Table::Quarantine, Table::Archive, Table::Outbox(Kind::TabAggregate)];

impl<S: Store> Outbox<S> {
    /// Writes down that `scope` is to be erased: here, and, for a site, at the server of every account that this
    /// installation knows. Whoever dies after this finds it with the next look at the syncer's memory.
    pub async fn will_erase(&self, scope: &Scope, now: UnixMillis) -> Result<(), OutboxError> {
        self.change_overview(&mut |Overview { books, state, .. }| {
            state.erasures.here.push(scope.clone());
            state.unexplained.forget_words();
            if let Scope::Site(site) = scope {
                ask_all(&mut state.erasures, books, Some(site), now);
                // No receipt says of which site its record was.
                return vec![Change::Delete(Table::Receipts, KeyRange::everything())];
            }
            Vec::new()
        })
        .await
    }

    /// Erases everything that is here in one transaction, ids and the tracker's memory too. What waited, was refused or
    /// archived counts as discarded; counts, accounts and the login stay. `everywhere` asks the servers to do the same.
    pub async fn erase_all(&self, everywhere: bool, now: UnixMillis) -> Result<(), OutboxError> {
        self.change_overview(&mut |Overview { books, state, .. }| {
            books.discard_everything();
            (state.unexplained, state.outlived) = (Unexplained::default(), Vec::new());
            (state.failing, state.problem) = (None, None);
            // What is left to do of it is not in the tables.
            state.erasures.here = vec![Scope::All];
            if everywhere {
                ask_all(&mut state.erasures, books, None, now);
            }
            let all = Table::ALL.map(|table| Change::Delete(table, KeyRange::everything()));
            all.into_iter().chain([Document::Tracker, Document::Delivered].map(Change::Erase)).collect()
        })
        .await
    }

    /// Notes that a scope is erased here.
    pub async fn has_erased(&self, scope: &Scope) -> Result<(), OutboxError> {
        self.change_overview(&mut |Overview { state, .. }| {
            state.erasures.here.retain(|each| each != scope);
            vec![Change::Erase(Document::Delivered)]
        })
        .await
    }

    async fn change_overview(
        &self,
        change: &mut dyn FnMut(&mut Overview) -> Vec<Change<S::Body>>,
    ) -> Result<(), OutboxError> {
        self.store
            .update(&OVERVIEW, |answers| {
                let mut overview = self.documents.overview(&mut answers.into_iter())?;
                let mut changes = change(&mut overview);
                changes.push(self.documents.write_books(&overview.books)?);
                changes.push(self.documents.write_state(&overview.state)?);
                Ok((changes, ()))
            })
            .await
    }

    /// Removes the rows that fall under `scope`, and from other rows the fields that name its site, a window at a time.
    /// What is removed counts as discarded, and its id stays, so that a late aggregate follows its visit.
    pub async fn erase_rows(&self, scope: &Scope, now: UnixMillis) -> Result<(), OutboxError> {
        let search = Search::new(scope);
        let books = self.overview().await?.books;
        let mut nobodys: HashSet<u32> = HashSet::default();
        if *scope == Scope::Unclaimed {
            nobodys.extend(
                books.epochs().iter().filter(|epoch| epoch.owner.is_none()).map(|epoch| epoch.number),
            );
        }
        // A row that moved from one table to another meanwhile may have been missed: until nothing is found.
        loop {
            let mut found = false;
            for table in PLACES {
                let mut range = KeyRange { from: lowest_of(&books, table), ..KeyRange::everything() };
                loop {
                    let rows = self.page(table, range, WINDOW_RECORDS).await?;
                    let Some(last) = rows.last() else { break };
                    range.from = last.key.next();
                    let orphans = self.discarded_among(&rows).await?;
                    let doomed: Vec<(Row<S::Body>, Doom)> = rows
                        .into_iter()
                        .filter_map(|row| {
                            let follows = row.head.kind == Kind::TabAggregate
                                && row.head.refers_to.as_ref().is_some_and(|id| orphans.contains(id));
                            let doom = match follows || nobodys.contains(&row.key.epoch()) {
                                true => Doom::Goes,
                                false => search.judge(&row.head, now, || row.body.text()),
                            };
                            (doom != Doom::Stays).then_some((row, doom))
                        })
                        .collect();
                    if !doomed.is_empty() {
                        found = true;
                        self.carry_out(table, doomed, &search).await?;
                    }
                }
            }
            if !found {
                return Ok(());
            }
        }
    }

    // The visits of these rows' aggregates that were given up.
    async fn discarded_among(&self, rows: &[Row<S::Body>]) -> Result<HashSet<String>, OutboxError> {
        let aggregates = rows.iter().filter(|row| row.head.kind == Kind::TabAggregate);
        let visits: HashSet<&String> = aggregates.filter_map(|row| row.head.refers_to.as_ref()).collect();
        if visits.is_empty() {
            return Ok(HashSet::default());
        }
        let visits: Vec<&String> = visits.into_iter().collect();
        let table = Table::Discarded;
        let queries: Vec<Query> =
            visits.iter().map(|id| Query::KeysOf { table, id: (*id).clone() }).collect();
        let answers = self.store.read(&queries).await?.into_iter().map(Answer::keys);
        Ok(visits
            .into_iter()
            .zip(answers)
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(id, _)| id.clone())
            .collect())
    }

    // A row that loses fields becomes a new row, like all that changes: whoever still holds the old one settles nothing.
    async fn carry_out(
        &self,
        table: Table,
        doomed: Vec<(Row<S::Body>, Doom)>,
        search: &Search,
    ) -> Result<(), OutboxError> {
        let keys = || doomed.iter().map(|(row, _)| row.key);
        let (Some(first), Some(last)) = (keys().min(), keys().max()) else { return Ok(()) };
        let range = KeyRange::closed(first, last);
        let queries = [Query::Document(Document::Books), Query::Keys { table, range, limit: usize::MAX }];
        self.store
            .update(&queries, |answers| {
                let mut answers = answers.into_iter();
                let mut books: Books = self.documents.books(answers.next().and_then(Answer::document))?;
                let present = answers.next().map(Answer::keys).unwrap_or_default();
                let mut changes = Vec::with_capacity(2 * doomed.len() + 1);
                for (row, doom) in doomed {
                    if present.binary_search(&row.key).is_err() {
                        continue;
                    }
                    changes.push(Change::Delete(table, KeyRange::closed(row.key, row.key)));
                    let (from, stays) = (place_of(table), matches!(doom, Doom::Loses(_)));
                    let to = if stays { from } else { Place::Discarded };
                    books.transfer(row.key.epoch(), row.head.kind, from, to, 1)?;
                    let Doom::Loses(body) = doom else {
                        let note = r#"{"reason":"erased"}"#.to_owned();
                        changes.push(Change::Insert(Table::Discarded, tombstone(row, note)));
                        continue;
                    };
                    changes.push(Change::Insert(table, without(row, body, search, &mut books)));
                }
                changes.push(self.documents.write_books(&books)?);
                Ok((changes, ()))
            })
            .await
    }

    /// Hands records over to the owner of now, as [`Books::claim`] says; how many that wait went.
    pub async fn claim(&self, origin: Option<&str>) -> Result<Option<PerKind<u64>>, OutboxError> {
        let mut claimed = None;
        self.change_overview(&mut |Overview { books, .. }| {
            claimed = books.claim(origin);
            Vec::new()
        })
        .await?;
        Ok(claimed)
    }
}

fn ask_all(erasures: &mut Erasures, books: &Books, site: Option<&str>, now: UnixMillis) {
    let known = books.owners().into_iter().filter(|owner| **owner != Owner::unknown());
    erasures.ask(site, known.cloned().collect(), now);
}

// Where a table's first row can stand.
fn lowest_of(books: &Books, table: Table) -> RowKey {
    let lowest = match table {
        Table::Outbox(kind) => books.epochs().iter().map(|epoch| *epoch.lowest.of(kind)).min(),
        _ => None,
    };
    lowest.unwrap_or(KeyRange::everything().from)
}

// The row with another body, at a new place; a server's words on the old one may name what it lost.
fn without<B: From<String>>(row: Row<B>, body: String, search: &Search, books: &mut Books) -> Row<B> {
    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut head = Head { bytes, ..row.head };
    head.sites.retain(|site| site == MORE_SITES || !search.finds_host(site));
    let note = row.note.and_then(|note| {
        let mut note: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&note).ok()?;
        note.remove("words");
        serde_json::to_string(&note).ok()
    });
    Row { key: books.place_again(row.key.epoch()), head, body: body.into(), note, ..row }
}
