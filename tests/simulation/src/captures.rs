//! What is captured in a run: new units, revisions, repetitions, and other content under a revision that is held.

use heyho_sync::outbox::OutboxError;
use heyho_sync::words::record::Record;

use crate::model::SITES;
use crate::random::Random;
use crate::records::{Plan, identities, plan_again};
use crate::referee;
use crate::run::Run;
use crate::server::Poison;
use crate::store::Medium;
use crate::world::End;

impl<M: Medium> Run<M> {
    pub(crate) fn make_units(&mut self, units: u64, salt: u64) -> Vec<Record> {
        let random = Random::new(salt);
        let mut records = Vec::new();
        let owner = self.model.owner;
        let known = self.model.known.iter().rev();
        let mine =
            known.filter(|((kind, _), known)| *kind == 'v' && known.owner == owner && known.certain > 0);
        let mut sources: Vec<String> = mine.take(5).map(|((_, id), _)| id.clone()).collect();
        for _ in 0..units {
            self.serial += 1;
            let id = format!("v{:06}", self.serial);
            let site = random.below(SITES);
            let source = (random.chance(60) && !sources.is_empty()).then(|| random.pick(&sources).clone());
            records.push(self.make('v', &id, source, site, &random));
            for number in 0..random.below(3) {
                let aggregate = format!("{id}.{number}");
                records.push(self.make('a', &aggregate, Some(id.clone()), site, &random));
            }
            sources.push(id);
        }
        records
    }

    fn make(
        &mut self,
        kind: char,
        id: &str,
        refers_to: Option<String>,
        site: u64,
        random: &Random,
    ) -> Record {
        let poison = random
            .chance(self.poison_percent)
            .then(|| *random.pick(&[Poison::Named, Poison::Silent, Poison::Crash]));
        if let Some(how) = poison {
            for server in self.scene.network.servers() {
                server.borrow_mut().poison.insert(id.to_owned(), how);
            }
        }
        let plan = Plan { kind, id: id.to_owned(), revision: 1, refers_to, site, chance: random.next() };
        let owner = self.model.owner;
        self.model.make(plan, owner, poison)
    }

    pub(crate) async fn capture(&mut self, records: Vec<Record>, polls: u64) {
        let identities = identities(&records);
        match self.scene.world.live_for(self.engine.capture(records), polls).await {
            End::Finished(Ok(recorded)) => {
                if recorded.held_already > 0 {
                    self.model.fired("repetition known");
                }
                self.model.captured(&identities, Some(recorded.captured));
            }
            End::Finished(Err(OutboxError::RevisionHeld { .. })) => {}
            End::Finished(Err(_)) => self.model.captured(&identities, None),
            End::Died => {
                self.model.fired("death in a capture");
                self.model.captured(&identities, None);
                self.restart().await;
            }
        }
    }

    pub(crate) async fn revise(&mut self, which: u64, times: u64) {
        let Some((key, known)) = self.model.one_of_mine(which) else { return };
        let first = known.possible + 1;
        let owner = known.owner;
        let records = (first..first + times)
            .map(|revision| {
                let plan = plan_again((key.clone(), known.clone()), revision, which.wrapping_add(revision));
                self.model.make(plan, owner, None)
            })
            .collect();
        self.capture(records, u64::MAX).await;
        self.model.fired("revision");
    }

    pub(crate) async fn capture_again(&mut self, which: u64) {
        let Some((key, known)) = self.model.one_of_mine(which) else { return };
        let plan = plan_again((key, known.clone()), known.possible, known.chance);
        let record = self.model.make(plan, known.owner, None);
        self.capture(vec![record], u64::MAX).await;
        self.model.fired("captured again");
    }

    // Other content under a revision that is held is refused; where the record is gone, nobody can tell.
    pub(crate) async fn capture_altered(&mut self, which: u64) {
        let Some((key, known)) = self.model.one_of_mine(which) else { return };
        let is_held = referee::holds(&self.scene, &key, known.certain).await;
        if !is_held || known.certain != known.possible || self.model.excluded.contains(&known.site) {
            return;
        }
        let record = crate::records::make(&plan_again((key, known.clone()), known.certain, known.chance + 1));
        if !self.model.records_anything() || self.model.site_rules().may_touch(&record.head.sites) {
            return;
        }
        match self.scene.world.live(self.engine.capture(vec![record])).await {
            Err(OutboxError::RevisionHeld { .. }) => self.model.fired("content changed under its revision"),
            Err(OutboxError::Store(_)) => {}
            other => panic!("other content under a revision that is held: {other:?}"),
        }
    }
}
