//! One look at both sides: what the server has acknowledged, against what it says that it has.

use super::{Engine, Settings};
use crate::decisions::abilities::Learnt;
use crate::decisions::backoff::{self, Retry};
use crate::decisions::delivered::mark_of;
use crate::decisions::preflight::{self, Known};
use crate::decisions::protocol::Answer;
use crate::decisions::receipts::{self, Receipt};
use crate::decisions::reconcile::{self, Reconciliation};
use crate::decisions::schedule::{self, Gate, Situation, Stop};
use crate::decisions::sync_state::ProblemCode;
use crate::outbox::{OutboxError, Overview};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Body, Store, Table};
use crate::ports::transport::{Payload, Request, Transport};
use crate::words::key::KeyRange;
use crate::words::kind::PerKind;
use crate::words::owner::{self, Owner};
use crate::words::policy::RECEIPTS_COMPARED_AT_ONCE;

/// Rows of receipts that are read at once: at most some four thousand receipts.
const ROWS_AT_ONCE: usize = 20;

/// Why a comparison ends before its end.
enum Halt {
    Because(&'static str),
    Outbox(OutboxError),
}

impl From<OutboxError> for Halt {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

const NO_ANSWER: Halt = Halt::Because("no answer");

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Asks the server, where it answers such questions, for every record that it has acknowledged and that is still
    /// known here, and says what is missing there. Nothing but ids is sent, and nothing is changed.
    ///
    /// # Errors
    /// [`OutboxError`] where the database fails.
    pub async fn reconcile(&self) -> Result<Reconciliation, OutboxError> {
        let Overview { books, state, .. } = self.outbox.overview().await?;
        // Nobody's records were ever acknowledged.
        let owner = self.settings().owner().unwrap_or_else(Owner::unknown);
        let mut found = Reconciliation::begin(&books, &owner);
        match self.compare_with_server(&owner, state.retry, &mut found).await {
            Ok(()) => {}
            Err(Halt::Because(reason)) => found.reason = Some(reason),
            Err(Halt::Outbox(error)) => return Err(error),
        }
        found.compared_at = self.clock.now();
        Ok(found)
    }

    async fn compare_with_server(
        &self,
        owner: &Owner,
        retry: Option<Retry>,
        found: &mut Reconciliation,
    ) -> Result<(), Halt> {
        let answer = self.inquire(owner, retry, "capabilities", None).await?;
        let mut learnt = Learnt::default();
        learnt.note(Some(&answer), self.clock.now());
        let Some(most_ids) = learnt.abilities.preflight_ids else {
            return Err(if learnt.answered { Halt::Because("not offered") } else { NO_ANSWER });
        };
        found.there = reconcile::totals(&self.inquire(owner, retry, "status", None).await?);
        let most_ids = most_ids.min(RECEIPTS_COMPARED_AT_ONCE);
        let mark = mark_of(Some(owner));
        let (mut range, mut at_end) = (KeyRange::everything(), false);
        let mut unasked = Vec::<Receipt>::new();
        while !at_end || !unasked.is_empty() {
            if !at_end && unasked.len() < most_ids {
                let rows = self.outbox.page(Table::Receipts, range, ROWS_AT_ONCE).await?;
                match rows.last() {
                    Some(last) => range.from = last.key.next(),
                    None => at_end = true,
                }
                for row in rows.iter().filter(|row| row.head.id == mark) {
                    unasked.extend(receipts::read(&row.body.text()));
                }
                continue;
            }
            let some: Vec<Receipt> = unasked.drain(..most_ids.min(unasked.len())).collect();
            let mut ids = PerKind::<Vec<String>>::default();
            for receipt in &some {
                ids.of_mut(receipt.kind).push(receipt.id.clone());
            }
            let mut known = Known::default();
            // What is missing may have been erased together with its visit: the second question is about these.
            for _ in 0..2 {
                let answer = self.inquire(owner, retry, "known", Some(preflight::question(&ids))).await?;
                let answered = preflight::known(&answer).ok_or(NO_ANSWER)?;
                known.page_visits.extend(answered.page_visits);
                known.tab_aggregates.extend(answered.tab_aggregates);
                ids = PerKind::default();
                ids.page_visits = reconcile::visits_in_question(&some, &known);
                if ids.page_visits.is_empty() {
                    break;
                }
            }
            found.take(&some, &known, &|at| self.clock.day_of(at));
        }
        Ok(())
    }

    // One question. Before it, all that keeps a sync from beginning keeps it back too; a wait that the server asks for
    // instead of an answer holds for the next sync (rule 7). A login that has expired is renewed.
    async fn inquire(
        &self,
        owner: &Owner,
        retry: Option<Retry>,
        route: &str,
        question: Option<String>,
    ) -> Result<Answer, Halt> {
        let (mut expired, mut renewed) = (false, false);
        loop {
            let now = self.clock.now();
            let settings = self.settings();
            if let Gate::Stop(stop) = schedule::gate(&self.situation(&settings, owner, retry), now) {
                return Err(Halt::Because(stop.as_str()));
            }
            let asked = if std::mem::take(&mut expired) {
                match self.refresh_login().await {
                    Ok(true) if !std::mem::replace(&mut renewed, true) => continue,
                    Ok(_) => return Err(Halt::Because(ProblemCode::SignInAgain.as_str())),
                    Err(asked) => asked,
                }
            } else {
                let request = Request {
                    url: format!("{}/data/sync/{route}", settings.server_url.trim_end_matches('/')),
                    bearer: settings.session.as_ref().map(|session| session.access_token.clone()),
                    idempotency_key: None,
                    payload: question.clone().map_or(Payload::Nothing, Payload::Json),
                    timeout: settings.policy.request_timeout,
                };
                let answer = self.transport.send(request).await.map_err(|_| NO_ANSWER)?;
                let asked = backoff::asked_wait(&answer, now).filter(|_| answer.status != 200);
                expired = answer.status == 401;
                match asked {
                    None if expired && renewed => {
                        return Err(Halt::Because(ProblemCode::SignInAgain.as_str()));
                    }
                    None if expired => continue,
                    None => return Ok(answer),
                    Some(asked) => asked,
                }
            };
            self.heed(&owner.origin, asked);
            let answered_at = self.clock.now();
            let random = self.clock.random_u64();
            let retry = Retry::after_failure(retry.as_ref(), Some(asked), answered_at, random);
            self.outbox.heed(&owner.origin, retry).await?;
            return Err(Halt::Because(Stop::Waiting.as_str()));
        }
    }

    fn situation(&self, settings: &Settings, owner: &Owner, retry: Option<Retry>) -> Situation {
        Situation {
            consent: settings.consent,
            paused: settings.paused,
            signed_in: settings.owner().as_ref() == Some(owner),
            address_is_safe: owner::may_be_sent_to(&settings.server_url),
            anything_to_send: true,
            anything_to_erase: false,
            retry: self.holding(retry),
            by_hand: true,
        }
    }
}
