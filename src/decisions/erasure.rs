//! What the user wants gone: here at once, and on each server that may hold it as soon as that server has said so.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::backoff::{Retry, ServerWait};
use super::verdict::{Cause, Verdict};
use crate::words::hash::HashSet;
use crate::words::owner::Owner;
use crate::words::policy::LONGEST_SERVER_WAIT;
use crate::words::record::address::Address;
use crate::words::record::sites::SiteRules;
use crate::words::record::{Head, MAX_URL_CHARS, wire};
use crate::words::time::{Millis, UnixMillis};

/// Visits of this age and younger fall under deleted pages. Chromium takes visits that are older than 90 days out of its
/// history by itself, and tells of it as of what the user has deleted; a day of it is for the difference of two clocks.
const DELETED_BY_THE_USER: Millis = Millis::from_days(89);

/// What is to be gone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    All,
    /// A site with its subdomains, by its host.
    Site(String),
    /// Pages by their addresses, as the browser names them.
    Pages(Vec<String>),
    /// What was captured signed out and is nobody's.
    Unclaimed,
}

/// An erase that a server has not confirmed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Whose records are to go, and from where.
    pub owner: Owner,
    /// The site; none for everything.
    pub site: Option<String>,
    /// Visits until this moment fall under it.
    pub to: UnixMillis,
    /// The wait after an attempt that failed for itself alone.
    pub retry: Option<Retry>,
    /// The server has said that it can't.
    pub unable: bool,
}

// Which sites somebody wants forgotten is the last thing to log (rule 11).
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope(..)")
    }
}

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intent").field("to", &self.to).field("unable", &self.unable).finish_non_exhaustive()
    }
}

/// The erases that are not through; part of the syncer's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Erasures {
    /// What rows here are still to be looked through for.
    pub here: Vec<Scope>,
    /// What servers have not confirmed.
    pub there: Vec<Intent>,
}

impl Erasures {
    /// Adds an erase at each owner's server. It takes the place of those that it includes.
    pub fn ask(&mut self, site: Option<&str>, owners: Vec<Owner>, now: UnixMillis) {
        for owner in owners {
            let site = site.map(str::to_owned);
            self.there.retain(|intent| intent.owner != owner || (site.is_some() && intent.site != site));
            self.there.push(Intent { owner, site, to: now, retry: None, unable: false });
        }
    }

    /// What `owner`'s server is to be asked now. A click overrides our own waits.
    pub fn due(&self, owner: &Owner, now: UnixMillis, by_hand: bool) -> Vec<Intent> {
        let waits = |retry: Retry| retry.holds(now, by_hand);
        let is_due = |intent: &&Intent| intent.owner == *owner && !intent.retry.is_some_and(waits);
        self.there.iter().filter(is_due).cloned().collect()
    }

    /// When `owner`'s server is next to be asked for one, if there is any.
    pub fn next_at(&self, owner: &Owner, now: UnixMillis) -> Option<UnixMillis> {
        let of_owner = self.there.iter().filter(|intent| intent.owner == *owner);
        of_owner
            .map(|intent| intent.retry.and_then(|retry| retry.left(now)).map_or(now, |wait| now + wait))
            .min()
    }

    /// The same on a clock that was set back: waits begin anew now.
    pub fn on_clock(&mut self, now: UnixMillis) {
        for retry in self.there.iter_mut().filter_map(|intent| intent.retry.as_mut()) {
            *retry = retry.on_clock(now);
        }
    }

    /// Whether a wait began later than now.
    pub fn is_of_another_clock(&self, now: UnixMillis) -> bool {
        self.there.iter().filter_map(|intent| intent.retry).any(|retry| retry.on_clock(now) != retry)
    }

    /// The server has confirmed an intent.
    pub fn confirmed(&mut self, asked: &Intent) {
        self.there.retain(|intent| !intent.is(asked));
    }

    /// The server has not confirmed an intent, for a reason of its own. One that can't erase is asked once a day.
    pub fn put_off(&mut self, asked: &Intent, verdict: &Verdict, now: UnixMillis, random: u64) {
        let unable = matches!(
            verdict,
            Verdict::Unexplained
                | Verdict::Permanent(Cause::Status(_))
                | Verdict::Transient { cause: Cause::Status(501), .. }
        );
        let wait = unable.then_some(ServerWait(LONGEST_SERVER_WAIT));
        for intent in self.there.iter_mut().filter(|intent| intent.is(asked)) {
            intent.unable = unable;
            intent.retry = Some(Retry::after_failure(intent.retry.as_ref(), wait, now, random));
        }
    }
}

impl Intent {
    fn is(&self, other: &Self) -> bool {
        (&self.owner, &self.site, self.to) == (&other.owner, &other.site, other.to)
    }

    /// The body of the request.
    pub fn body(&self) -> String {
        match &self.site {
            None => serde_json::json!({ "scope": "all", "to": self.to }),
            Some(site) => serde_json::json!({ "scope": "site", "site": site, "to": self.to }),
        }
        .to_string()
    }
}

/// What becomes of a record that a scope is held against.
#[derive(PartialEq, Eq)]
pub enum Doom {
    /// It has nothing to do with it.
    Stays,
    /// It goes.
    Goes,
    /// It stays with this body, which names the site no more.
    Loses(String),
}

/// A scope, ready to be held against many records.
pub struct Search {
    rules: SiteRules,
    pages: Option<HashSet<String>>,
}

impl Search {
    /// For records of a site or of pages; the other scopes don't look at records.
    pub fn new(scope: &Scope) -> Self {
        match scope {
            Scope::Site(site) => Self { rules: SiteRules::new([site]), pages: None },
            Scope::Pages(urls) => {
                Self { rules: SiteRules::new(urls), pages: Some(urls.iter().map(|url| kept(url)).collect()) }
            }
            Scope::All | Scope::Unclaimed => Self { rules: SiteRules::default(), pages: None },
        }
    }

    /// Whether a page in a tab falls under it.
    pub fn finds_page(&self, url: &str) -> bool {
        match &self.pages {
            None => self.rules.excludes(url),
            Some(pages) => pages.contains(&kept(url)),
        }
    }

    /// Whether durations of a host fall under it.
    pub fn finds_host(&self, host: &str) -> bool {
        self.pages.is_none() && self.rules.excludes(host)
    }

    /// What becomes of a record. Its body is asked for only where the head says that it may be meant.
    pub fn judge(&self, head: &Head, now: UnixMillis, body: impl FnOnce() -> String) -> Doom {
        if !self.rules.may_touch(&head.sites) {
            return Doom::Stays;
        }
        let body = body();
        if wire::own_url(&body).is_some_and(|url| self.finds_page(&url)) {
            let user = |visited_at| now.since(visited_at) <= DELETED_BY_THE_USER;
            return match self.pages.is_none() || wire::visited_at(&body).is_none_or(user) {
                true => Doom::Goes,
                false => Doom::Stays,
            };
        }
        match wire::without_sites(head.kind, &body, &|host| self.finds_host(host)) {
            Some(body) => Doom::Loses(body),
            None => Doom::Stays,
        }
    }
}

// An address in the form in which records have it.
fn kept(url: &str) -> String {
    match Address::parse(url) {
        Some(address) if address.text().len() > MAX_URL_CHARS => address.shortened(MAX_URL_CHARS),
        Some(address) => address.text(),
        None => url.to_owned(),
    }
}
