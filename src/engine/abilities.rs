//! What the server can do beyond storing batches: asked for, and made use of. None of it stands in a sync's way.

use super::slice::Slice;
use super::sync::{End, Halt};
use super::upload::Parcel;
use crate::decisions::backoff;
use crate::decisions::batch::Limits;
use crate::decisions::metrics::Uploads;
use crate::decisions::protocol::Answer;
use crate::decisions::sync_state::{ProblemCode, ServerMemory, SyncState};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::{Payload, Request, Transport};
use crate::words::policy::{LEAST_COMPRESSED_BYTES, QUESTION_TIMEOUT};

/// What a slice has learnt and not yet written; it travels with the next write.
#[derive(Debug, Default)]
pub(super) struct News {
    learnt: Option<ServerMemory>,
    pub(super) uploads: Uploads,
}

impl News {
    /// Adds it to what is remembered. Another server may have been set meanwhile: that one's memory is not touched.
    pub(super) fn tell(self, state: &mut SyncState) {
        if let Some(server) = self.learnt.filter(|server| server.origin == state.server.origin) {
            state.server.learnt = server.learnt;
        }
        state.uploads.extend(self.uploads);
    }
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Asks the server what it can do, when that is due.
    pub(super) async fn learn_abilities(&mut self) -> Result<(), Halt> {
        let now = self.engine.clock.now();
        if !self.state.server.learnt.is_due(now) {
            return Ok(());
        }
        let answer = self.ask("/data/sync/capabilities", Payload::Nothing, None).await?;
        self.state.server.learnt.note(answer.as_ref(), now);
        self.remember_learnt();
        Ok(())
    }

    /// Lets what is known of the server now travel with the next write.
    pub(super) fn remember_learnt(&mut self) {
        self.news.learnt = Some(self.state.server.clone());
    }

    /// Asks the server something that is no upload; none where no answer came in time. A wait that the server asks for
    /// ends the slice (rule 7).
    pub(super) async fn ask(
        &mut self,
        route: &str,
        payload: Payload<S::Body>,
        bearer: Option<String>,
    ) -> Result<Option<Answer>, Halt> {
        if let Some(stop) = self.must_stop(0) {
            return Err(Halt::End(End::Stopped(stop)));
        }
        let settings = self.engine.settings();
        let request = Request {
            url: format!("{}{route}", settings.server_url.trim_end_matches('/')),
            bearer,
            idempotency_key: None,
            payload,
            timeout: settings.policy.request_timeout.min(QUESTION_TIMEOUT),
        };
        let Ok(answer) = self.engine.transport.send(request).await else { return Ok(None) };
        let wait = backoff::asked_wait(&answer, self.engine.clock.now());
        if answer.status != 200 && wait.is_some() {
            self.give_up(ProblemCode::ServerTrouble, wait).await?;
        }
        Ok(Some(answer))
    }

    /// The limits of the next batch.
    pub(super) fn limits(&self) -> Limits {
        let ours = self.state.adaptive.limits(&self.engine.settings().policy);
        self.state.server.learnt.abilities.bounded(ours)
    }

    /// Whether a record may arrive before the one that it refers to.
    pub(super) const fn takes_any_order(&self) -> bool {
        self.state.server.learnt.abilities.any_order && !self.keeps_order
    }

    /// Compresses a parcel, where the server reads that and it is worth it.
    pub(super) async fn pack(&self, parcel: &mut Parcel<S::Body>) {
        let wish = self.engine.settings().policy.compress;
        let reads = self.state.server.learnt.compresses(wish, self.engine.clock.now());
        if reads && !parcel.is_empty() && parcel.bytes() >= LEAST_COMPRESSED_BYTES {
            parcel.pack(self.engine.transport.compress(parcel.payload()).await);
        }
    }

    /// Remembers that the server does not read compressed bodies, and unpacks the parcel.
    pub(super) async fn send_plain(&mut self, parcel: &mut Parcel<S::Body>) -> Result<(), Halt> {
        parcel.pack(None);
        self.state.server.learnt.gzip_refused_at = Some(self.engine.clock.now());
        self.remember_learnt();
        self.note(Box::new(|_| {})).await
    }
}
