//! Capture: callers' records and the tracker's enter the outbox.

use serde::Serialize;
use thiserror::Error;

use super::{Engine, Settings};
use crate::decisions::tracker::{self, Ending, IdSource, Rules, Step, TrackerState};
use crate::outbox::{Capture, OutboxError};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Document, Store};
use crate::ports::transport::Transport;
use crate::words::event::TabEvent;
use crate::words::hash::HashSet;
use crate::words::kind::{Kind, PerKind};
use crate::words::owner::Owner;
use crate::words::record::address::Address;
use crate::words::record::sites::SiteRules;
use crate::words::record::{Head, Maker, Record, RecordError, admit, wire};
use crate::words::time::UnixMillis;

/// Why the engine did not do what it was asked for. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// A record is malformed.
    #[error("{error}")]
    Record {
        /// Its kind.
        kind: Kind,
        /// Its place in the caller's list of that kind, from 0.
        index: usize,
        /// What is wrong with it.
        error: RecordError,
    },
    /// Records can't be handed over: nobody is signed in, or it isn't clear whose are meant.
    #[error("nobody is signed in, or several accounts of that server come into question")]
    NobodysChoice,
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// What became of the records of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Records that are kept now.
    pub captured: u64,
    /// Records that were held already, word for word.
    pub held_already: u64,
    /// Records that may not be kept: no consent, paused, or of an excluded site.
    pub not_recorded: u64,
}

/// What the tracker takes in one go. Boxed, so that the way from there to the outbox is compiled once.
pub(super) type Taking<'a> = Box<dyn FnOnce(&mut TrackerState, &mut dyn IdSource) -> Step + 'a>;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Records what a caller made, in one transaction: all or nothing. Each text is one record as JSON.
    ///
    /// # Errors
    /// [`EngineError::Record`] for the first malformed one, [`EngineError::Outbox`] where it could not be written.
    pub async fn record(&self, texts: PerKind<Vec<String>>) -> Result<Recorded, EngineError> {
        self.record_of(None, texts).await
    }

    /// [`Engine::record`] for records that are somebody's already.
    pub(super) async fn record_of(
        &self,
        owner: Option<Option<Owner>>,
        texts: PerKind<Vec<String>>,
    ) -> Result<Recorded, EngineError> {
        let mut records = Vec::with_capacity(texts.page_visits.len() + texts.tab_aggregates.len());
        for kind in Kind::ALL {
            for (index, text) in texts.of(kind).iter().enumerate() {
                let record = admit(kind, text, Maker::Caller);
                records.push(record.map_err(|error| EngineError::Record { kind, index, error })?);
            }
        }
        self.capture_of(owner, records).await.map_err(|error| match error {
            OutboxError::RevisionHeld { kind, id } => {
                let is_it =
                    |text: &String| admit(kind, text, Maker::Caller).is_ok_and(|record| record.head.id == id);
                let index = texts.of(kind).iter().rposition(is_it).unwrap_or_default();
                EngineError::Record { kind, index, error: RecordError::RevisionHeld }
            }
            other => other.into(),
        })
    }

    /// Keeps records that have passed the door, in one transaction, as far as the settings allow it.
    ///
    /// # Errors
    /// [`OutboxError`] where they could not be written.
    pub async fn capture(&self, records: Vec<Record>) -> Result<Recorded, OutboxError> {
        self.capture_of(None, records).await
    }

    async fn capture_of(
        &self,
        owner: Option<Option<Owner>>,
        records: Vec<Record>,
    ) -> Result<Recorded, OutboxError> {
        let settings = self.settings();
        let given = records.len() as u64;
        if !settings.records() {
            return Ok(Recorded { not_recorded: given, ..Recorded::default() });
        }
        let (records, forbidden) = keep_allowed(records, &settings);
        let not_recorded = given - records.len() as u64;
        if records.is_empty() && forbidden.is_empty() {
            return Ok(Recorded { not_recorded, ..Recorded::default() });
        }
        let capture = Capture { records, forbidden, owner, tracker: None };
        let admission = self.noticing(self.outbox.append(capture, self.clock.now()).await)?;
        self.host.changed();
        Ok(Recorded { captured: admission.captured, held_already: admission.held_already, not_recorded })
    }

    /// Takes one event of the browser: what it ended is recorded, and what the tracker remembers is kept, in one
    /// transaction. Events are taken in the order of the calls. Returns whether a visit goes on, for which heartbeats
    /// are needed.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where that could not be written; the event can be handed in again then.
    pub async fn handle_event(&self, event: &TabEvent) -> Result<bool, EngineError> {
        let settings = self.settings();
        if !settings.records() {
            return Ok(false);
        }
        let recordable =
            |url: &str| Address::parse(url).is_some_and(|a| !settings.excluded.excludes(a.host()));
        let rules = Rules { recordable: &recordable };
        Ok(self.track(Box::new(|state, ids| tracker::step(state, event, ids, &rules))).await?)
    }

    /// Ends the visits that go on, and records them.
    pub(super) async fn end_open_visits(&self, ending: Ending) -> Result<(), OutboxError> {
        let now = self.clock.now();
        self.track(Box::new(|state, ids| tracker::end_all(state, now, ids, ending))).await.map(|_| ())
    }

    /// Forgets the visits that go on, unrecorded.
    pub(super) async fn forget_open_visits(&self) -> Result<(), OutboxError> {
        self.track(Box::new(|state, _| {
            tracker::forget_all(state);
            Step::default()
        }))
        .await
        .map(|_| ())
    }

    /// Lets the tracker take something, and keeps what it makes and remembers. Returns whether a visit goes on.
    pub(super) async fn track(&self, take: Taking<'_>) -> Result<bool, OutboxError> {
        let mut remembered = self.tracker.lock().await;
        let mut state = match remembered.take() {
            Some(state) => state,
            None => self.outbox.memories().await?.tracker.unwrap_or_default(),
        };
        let before = state.clone();
        let step = take(&mut state, &mut FreshIds(&self.clock));
        let settings = self.settings();
        let (records, _) = keep_allowed(made_by(step).collect(), &settings);
        let text = serde_json::to_string(&state).map_err(|_| OutboxError::Unreadable(Document::Tracker))?;
        let result = self
            .outbox
            .append(Capture { records, tracker: Some(text), ..Capture::default() }, self.clock.now())
            .await;
        let watching = state.is_watching();
        *remembered = Some(if result.is_ok() { state } else { before });
        if self.noticing(result)?.captured > 0 {
            self.host.changed();
        }
        Ok(watching)
    }
}

