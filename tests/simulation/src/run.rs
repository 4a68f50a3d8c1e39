//! One run: the acts are played, the faults stop, everybody syncs, and the referee looks at both sides.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;

use heyho_sync::decisions::protocol::Answer;
use heyho_sync::decisions::report::Outcome;
use heyho_sync::engine::{RunOptions, Settings};
use heyho_sync::outbox::{Aside, OutboxError};
use heyho_sync::ports::store::StoreError;
use heyho_sync::words::kind::Kind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::record::sites::SiteRules;
use heyho_sync::words::record::{Head, Record};
use heyho_sync::words::time::UnixMillis;

use crate::act::Act;
use crate::network::NetworkFault;
use crate::random::Random;
use crate::referee;
use crate::scene::{Scene, TestEngine, join};
use crate::server::{Manner, Poison, RecordKey, Server};
use crate::store::StorageFault;
use crate::world::{End, World};

/// What the referee knows of a record.
#[derive(Debug, Clone)]
pub struct Known {
    /// Whose it is; none while nobody was signed in.
    pub owner: Option<u64>,
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
}

/// The run's own memory, beside the engine's.
#[derive(Debug, Default)]
pub struct Model {
    pub known: BTreeMap<RecordKey, Known>,
    /// Captured records, as told; and those of which nothing was told.
    pub captured: u64,
    pub maybe_captured: u64,
    pub account: Option<u64>,
    pub accounts_seen: BTreeSet<u64>,
    pub excluded: BTreeSet<u64>,
    pub ever_excluded: BTreeSet<u64>,
    pub discarded_by_user: bool,
    /// An answer was forged that can condemn an innocent record.
    pub forged_refusals: bool,
    /// Faults that fired, by name.
    pub fired: BTreeMap<&'static str, u64>,
    pub syncs: u64,
}

pub struct Run {
    pub scene: Scene,
    pub model: RefCell<Model>,
    engine: TestEngine,
    serial: u64,
    poison_percent: u64,
    paused: bool,
    tokens: u64,
}

const ACCOUNTS: u64 = 3;
const SITES: u64 = 5;

fn account_name(account: u64) -> String {
    format!("user-{account}")
}

impl Run {
    fn begin(seed: u64) -> Self {
        let random = Random::new(seed ^ 0xabcd_ef01);
        let manner = *random.pick(&[Manner::Strict, Manner::Strict, Manner::Partial, Manner::Published]);
        let server = Server {
            manner,
            gives_counts: random.chance(80),
            wants_order: manner == Manner::Published || random.chance(50),
            can_refresh: random.chance(50),
            tokens: BTreeMap::new(),
            ..Server::default()
        };
        let mut scene = Scene::with(server);
        scene.world = World::new(seed);
        scene.network = crate::network::Network::new(&scene.world, scene.network.server.take());
        scene.network.latency_ms.set(1 + random.below(40) as i64);
        let engine = scene.worker_as(None);
        let poison_percent = *random.pick(&[0, 0, 1, 3, 10]);
        Self { scene, model: RefCell::default(), engine, serial: 0, poison_percent, paused: false, tokens: 0 }
    }

    fn fired(&self, fault: &'static str) {
        *self.model.borrow_mut().fired.entry(fault).or_default() += 1;
    }

    fn session(&self) -> Option<Session> {
        let account = self.model.borrow().account?;
        Some(Session {
            account: account_name(account),
            access_token: format!("token-{account}-{}", self.tokens),
            refresh_token: Some(format!("refresh-{account}")),
            expires_at: None,
        })
    }

    // Opens a new worker over the same disk, as often as the disk makes it necessary.
    fn restart(&mut self) {
        let excluded = self.excluded();
        for _ in 0..20 {
            let engine = self.scene.closed_worker();
            let settings = Settings {
                server_url: "https://api.example.com/api/v1".into(),
                consent: true,
                paused: self.paused,
                excluded: excluded.clone(),
                session: self.session(),
                ..Settings::default()
            };
            if self.scene.world.run(engine.open(settings)).is_ok() {
                self.engine = engine;
                return;
            }
        }
        panic!("a worker can't open its database");
    }

    fn excluded(&self) -> SiteRules {
        SiteRules::new(self.model.borrow().excluded.iter().map(|site| format!("site-{site}.example")))
    }

