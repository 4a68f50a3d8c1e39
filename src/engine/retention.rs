//! Retention: what nobody takes for the archive age is set aside, visible and restorable.

use super::Engine;
use super::slice::Slice;
use super::sync::Halt;
use super::upload::Fates;
use super::windows::Windows;
use crate::decisions::preflight::Known;
use crate::decisions::protocol::Answer;
use crate::decisions::retention;
use crate::decisions::suspects::Unexplained;
use crate::decisions::sync_state::ProblemCode;
use crate::outbox::{Aside, Fate, OutboxError};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::Transport;
use crate::words::kind::Kind;
use crate::words::policy::WINDOW_RECORDS;
use crate::words::time::UnixMillis;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Sends set-aside records after all, all of them where `ids` is none; a visit's aggregates come with it. Their age
    /// begins anew. Returns how many rows came back.
    ///
    /// # Errors
    /// [`OutboxError`] where the database fails.
    pub async fn put_back(&self, aside: Aside, ids: Option<Vec<String>>) -> Result<u64, OutboxError> {
        let back = self.outbox.put_back(aside, ids, self.clock.now()).await?;
        self.host.changed();
        Ok(back)
    }
}

impl<S, T, C, H> Slice<'_, S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Compares the clocks.
    pub(super) fn note_clock(&mut self, answer: &Answer) {
        self.clock_is_right =
            retention::clock_agrees(answer, self.engine.clock.now()).unwrap_or(self.clock_is_right);
    }

    /// After a run that ended in trouble: sets aside what is too old by now. Whether anything was.
    pub(super) async fn archive_old(&mut self, problem: ProblemCode) -> Result<bool, Halt> {
        if self.stores > 0 {
            return Ok(false);
        }
        let (now, right) = (self.engine.clock.now(), self.clock_is_right);
        let earlier = self.state.undelivered_since;
        let since = retention::undelivered_since(earlier, problem, right, now);
        if since != earlier {
            self.note(Box::new(|state| state.undelivered_since = since)).await?;
        }
        let age = self.engine.settings().policy.archive_after;
        let Some(up_to) = retention::archived_up_to(since, right, age, now) else { return Ok(false) };
        let mut anything = false;
        while self.archive_window(up_to).await? {
            anything = true;
        }
        Ok(anything)
    }

    // The oldest window of this account; whether anything of it was set aside.
    async fn archive_window(&mut self, up_to: UnixMillis) -> Result<bool, Halt> {
        let books = self.engine.outbox.overview().await?.books;
        let next = self.owner.as_ref().and_then(|owner| books.next_to_send(owner, None));
        let Some((epoch, ranges)) = next else { return Ok(false) };
        let found = self.engine.outbox.window(ranges, WINDOW_RECORDS).await?;
        let old: Vec<_> = Kind::ALL
            .into_iter()
            .flat_map(|kind| found.of(kind).iter().filter(|row| row.captured_at <= up_to).cloned())
            .collect();
        if old.is_empty() {
            return Ok(false);
        }
        self.windows = Windows::new();
        self.windows.begin(epoch, ranges);
        self.windows.take_in(found, &Unexplained::default(), &Known::default());
        let note = serde_json::json!({ "reason": "too_old", "at": self.engine.clock.now() }).to_string();
        let mut fates = Fates::<S::Body>::default();
        for row in old {
            fates.of_mut(row.head.kind).push((row, Fate::Archived(note.clone())));
        }
        self.settle(fates, Box::new(|_| {})).await?;
        Ok(true)
    }
}