struct FreshIds<'a, C>(&'a C);

impl<C: Clock> IdSource for FreshIds<'_, C> {
    fn uuid_v7(&mut self, at: UnixMillis) -> String {
        tracker::uuid_v7(at, self.0.random())
    }
}

// What the tracker makes always fits the door (rule 14); what would not is not a record.
fn made_by(step: Step) -> impl Iterator<Item = Record> {
    let visits = step.visits.into_iter().map(|visit| (Kind::PageVisit, serde_json::to_string(&visit)));
    let aggregates =
        step.aggregates.into_iter().map(|aggregate| (Kind::TabAggregate, serde_json::to_string(&aggregate)));
    visits.chain(aggregates).filter_map(|(kind, text)| admit(kind, &text.ok()?, Maker::Tracker).ok())
}

// The records that the user's exclusions allow, and the visits that they forbid; an aggregate goes with its visit, a
// source that may not be sent is none (rules 6 and 11).
fn keep_allowed(records: Vec<Record>, settings: &Settings) -> (Vec<Record>, Vec<Record>) {
    if settings.excluded.is_empty() {
        return (records, Vec::new());
    }
    let is_forbidden =
        |record: &&Record| record.head.kind == Kind::PageVisit && is_excluded(record, &settings.excluded);
    let ids: HashSet<String> =
        records.iter().filter(is_forbidden).map(|record| record.head.id.clone()).collect();
    let (mut allowed, mut forbidden) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        let orphan = record.head.refers_to.as_ref().is_some_and(|id| ids.contains(id));
        match (record.head.kind, orphan) {
            (Kind::PageVisit, _) if ids.contains(&record.head.id) => forbidden.push(record),
            (Kind::TabAggregate, true) => {}
            (Kind::PageVisit, true) => {
                let record = match wire::without_source(&record.body) {
                    Some(body) => {
                        Record { head: Head { refers_to: None, ..rewritten(record.head, &body) }, body }
                    }
                    None => record,
                };
                allowed.extend(without_excluded(record, &settings.excluded));
            }
            _ => allowed.extend(without_excluded(record, &settings.excluded)),
        }
    }
    (allowed, forbidden)
}

fn is_excluded(record: &Record, rules: &SiteRules) -> bool {
    rules.may_touch(&record.head.sites)
        && wire::own_site(&record.body).is_some_and(|host| rules.excludes(&host))
}

// The record without the fields that name an excluded site; none where it is about such a site itself.
fn without_excluded(record: Record, rules: &SiteRules) -> Option<Record> {
    if !rules.may_touch(&record.head.sites) {
        return Some(record);
    }
    if is_excluded(&record, rules) {
        return None;
    }
    let excluded = |host: &str| rules.excludes(host);
    match wire::without_sites(record.head.kind, &record.body, &excluded) {
        Some(body) => {
            let mut head = rewritten(record.head, &body);
            head.sites.retain(|site| !excluded(site));
            Some(Record { head, body })
        }
        None => Some(record),
    }
}

fn rewritten(head: Head, body: &str) -> Head {
    Head { bytes: u32::try_from(body.len()).unwrap_or(u32::MAX), ..head }
}