    // The settings of now, for the referee in the network.
    fn publish_rules(&self) {
        let model = self.model.borrow();
        let network = &self.scene.network;
        *network.forbidden.borrow_mut() =
            model.excluded.iter().map(|site| format!("site-{site}.example")).collect();
        network.may_send.set(!self.paused && model.account.is_some());
    }

    fn make_units(&mut self, units: u64, salt: u64) -> Vec<Record> {
        let random = Random::new(salt);
        let mut records = Vec::new();
        let owner = self.model.borrow().account;
        let mut sources: Vec<String> = {
            let model = self.model.borrow();
            let mine = model
                .known
                .iter()
                .filter(|((kind, _), known)| *kind == 'v' && known.owner == owner && known.certain > 0);
            mine.map(|((_, id), _)| id.clone()).rev().take(5).collect()
        };
        for _ in 0..units {
            self.serial += 1;
            let id = format!("v{:06}", self.serial);
            let site = random.below(SITES);
            let source = (random.chance(60) && !sources.is_empty()).then(|| random.pick(&sources).clone());
            records.push(self.make('v', &id, 1, source, site, owner, &random));
            for number in 0..random.below(3) {
                let aggregate = format!("{id}.{number}");
                records.push(self.make('a', &aggregate, 1, Some(id.clone()), site, owner, &random));
            }
            sources.push(id);
        }
        records
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a record")]
    fn make(
        &self,
        kind: char,
        id: &str,
        revision: u64,
        refers_to: Option<String>,
        site: u64,
        owner: Option<u64>,
        random: &Random,
    ) -> Record {
        let mut model = self.model.borrow_mut();
        let poison = revision == 1 && random.chance(self.poison_percent);
        if poison {
            let how = *random.pick(&[Poison::Named, Poison::Silent, Poison::Crash]);
            self.scene.network.server.borrow_mut().poison.insert(id.to_owned(), how);
        }
        let known = model.known.entry((kind, id.to_owned())).or_insert(Known {
            owner,
            certain: 0,
            possible: 0,
            refers_to: refers_to.clone(),
            site,
            poison,
        });
        known.possible = known.possible.max(revision);
        let other = random.below(SITES);
        let (field, sites) = match kind {
            'v' => (format!(r#""url":"https://site-{site}.example/{revision}""#), vec![site]),
            _ if random.chance(20) => {
                (format!(r#""domain_durations":{{"site-{other}.example":1}}"#), vec![other])
            }
            _ => (r#""total_time_seconds":1"#.to_owned(), Vec::new()),
        };
        let reference = if kind == 'v' { "source_page_visit_id" } else { "page_visit_id" };
        let target = refers_to.as_ref().map_or("null".to_owned(), |id| format!("\"{id}\""));
        let body =
            format!(r#"{{"id":"{id}",{field},"{reference}":{target},"n":{revision},"revision":{revision}}}"#);
        let head = Head {
            kind: if kind == 'v' { Kind::PageVisit } else { Kind::TabAggregate },
            id: id.to_owned(),
            revision: revision as u32,
            refers_to,
            bytes: body.len() as u32,
            sites: sites.into_iter().map(|site| format!("site-{site}.example")).collect(),
        };
        Record { head, body }
    }

    // What a capture leaves certain: everything that may be recorded, if it was told as kept.
    fn captured(&self, identities: &[(RecordKey, u64)], told: Option<u64>) {
        let mut model = self.model.borrow_mut();
        match told {
            Some(count) => {
                model.captured += count;
                let excluded = model.excluded.clone();
                for (key, revision) in identities.iter().filter(|_| !self.paused) {
                    let Some(known) = model.known.get_mut(key) else { continue };
                    if !excluded.contains(&known.site) {
                        known.certain = known.certain.max(*revision);
                    }
                }
            }
            None => model.maybe_captured += identities.len() as u64,
        }
    }

    fn capture(&mut self, records: Vec<Record>, polls: u64) {
        let identities = identities(&records);
        let end = self.scene.world.run_for(self.engine.capture(records), polls);
        match end {
            End::Finished(Ok(recorded)) => self.captured(&identities, Some(recorded.captured)),
            End::Finished(Err(_)) => self.captured(&identities, None),
            End::Died => {
                self.fired("death in a capture");
                self.captured(&identities, None);
                self.restart();
            }
        }
    }

    fn sync(&mut self, by_hand: bool, polls: u64) {
        self.model.borrow_mut().syncs += 1;
        let options = RunOptions { by_hand, ..RunOptions::default() };
        match self.scene.world.run_for(self.engine.sync(options), polls) {
            End::Died => {
                // What a server asked for just before, nobody remembers.
                self.scene.network.forget_waits();
                self.fired("death in a sync");
                self.restart();
            }
            End::Finished(Ok(report)) => {
                assert!(report.balances(), "the report doesn't balance: {report:?}");
                assert_eq!(report.reason.is_some(), report.outcome == Outcome::Incomplete, "{report:?}");
            }
            End::Finished(Err(OutboxError::Store(_))) => {}
            End::Finished(Err(error)) => panic!("a sync ends with {error}"),
        }
    }

    fn sign_in(&mut self, account: u64) {
        self.tokens += 1;
        let token = format!("token-{account}-{}", self.tokens);
        self.scene.network.server.borrow_mut().tokens.insert(token, account_name(account));
        let before = self.model.borrow().account;
        {
            let mut model = self.model.borrow_mut();
            model.account = Some(account);
            if model.accounts_seen.iter().all(|seen| *seen == account) {
                model
                    .known
                    .values_mut()
                    .filter(|known| known.owner.is_none())
                    .for_each(|known| known.owner = Some(account));
            }
            model.accounts_seen.insert(account);
        }
        let _ = before;
    }

    fn apply_session(&mut self) {
        self.publish_rules();
        let session = self.session();
        let changed =
            self.scene.world.run(self.engine.change_settings(|settings| settings.session = session));
        if changed.is_err() {
            self.restart();
        }
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Capture { units, salt } => {
                let records = self.make_units(*units, *salt);
                self.capture(records, u64::MAX);
            }
            Act::CaptureAndDie { units, salt, polls } => {
                let records = self.make_units(*units, *salt);
                self.capture(records, *polls);
            }
            Act::Revise { which } => self.revise(*which, true),
            Act::CaptureAgain { which } => self.revise(*which, false),
            Act::Sync { by_hand } => self.sync(*by_hand, u64::MAX),
            Act::SyncAndDie { polls } => self.sync(false, *polls),
            Act::SyncWhileCapturing { units, salt, after_ms } => {
                let records = self.make_units(*units, *salt);
                let identities = identities(&records);
                self.model.borrow_mut().syncs += 1;
                let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
                let capture = pin!(async {
                    world.pass(*after_ms).await;
                    engine.capture(records).await
                });
                let sync = pin!(engine.sync(RunOptions::default()));
                let (_, kept) = self.scene.world.run(join(sync, capture));
                self.captured(&identities, kept.ok().map(|recorded| recorded.captured));
                self.fired("capture during an upload");
            }
            Act::SyncWhileSwitching { account, after_ms } => {
                self.sync_while_switching(account % ACCOUNTS, *after_ms)
            }
            Act::TwoSyncers => {
                self.model.borrow_mut().syncs += 1;
                let other = self.scene.closed_worker();
                if self.scene.world.run(other.open(self.engine.settings())).is_ok() {
                    let one = pin!(self.engine.sync(RunOptions::default()));
                    let two = pin!(other.sync(RunOptions::default()));
                    let _ = self.scene.world.run(join(one, two));
                    self.fired("second syncer");
                }
            }
            Act::FrozenSyncer { polls } => self.freeze(*polls),
            Act::Restart => {
                self.restart();
                self.fired("restart");
            }
            Act::Sleep { ms } => self.scene.world.sleep(*ms),
            Act::ClockJump { by_ms } => {
                self.scene.world.set_wall(UnixMillis(self.scene.world.wall().0 + by_ms));
                self.scene.network.forget_waits();
                self.fired(if *by_ms > 0 { "clock a day on" } else { "clock a day back" });
            }
            Act::ClockLost => {
                self.scene.world.set_wall(UnixMillis(1_000));
                self.scene.network.forget_waits();
                self.fired("clock in 1970");
            }
            Act::Network { fault, times, after } => self.plan_network_faults(*fault, *times, *after),
            Act::Disk { fault, after } => {
                let mut faults = self.scene.disk.faults.borrow_mut();
                faults.extend((0..*after).map(|_| StorageFault::None));
                faults.push_back(match fault {
                    0 => StorageFault::Fails(StoreError::QuotaExceeded),
                    1 => StorageFault::Fails(StoreError::Closed),
                    2 => StorageFault::Fails(StoreError::Failed("AbortError".into())),
                    _ => StorageFault::FailsAfterCommit(StoreError::Failed("AbortError".into())),
                });
            }
            Act::DiskRead { after } => {
                let mut faults = self.scene.disk.read_faults.borrow_mut();
                faults.extend((0..*after).map(|_| None));
                faults.push_back(Some(StoreError::Closed));
            }
            Act::SignIn { account } => {
                self.sign_in(account % ACCOUNTS);
                self.apply_session();
                self.fired("account switch");
            }
            Act::SignOut => {
                self.model.borrow_mut().account = None;
                self.apply_session();
                self.fired("sign-out");
            }
            Act::TokenEnds => {
                self.scene.network.server.borrow_mut().tokens.clear();
                self.fired("token ends");
            }
            Act::Pause(paused) => {
                self.paused = *paused;
                self.publish_rules();
                let changed =
                    self.scene.world.run(self.engine.change_settings(|settings| settings.paused = *paused));
                if changed.is_err() {
                    self.restart();
                }
            }
            Act::Exclude { site, excluded } => {
                let mut model = self.model.borrow_mut();
                if *excluded {
                    model.excluded.insert(*site);
                    model.ever_excluded.insert(*site);
                } else {
                    model.excluded.remove(site);
                }
                drop(model);
                self.publish_rules();
                let rules = self.excluded();
                let changed =
                    self.scene.world.run(self.engine.change_settings(|settings| settings.excluded = rules));
                if changed.is_err() {
                    self.restart();
                }
            }
            Act::RetryQuarantine => {
                let _ = self.scene.world.run(self.engine.put_back(Aside::Quarantine, None));
            }
            Act::DiscardQuarantined { which } => self.discard_quarantined(*which),
            Act::ServerHeals => {
                self.scene.network.server.borrow_mut().poison.clear();
                self.model.borrow_mut().known.values_mut().for_each(|known| known.poison = false);
                self.model.borrow_mut().forged_refusals = true;
            }
        }
        self.publish_rules();
        if self.scene.world.disk_failed.replace(false) {
            self.scene.network.forget_waits();
        }
        for fault in self
            .scene
            .disk
            .fired
            .borrow_mut()
            .drain(..)
            .chain(self.scene.network.fired.borrow_mut().drain(..))
        {
            self.fired(fault);
        }
    }

    fn revise(&mut self, which: u64, raised: bool) {
        let chosen = {
            let model = self.model.borrow();
            let mine: Vec<_> = model
                .known
                .iter()
                .filter(|(_, known)| known.owner == model.account && known.certain > 0)
                .collect();
            if mine.is_empty() {
                return;
            }
            let (key, known) = mine[(which % mine.len() as u64) as usize];
            (key.clone(), known.clone())
        };
        let ((kind, id), known) = chosen;
        let revision = if raised { known.possible + 1 } else { known.possible };
        // A re-capture repeats the body word for word: the same chance makes the same fields.
        let random = Random::new(which);
        if !raised && known.certain != known.possible {
            return;
        }
        if raised {
            let record = self.make(kind, &id, revision, known.refers_to, known.site, known.owner, &random);
            self.capture(vec![record], u64::MAX);
            self.fired("revision");
        }
    }

    fn sync_while_switching(&mut self, account: u64, after_ms: i64) {
        self.model.borrow_mut().syncs += 1;
        self.sign_in(account);
        let session = self.session();
        let failed = {
            let (world, engine) = (Rc::clone(&self.scene.world), &self.engine);
            let switch = pin!(async {
                world.pass(after_ms).await;
                engine.change_settings(|settings| settings.session = session).await
            });
            let sync = pin!(engine.sync(RunOptions::default()));
            self.scene.world.run(join(sync, switch)).1.is_err()
        };
        if failed {
            self.restart();
        }
        self.fired("account switch during an upload");
    }

    fn freeze(&mut self, polls: u64) {
        self.model.borrow_mut().syncs += 2;
        let other = self.scene.closed_worker();
        let world = Rc::clone(&self.scene.world);
        {
            let mut frozen = pin!(self.engine.sync(RunOptions::default()));
            if matches!(world.run_pinned(frozen.as_mut(), polls), End::Finished(_)) {
                return;
            }
            world.sleep(600_000);
            if world.run(other.open(self.engine.settings())).is_ok() {
                let _ = world.run(other.sync(RunOptions::default()));
            }
            // What it was about to send when it froze goes out late; nobody can hold it back.
            self.scene.network.forget_waits();
            let _ = world.run_pinned(frozen.as_mut(), u64::MAX);
        }
        self.fired("frozen syncer");
    }

    fn discard_quarantined(&mut self, which: u64) {
        let Ok(rows) = self.scene.world.run(self.engine.outbox().list(Aside::Quarantine)) else { return };
        if rows.is_empty() {
            return;
        }
        let id = rows[(which % rows.len() as u64) as usize].head.id.clone();
        self.model.borrow_mut().discarded_by_user = true;
        let _ = self.scene.world.run(self.engine.outbox().discard(Aside::Quarantine, vec![id]));
    }

    fn plan_network_faults(&self, fault: u64, times: u64, after: u64) {
        let instead = |status: u16, body: &str| {
            NetworkFault::Instead(Answer { status, body: body.to_owned(), ..Answer::default() })
        };
        let planned = match fault {
            0 => NetworkFault::LostRequest,
            1 => NetworkFault::LostAnswer,
            2 => NetworkFault::Slow(3_000),
            3 => NetworkFault::Slow(60_000),
            4 => instead(500, ""),
            5 => NetworkFault::Instead(Answer {
                status: 503,
                retry_after: Some("90".into()),
                ..Answer::default()
            }),
            6 => instead(429, r#"{"success":false,"retry_after":30}"#),
            7 => instead(200, "<html>Welcome to the hotel</html>"),
            8 => instead(302, ""),
            9 => instead(200, r#"{"success":false}"#),
            10 => NetworkFault::AnswerReplaced(Answer {
                status: 200,
                body: r#"{"success":true,"data":{"page_visits_synced":0,"tab_aggregates_synced":0}}"#.into(),
                ..Answer::default()
            }),
            11 => NetworkFault::AnswerCutOff,
            12 => instead(413, ""),
            13 => instead(401, ""),
            14 => instead(400, r#"{"success":false,"errors":[]}"#),
            _ => instead(204, ""),
        };
        if matches!(fault, 4 | 10 | 12 | 14) {
            self.model.borrow_mut().forged_refusals = true;
        }
        let mut faults = self.scene.network.faults.borrow_mut();
        faults.extend((0..after).map(|_| None));
        faults.extend((0..times).map(|_| Some(planned.clone())));
    }

    // The faults stop; every account syncs until nothing more moves.
    fn calm_down(&mut self) {
        self.scene.network.faults.borrow_mut().clear();
        self.scene.disk.faults.borrow_mut().clear();
        self.scene.disk.read_faults.borrow_mut().clear();
        self.paused = false;
        self.restart();
        let accounts: Vec<u64> = self.model.borrow().accounts_seen.iter().copied().collect();
        for account in accounts {
            self.sign_in(account);
            self.apply_session();
            self.publish_rules();
            let mut before = u64::MAX;
            let mut unmoved = 0;
            while unmoved < 12 {
                self.scene.world.sleep(90_000_000);
                self.sync(false, u64::MAX);
                let status = self.scene.status(&self.engine);
                let left = status.pending.total();
                if left == 0 {
                    break;
                }
                unmoved = if left < before { 0 } else { unmoved + 1 };
                before = left;
            }
        }
    }
}

fn identities(records: &[Record]) -> Vec<(RecordKey, u64)> {
    let kind = |record: &Record| if record.head.kind == Kind::PageVisit { 'v' } else { 'a' };
    let identity =
        |record: &Record| ((kind(record), record.head.id.clone()), u64::from(record.head.revision));
    records.iter().map(identity).collect()
}

/// Plays the acts of a seed; panics with what is wrong. Returns the faults that fired, by name. `tell` hears of every
/// act and every request.
pub fn play(seed: u64, acts: &[Act], tell: fn(&str)) -> BTreeMap<&'static str, u64> {
    let mut run = Run::begin(seed);
    run.scene.network.tell.set(tell);
    run.publish_rules();
    for act in acts {
        tell(&format!("{act:?}"));
        run.play(act);
    }
    tell("the faults stop");
    run.calm_down();
    let status = run.scene.status(&run.engine);
    referee::judge(&run.scene, &run.model.borrow(), &status);
    run.model.into_inner().fired
}
