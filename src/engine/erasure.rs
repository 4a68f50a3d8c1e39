//! What the user wants gone: erased here at once, asked of the server with the next slice (rule 11).

use super::slice::Slice;
use super::sync::{End, Halt};
use super::{Engine, EngineError};
use crate::decisions::erasure::{Intent, Scope, Search};
use crate::decisions::schedule;
use crate::decisions::sync_state::ProblemCode;
use crate::decisions::tracker::{self, Step, TrackerState};
use crate::decisions::verdict::{Cause, Sent, Verdict};
use crate::outbox::{OutboxError, Overview};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::{Store, StoreError};
use crate::ports::transport::{Payload, Request, Transport};
use crate::words::kind::PerKind;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Erases what falls under `scope`: here, before this returns, and, for everything or a site, at the server of every
    /// account that this installation knows, as soon as that account is signed in and the server answers. `everywhere`
    /// false keeps the erase of everything to what is not sent yet.
    ///
    /// A slice that is at work begins no more requests; what is in flight arrives, and the server is asked after it.
    ///
    /// # Errors
    /// [`EngineError::Outbox`] where the database fails. An erase that was begun is gone on with before anything is sent.
    pub async fn erase(&self, scope: Scope, everywhere: bool) -> Result<(), EngineError> {
        let _turn = self.changing.lock().await;
        self.erased.set(self.erased.get().wrapping_add(1));
        let now = self.clock.now();
        if scope == Scope::All {
            let mut remembered = self.tracker.lock().await;
            self.outbox.erase_all(everywhere, now).await?;
            *remembered = Some(TrackerState::default());
        } else {
            self.outbox.will_erase(&scope, now).await?;
        }
        let Overview { books, state, .. } = self.erase_what_is_left().await?;
        self.mirror(&books, &state).await;
        let owner = self.settings().owner();
        if owner.is_some_and(|owner| state.erasures.next_at(&owner, now).is_some()) {
            self.host.arm_retry(Some(schedule::retry_alarm(state.retry.as_ref(), now)));
        }
        self.host.changed();
        match state.erasures.here.is_empty() {
            true => Ok(()),
            false => Err(OutboxError::Store(StoreError::Failed("left behind".into())).into()),
        }
    }

    /// Erases here what was to be and is not yet: asked for just now, or when a worker died at it. Returns what the
    /// database says then. What could not be erased stands in its memory still, and in nobody's way.
    pub(super) async fn erase_what_is_left(&self) -> Result<Overview, OutboxError> {
        let mut overview = self.healed_overview().await?;
        for scope in std::mem::take(&mut overview.state.erasures.here) {
            if scope != Scope::All {
                let search = Search::new(&scope);
                self.track(Box::new(|state, _| {
                    tracker::forget_pages(state, &|url| search.finds_page(url), &|host| {
                        search.finds_host(host)
                    });
                    Step::default()
                }))
                .await?;
                self.outbox.erase_rows(&scope, self.clock.now()).await?;
            }
            // Nobody can look through a damaged database that was left behind.
            if self.outbox.store().delete_left_behind().await.is_ok() {
                self.outbox.has_erased(&scope).await?;
            }
            overview = self.outbox.overview().await?;
        }
        Ok(overview)
    }

    /// Hands over to the account that is signed in, because the user says so: what was captured signed out, or, where a
    /// server's `origin` is given, what waits for that one. Returns how many records that wait went.
    ///
    /// # Errors
    /// [`EngineError::NobodysChoice`] where nobody is signed in, or several accounts of that server come into question.
    pub async fn claim(&self, origin: Option<&str>) -> Result<PerKind<u64>, EngineError> {
        let _turn = self.changing.lock().await;
        let claimed = self.outbox.claim(origin).await?.ok_or(EngineError::NobodysChoice)?;
        if claimed.total() > 0 {
            self.host.arm_retry(Some(schedule::retry_alarm(None, self.clock.now())));
        }
        self.host.changed();
        Ok(claimed)
    }
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Asks the server for every erase of its owner that is due, before anything else is sent: nothing is in flight now.
    /// What this server fails at stands in nobody's way.
    pub(super) async fn ask_to_erase(&mut self) -> Result<(), Halt> {
        let Some(owner) = self.owner.clone() else { return Ok(()) };
        let begun = self.engine.clock.now();
        for intent in self.state.erasures.due(&owner, begun, self.options.by_hand) {
            let mut verdict = self.exchange_erase(&intent).await?;
            if verdict == Verdict::LoginExpired && self.refresh_once(self.must_stop_erasing(0)).await? {
                verdict = self.exchange_erase(&intent).await?;
            }
            let now = self.engine.clock.now();
            let random = self.engine.clock.random_u64();
            match verdict {
                Verdict::Acknowledged(_) => {
                    // Where nothing else is to be sent, nothing else can tell that the server answers again.
                    let is_all = self.report.remaining.total() == 0;
                    self.note(Box::new(|state| {
                        state.erasures.confirmed(&intent);
                        state.retry = state.retry.filter(|_| !is_all);
                        state.problem = state.problem.filter(|_| !is_all);
                    }))
                    .await?;
                }
                Verdict::LoginExpired => return self.give_up(ProblemCode::SignInAgain, None).await,
                Verdict::Transient { cause, wait }
                    if wait.is_some() || matches!(cause, Cause::NoAnswer(_)) =>
                {
                    return self.give_up(cause.into(), wait).await;
                }
                verdict => {
                    self.note(Box::new(|state| state.erasures.put_off(&intent, &verdict, now, random)))
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn exchange_erase(&mut self, intent: &Intent) -> Result<Verdict, Halt> {
        if let Some(stop) = self.must_stop_erasing(0) {
            return Err(Halt::End(End::Stopped(stop)));
        }
        let settings = self.engine.settings();
        let request = Request {
            url: format!("{}/data/erase", settings.server_url.trim_end_matches('/')),
            bearer: settings.session.as_ref().map(|session| session.access_token.clone()),
            idempotency_key: None,
            payload: Payload::Json(intent.body()),
            timeout: settings.policy.request_timeout,
        };
        self.report.requests += 1;
        let outcome = self.engine.transport.send(request).await;
        let sent = Sent { records: &[], compressed: false, counts_expected: false };
        Ok(self.judge_answer(sent, &outcome))
    }
}
