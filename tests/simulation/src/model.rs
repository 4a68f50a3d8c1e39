//! What a run knows beside the engine: whose each record is, what was told as captured, what the user has set.

use std::collections::{BTreeMap, BTreeSet};

use heyho_sync::words::record::sites::SiteRules;

use crate::server::RecordKey;

/// Accounts of each server.
pub const ACCOUNTS: u64 = 3;
/// Servers that the user may choose.
pub const SERVERS: u64 = 2;
/// Sites that are visited.
pub const SITES: u64 = 5;

/// The faults: what nobody wants and what must do no harm.
pub const FAULTS: [&str; 45] = [
    "account switch",
    "account switch during an upload",
    "answer counts too many",
    "answer cut off after commit",
    "answer lost after commit",
    "answer names records twice",
    "answer names what was never sent",
    "answer replaced after commit",
    "answer too late",
    "capture during an upload",
    "clock a day back",
    "clock a day on",
    "clock in 1970",
    "comparison during an upload",
    "compressed body refused",
    "death in a capture",
    "death in a comparison",
    "death in a sync",
    "exclusion during an upload",
    "frozen syncer",
    "gateway fails",
    "latencies differ",
    "no such route",
    "order demanded in spite of the offer",
    "preflight fails",
    "question fails",
    "read fails",
    "record refused",
    "refused for months",
    "request lost",
    "request refused for its content",
    "request refused for its time",
    "second syncer",
    "server change",
    "server change during an upload",
    "slow answer",
    "token ends",
    "wait as a date",
    "wait asked for by a question's answer",
    "wait beside another status",
    "write fails",
    "write told as failed",
    "write: connection closed",
    "write: no space",
    "wrong answer",
];

/// What else happens: ordinary life.
pub const EVENTS: [&str; 27] = [
    "abilities change",
    "archive discarded",
    "archive restored",
    "captured again",
    "compared",
    "compressed body arrived",
    "consent changes",
    "content changed under its revision",
    "exclusion changes",
    "export",
    "import",
    "known key answered",
    "loss found out",
    "pause changes",
    "preflight answered",
    "quarantine discarded",
    "quarantine retried",
    "repetition known",
    "reset",
    "restart",
    "revision",
    "server heals",
    "sign-out",
    "small batches",
    "uploads together",
    "uploads together in order",
    "worker lives on",
];

/// An account on a server, as one number.
pub type Somebody = u64;

/// The account `account` of the server `server`.
pub fn somebody(server: u64, account: u64) -> Somebody {
    server * ACCOUNTS + account
}

/// Which server somebody is on.
pub fn server_of(somebody: Somebody) -> u64 {
    somebody / ACCOUNTS
}

/// The user id of somebody on their server.
pub fn account_of(somebody: Somebody) -> String {
    format!("user-{}", somebody % ACCOUNTS)
}

pub fn site_name(site: u64) -> String {
    format!("site-{site}.example")
}

/// What the referee knows of a record.
#[derive(Debug, Clone)]
pub struct Known {
    /// Whose it is; none while nobody was signed in.
    pub owner: Option<Somebody>,
    /// The highest revision that is surely captured; 0 if none is.
    pub certain: u64,
    /// The highest revision that may be captured.
    pub possible: u64,
    /// The visit to which it refers.
    pub refers_to: Option<String>,
    /// The site of the record or of its visit.
    pub site: u64,
    /// The server refuses it.
    pub poison: bool,
    /// It has refused it at some time.
    pub was_poison: bool,
    /// The chance that made its latest body: the same makes the same.
    pub chance: u64,
}

/// The run's own memory, beside the engine's.
#[derive(Debug, Default)]
pub struct Model {
    pub known: BTreeMap<RecordKey, Known>,
    /// Captured records, as told; and those of which nothing was told.
    pub captured: u64,
    pub maybe_captured: u64,
    /// Who is signed in.
    pub owner: Option<Somebody>,
    /// The server that the user has chosen.
    pub server: u64,
    pub owners_seen: BTreeSet<Somebody>,
    pub excluded: BTreeSet<u64>,
    pub ever_excluded: BTreeSet<u64>,
    pub paused: bool,
    pub consent_withdrawn: bool,
    pub discarded_by_user: bool,
    /// A clock may have confirmed that records are old.
    pub may_archive: bool,
    /// A worker froze with requests out, which came minutes later.
    pub very_late_requests: bool,
    /// The last worker lives on when the faults stop.
    pub lives_on: bool,
    /// What happened, by name.
    pub fired: BTreeMap<&'static str, u64>,
    pub syncs: u64,
}

impl Model {
    pub fn fired(&mut self, what: &'static str) {
        *self.fired.entry(what).or_default() += 1;
    }

    /// Faults that fired so far.
    pub fn faults(&self) -> u64 {
        FAULTS.iter().filter_map(|fault| self.fired.get(fault)).sum()
    }

    pub fn excluded_sites(&self) -> Vec<String> {
        self.excluded.iter().map(|site| site_name(*site)).collect()
    }

    pub fn site_rules(&self) -> SiteRules {
        SiteRules::new(self.excluded_sites())
    }

    pub fn records_anything(&self) -> bool {
        !self.paused && !self.consent_withdrawn
    }

    /// Somebody signs in; what was captured signed out is theirs if the installation has known nobody else.
    pub fn sign_in(&mut self, owner: Somebody) {
        self.owner = Some(owner);
        if self.owners_seen.iter().all(|seen| *seen == owner) {
            for known in self.known.values_mut().filter(|known| known.owner.is_none()) {
                known.owner = Some(owner);
            }
        }
        self.owners_seen.insert(owner);
    }

    /// What a capture leaves certain: everything that may be recorded, if it was told as kept.
    pub fn captured(&mut self, identities: &[(RecordKey, u64)], told: Option<u64>) {
        let Some(count) = told else {
            self.maybe_captured += identities.len() as u64;
            return;
        };
        self.captured += count;
        if !self.records_anything() {
            return;
        }
        for (key, revision) in identities {
            let Some(known) = self.known.get_mut(key) else { continue };
            if !self.excluded.contains(&known.site) {
                known.certain = known.certain.max(*revision);
            }
        }
    }
}
