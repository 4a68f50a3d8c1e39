//! Records that go to another owner because the user says so (rule 10): nobody's, and those of another server.

use serde::Serialize;

use super::ledger::Books;
use crate::words::key::RowKey;
use crate::words::kind::PerKind;
use crate::words::owner::Owner;

/// What waits for another server than that of the owner of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// The server's origin.
    pub server: String,
    /// How many records wait.
    #[serde(flatten)]
    pub pending: PerKind<u64>,
    /// Whether the owner of now may take them along.
    pub may_be_taken: bool,
}

impl Books {
    /// Hands over everything that was captured signed out.
    pub fn give_nobodys_to(&mut self, owner: &Owner) {
        self.hand_over(None, owner);
    }

    fn hand_over(&mut self, from: Option<&Owner>, to: &Owner) {
        for epoch in self.epochs.iter_mut().filter(|epoch| epoch.owner.as_ref() == from) {
            epoch.owner = Some(to.clone());
            epoch.taken_at = from.map(|_| epoch.lowest.page_visits);
        }
    }

    /// Hands over to the owner of now, because the user says so, what is nobody's, or what waits for another server (its
    /// origin): one write to the epoch table. Returns how many records that wait went; none where nobody is signed in, or
    /// where it isn't clear whose records are meant (see [`Books::account_at`]).
    pub fn claim(&mut self, origin: Option<&str>) -> Option<PerKind<u64>> {
        let owner = self.owner()?.clone();
        let from = match origin {
            None => None,
            Some(origin) => Some(self.account_at(origin)?.clone()),
        };
        let pending = self.pending_under(from.as_ref());
        self.hand_over(from.as_ref(), &owner);
        Some(pending)
    }

    /// The account at another server whose records the owner of now may take along: the only one that is known there, or
    /// the one with the same id.
    fn account_at(&self, origin: &str) -> Option<&Owner> {
        let now = self.owner().filter(|owner| owner.origin != origin)?;
        let there: Vec<&Owner> = self.owners().into_iter().filter(|owner| owner.origin == origin).collect();
        let same = there.iter().find(|owner| owner.account == now.account);
        same.or(there.first().filter(|_| there.len() == 1)).copied()
    }

    /// Every account that this installation knows, each once.
    pub fn owners(&self) -> Vec<&Owner> {
        let (mut owners, unknown) = (Vec::<&Owner>::new(), Owner::unknown());
        for owner in self.epochs.iter().filter_map(|epoch| epoch.owner.as_ref()) {
            if !owners.contains(&owner) && *owner != unknown {
                owners.push(owner);
            }
        }
        owners
    }

    /// For each epoch that was taken along from another server, the place before which its page visits are there.
    pub fn taken(&self) -> Vec<RowKey> {
        self.epochs.iter().filter_map(|epoch| epoch.taken_at).collect()
    }

    /// What waits for other servers, each once. Nothing while nobody is signed in.
    pub fn elsewhere(&self) -> Vec<Elsewhere> {
        let Some(now) = self.owner() else { return Vec::new() };
        let mut servers: Vec<Elsewhere> = Vec::new();
        for owner in self.owners().into_iter().filter(|owner| owner.origin != now.origin) {
            let pending = self.pending_of(owner);
            match servers.iter_mut().find(|server| server.server == owner.origin) {
                _ if pending.total() == 0 => {}
                Some(server) => {
                    server.pending.page_visits += pending.page_visits;
                    server.pending.tab_aggregates += pending.tab_aggregates;
                }
                None => servers.push(Elsewhere {
                    server: owner.origin.clone(),
                    pending,
                    may_be_taken: self.account_at(&owner.origin).is_some(),
                }),
            }
        }
        servers
    }

    /// What waits and is nobody's, while somebody is signed in to whom it could be handed.
    pub fn unclaimed(&self) -> PerKind<u64> {
        if self.owner().is_some() { self.pending_under(None) } else { PerKind::default() }
    }
}
