//! Rows that may be on the server already are asked about before they are sent, where the server answers such questions.

use super::slice::Slice;
use super::sync::Halt;
use super::upload::{Batch, Fates};
use crate::decisions::preflight::{self, Known};
use crate::outbox::Fate;
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::{Payload, Transport};
use crate::words::key::{KeyRange, RowKey};
use crate::words::kind::{Kind, PerKind};
use crate::words::policy::{
    ATTEMPTS_IN_A_SLICE, MOST_IDS_IN_A_QUESTION, PAUSE_BETWEEN_QUESTIONS, WINDOW_RECORDS,
};

/// Which rows may be on the server already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Doubt {
    /// None that is known of.
    #[default]
    None,
    /// Those of the head: a worker died while they may have been in flight.
    Head,
    /// Any: records were imported or put back.
    Everything,
}

/// What a slice has asked.
#[derive(Default)]
pub(super) struct Preflight {
    doubt: Doubt,
    /// What the server has of that.
    known: Known,
    /// Rows below these places have been asked about.
    asked: Option<PerKind<RowKey>>,
    /// No answer came: everything is sent.
    pub(super) in_vain: bool,
}

impl Preflight {
    pub(super) fn with(doubt: Doubt) -> Self {
        Self { doubt, ..Self::default() }
    }
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Reads the next window, and settles what of it the server has already.
    pub(super) async fn read_window(&mut self, ranges: PerKind<KeyRange>) -> Result<(), Halt> {
        self.ask_about(ranges).await?;
        let found = self.engine.outbox.window_of(self.token, ranges, WINDOW_RECORDS).await?;
        let there = self.windows.take_in(found, &self.state.unexplained, &self.preflight.known);
        if there.is_empty() { Ok(()) } else { self.settle_known(there).await }
    }

    async fn settle_known(&mut self, there: Batch<S::Body>) -> Result<(), Halt> {
        let mut fates = Fates::<S::Body>::default();
        let records = there.len() as u64;
        for row in there {
            fates.of_mut(row.head.kind).push((row, Fate::Acknowledged));
        }
        self.settle(
            fates,
            Box::new(|state| {
                if let Some(progress) = &mut state.progress {
                    progress.done += records;
                }
            }),
        )
        .await?;
        self.report.attempted += records;
        self.report.skipped += records;
        Ok(())
    }

    /// Whether a question comes before the next read; nothing is to be in flight then.
    pub(super) fn must_ask(&self) -> bool {
        let in_doubt =
            self.preflight.doubt != Doubt::None && self.state.server.learnt.abilities.preflight_ids.is_some();
        in_doubt
            && match self.windows.wants(&self.limits()) {
                Some(ranges) => !self.has_asked(&ranges),
                None => !self.windows.anything_waits(),
            }
    }

    // Whether all that stands there was asked about, or nothing does.
    fn has_asked(&self, ranges: &PerKind<KeyRange>) -> bool {
        Kind::ALL.into_iter().all(|kind| {
            let KeyRange { from, to } = *ranges.of(kind);
            from >= to || self.preflight.asked.is_some_and(|asked| from < *asked.of(kind))
        })
    }

    // One question is about so many rows from the windows' place on as one answer may cover, both kinds together.
    async fn ask_about(&mut self, ranges: PerKind<KeyRange>) -> Result<(), Halt> {
        let Some(most) = self.state.server.learnt.abilities.preflight_ids else { return Ok(()) };
        if self.preflight.doubt == Doubt::None || self.has_asked(&ranges) || self.must_stop(0).is_some() {
            return Ok(());
        }
        let most = most.min(MOST_IDS_IN_A_QUESTION);
        let mut ids = PerKind::<Vec<String>>::default();
        let mut rest = ranges;
        for kind in Kind::ALL {
            match self.preflight.asked {
                Some(asked) if ranges.of(kind).from < *asked.of(kind) => {
                    rest.of_mut(kind).from = *asked.of(kind)
                }
                _ => self.preflight.known.of_mut(kind).clear(),
            }
        }
        // Whole windows, as they will be read again.
        while Kind::ALL.into_iter().map(|kind| ids.of(kind).len() + WINDOW_RECORDS).sum::<usize>() <= most {
            let PerKind { page_visits, tab_aggregates } =
                self.engine.outbox.window(rest, WINDOW_RECORDS).await?;
            for (kind, rows) in [(Kind::PageVisit, page_visits), (Kind::TabAggregate, tab_aggregates)] {
                let range = rest.of_mut(kind);
                range.from = match rows.last() {
                    Some(last) if rows.len() >= WINDOW_RECORDS => last.key.next(),
                    _ => range.to,
                };
                ids.of_mut(kind).extend(rows.into_iter().map(|row| row.head.id));
            }
            let all_read = Kind::ALL.into_iter().all(|kind| rest.of(kind).from >= rest.of(kind).to);
            if all_read || self.preflight.doubt == Doubt::Head {
                break;
            }
        }
        self.preflight.asked =
            Some(PerKind { page_visits: rest.page_visits.from, tab_aggregates: rest.tab_aggregates.from });
        // A head is asked about once; what one batch carries is sent at the same price.
        let limits = self.limits().records;
        let is_worth_it = Kind::ALL.into_iter().any(|kind| ids.of(kind).len() > *limits.of(kind));
        if self.preflight.doubt == Doubt::Head {
            self.preflight.doubt = Doubt::None;
        }
        if is_worth_it { self.put_question(preflight::question(&ids)).await } else { Ok(()) }
    }

    async fn put_question(&mut self, question: String) -> Result<(), Halt> {
        for attempt in 1.. {
            let settings = self.engine.settings();
            let token = settings.session.as_ref().map(|session| session.access_token.clone());
            let answer = self.ask("/data/sync/known", Payload::Json(question.clone()), token).await?;
            if let Some(known) = answer.as_ref().and_then(preflight::known) {
                for (id, revision) in known.page_visits {
                    self.preflight.known.page_visits.insert(id, revision);
                }
                for (id, revision) in known.tab_aggregates {
                    self.preflight.known.tab_aggregates.insert(id, revision);
                }
                return Ok(());
            }
            if answer.is_some_and(|answer| answer.status == 401)
                && self.refresh_once(self.must_stop(0)).await?
            {
                continue;
            }
            if attempt >= ATTEMPTS_IN_A_SLICE || !self.has_time_for(PAUSE_BETWEEN_QUESTIONS) {
                break;
            }
            self.engine.clock.sleep(PAUSE_BETWEEN_QUESTIONS).await;
        }
        self.preflight.doubt = Doubt::None;
        self.preflight.in_vain = true;
        Ok(())
    }
}
