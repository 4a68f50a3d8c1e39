//! One run: the acts are played, the faults stop, everybody syncs, and the referee looks at both sides.

use std::collections::BTreeMap;
use std::rc::Rc;

use heyho_sync::decisions::report::Outcome;
use heyho_sync::decisions::status::Status;
use heyho_sync::engine::{EngineError, RunOptions, Settings};
use heyho_sync::outbox::{Aside, OutboxError};
use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::words::kind::PerKind;
use heyho_sync::words::owner::Session;
use heyho_sync::words::policy::Policy;
use heyho_sync::words::record::RecordError;
use heyho_sync::words::time::{Millis, UnixMillis};

use crate::abilities;
use crate::act::Act;
use crate::model::{ACCOUNTS, Model, SERVERS, Somebody, account_of, server_of, somebody};
use crate::network::Network;
use crate::random::Random;
use crate::referee;
use crate::scene::{SERVER_URLS, Scene, TestEngine, exported, imported};
use crate::server::{Manner, Server};
use crate::store::{Disk, Medium};
use crate::world::{End, World, at_once};

/// What every run holds at least: records captured, faults fired, syncs.
pub const MINIMUM: (u64, u64, u64) = (200, 3, 2);

pub struct Run<M = MemoryStore> {
    pub(crate) scene: Scene<M>,
    pub(crate) model: Model,
    pub(crate) engine: TestEngine<M>,
    pub(crate) policy: Policy,
    pub(crate) poison_percent: u64,
    pub(crate) serial: u64,
    logins: u64,
    /// The last export.
    file: Option<String>,
}

/// What became of a run.
#[derive(Debug, Default)]
pub struct Account {
    /// What happened, by name.
    pub fired: BTreeMap<&'static str, u64>,
    pub records: u64,
    pub faults: u64,
    pub syncs: u64,
}

impl Account {
    /// Whether the run holds what every run is to hold.
    pub fn is_enough(&self) -> bool {
        let (records, faults, syncs) = MINIMUM;
        self.records >= records && self.faults >= faults && self.syncs >= syncs
    }
}

fn some_server(random: &Random, name: &'static str) -> Server {
    let manner = *random.pick(&[Manner::Strict, Manner::Strict, Manner::Partial, Manner::Published]);
    let published = manner == Manner::Published;
    let mut server = Server {
        manner,
        name,
        gives_counts: published || random.chance(80),
        can_refresh: !published && random.chance(50),
        knows_keys: manner == Manner::Strict && random.chance(50),
        max_records: if random.chance(10) { 30 } else { 100 },
        tokens: BTreeMap::new(),
        ..Server::default()
    };
    abilities::draw(random, &mut server);
    server
}

impl<M: Medium> Run<M> {
    async fn begin(seed: u64, memory: Rc<M>) -> Self {
        let random = Random::new(seed ^ 0xabcd_ef01);
        let world = World::new(seed);
        let servers = ["s0-", "s1-"].map(|name| some_server(&random, name));
        let [server, other] = servers;
        let network = Network::new(&world, server);
        network.other.replace(other);
        network.latency_ms.set(1 + random.below(40) as i64);
        let scene = Scene { world, network, disk: Disk::over(memory), browser: Rc::default() };
        let mut policy = Policy::default();
        if random.chance(20) {
            policy.max_body_bytes = 16 * 1024;
        }
        if random.chance(15) {
            policy.archive_after = Millis::from_days(1 + random.below(3) as i64);
        }
        scene.network.tells_date.set(random.chance(50));
        scene.network.most_bytes.set(policy.max_body_bytes);
        let engine = scene.closed_worker();
        let poison_percent = *random.pick(&[0, 0, 0, 0, 1, 1, 2, 6]);
        let model = Model { may_archive: scene.network.tells_date.get(), ..Model::default() };
        let mut run = Self { scene, model, engine, policy, poison_percent, serial: 0, logins: 0, file: None };
        run.restart().await;
        run
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            server_url: SERVER_URLS[self.model.server as usize].into(),
            consent: !self.model.consent_withdrawn,
            paused: self.model.paused,
            excluded: self.model.site_rules(),
            session: self.session(),
            policy: self.policy.clone(),
            ..Settings::default()
        }
    }

    fn session(&self) -> Option<Session> {
        let owner = self.model.owner?;
        let (server, account) = (server_of(owner), owner % ACCOUNTS);
        Some(Session {
            account: account_of(owner),
            access_token: format!("s{server}-token-{account}-{}", self.logins),
            refresh_token: Some(format!("s{server}-refresh-{account}")),
            expires_at: None,
        })
    }

    /// Opens a new worker over the same disk, as often as the disk makes it necessary.
    pub(crate) async fn restart(&mut self) {
        for _ in 0..20 {
            let engine = self.scene.closed_worker();
            if self.scene.world.live(engine.open(self.settings())).await.is_ok() {
                self.engine = engine;
                return;
            }
        }
        panic!("a worker can't open its database");
    }

    pub(crate) async fn status(&self) -> Status {
        self.scene.world.live(self.engine.status()).await.expect("the status")
    }

    /// Tells the referee in the network what may be sent now.
    pub(crate) fn publish_rules(&self) {
        let network = &self.scene.network;
        *network.forbidden.borrow_mut() = self.model.excluded_sites();
        network.may_send.set(self.model.records_anything() && self.model.owner.is_some());
    }

    /// Hands the settings of now to the engine. Where the disk fails, a new worker begins with them.
    pub(crate) async fn apply_settings(&mut self) {
        self.publish_rules();
        let after = self.settings();
        let changed = self.scene.world.live(self.engine.change_settings(|settings| *settings = after)).await;
        if changed.is_err() {
            self.restart().await;
        }
    }

    /// Somebody signs in; their server knows it.
    pub(crate) fn sign_in(&mut self, owner: Somebody) {
        self.logins += 1;
        if server_of(owner) != self.model.server {
            // Waits that a server asked for are forgotten with the server.
            self.scene.network.forget_waits();
        }
        self.model.server = server_of(owner);
        self.model.sign_in(owner);
        let token = self.session().map(|session| session.access_token).unwrap_or_default();
        let server = self.scene.network.server_at(SERVER_URLS[server_of(owner) as usize]);
        server.borrow_mut().tokens.insert(token, account_of(owner));
    }

    pub(crate) async fn sync(&mut self, by_hand: bool, polls: u64) {
        self.model.syncs += 1;
        self.scene.browser.fire(self.scene.world.wall());
        let options = RunOptions { by_hand, ..RunOptions::default() };
        match self.scene.world.live_for(self.engine.sync(options), polls).await {
            End::Died => {
                // What a server asked for just before, nobody remembers.
                self.scene.network.forget_waits();
                self.model.fired("death in a sync");
                self.restart().await;
            }
            End::Finished(Ok(report)) => {
                assert!(report.balances(), "the report doesn't balance: {report:?}");
                assert_eq!(report.reason.is_some(), report.outcome == Outcome::Incomplete, "{report:?}");
                referee::check_alarm(&self.scene, &self.model, &report).await;
            }
            End::Finished(Err(OutboxError::Store(_))) => {}
            End::Finished(Err(error)) => panic!("a sync ends with {error}"),
        }
    }

    async fn play(&mut self, act: &Act) {
        match act {
            Act::Capture { units, salt } => {
                let records = self.make_units(*units, *salt);
                self.capture(records, u64::MAX).await;
            }
            Act::CaptureAndDie { units, salt, polls } => {
                let records = self.make_units(*units, *salt);
                self.capture(records, *polls).await;
            }
            Act::Revise { which, times } => self.revise(*which, *times).await,
            Act::CaptureAgain { which } => self.capture_again(*which).await,
            Act::CaptureAltered { which } => self.capture_altered(*which).await,
            Act::Sync { by_hand } => self.sync(*by_hand, u64::MAX).await,
            Act::SyncAndDie { polls } => self.sync(false, *polls).await,
            Act::SyncWhileCapturing { units, salt, after_ms } => {
                self.sync_while_capturing(*units, *salt, *after_ms).await;
            }
            Act::SyncWhileSwitching { to, after_ms } => {
                self.sync_while_switching(to % (ACCOUNTS * SERVERS), *after_ms).await;
            }
            Act::SyncWhileExcluding { site, after_ms } => self.sync_while_excluding(*site, *after_ms).await,
            Act::TwoSyncers => self.two_syncers().await,
            Act::FrozenSyncer { polls } => self.freeze(*polls).await,
            Act::Restart => {
                self.restart().await;
                self.model.fired("restart");
            }
            Act::Sleep { ms } => self.scene.world.sleep(*ms),
            Act::ClockJump { by_ms } => {
                self.scene.world.set_wall(UnixMillis(self.scene.world.wall().0 + by_ms));
                self.scene.network.forget_waits();
                self.model.fired(if *by_ms > 0 { "clock a day on" } else { "clock a day back" });
            }
            Act::ClockLost => {
                self.scene.world.set_wall(UnixMillis(1_000));
                self.scene.network.forget_waits();
                self.model.fired("clock in 1970");
            }
            Act::Network { fault, times, after } => self.plan_network_faults(*fault, *times, *after),
            Act::Disk { fault, after } => self.plan_disk_fault(*fault, *after),
            Act::DiskRead { after } => self.plan_read_fault(*after),
            Act::SignIn { account } => {
                self.sign_in(somebody(self.model.server, account % ACCOUNTS));
                self.apply_settings().await;
                self.model.fired("account switch");
            }
            Act::SignOut => {
                self.model.owner = None;
                self.apply_settings().await;
                self.model.fired("sign-out");
            }
            Act::ChangeServer { alone } => self.change_server(*alone).await,
            Act::TokenEnds => {
                for server in self.scene.network.servers() {
                    let mut server = server.borrow_mut();
                    let ended = std::mem::take(&mut server.tokens);
                    server.ended.extend(ended);
                }
                self.model.fired("token ends");
            }
            Act::Pause(paused) => {
                self.model.paused = *paused;
                self.apply_settings().await;
                self.model.fired("pause changes");
            }
            Act::Consent(given) => {
                self.model.consent_withdrawn = !given;
                self.apply_settings().await;
                self.model.fired("consent changes");
            }
            Act::Exclude { site, excluded } => {
                if *excluded {
                    self.model.excluded.insert(*site);
                    self.model.ever_excluded.insert(*site);
                } else {
                    self.model.excluded.remove(site);
                }
                self.apply_settings().await;
                self.model.fired("exclusion changes");
            }
            Act::RetryQuarantine { which } => self.retry_quarantine(*which).await,
            Act::DiscardQuarantined { which } => self.discard_quarantined(*which).await,
            Act::RefusedForMonths => self.refuse_for_months().await,
            Act::RestoreArchive { which } => self.restore_archive(*which).await,
            Act::DiscardArchived { which } => self.discard_archived(*which).await,
            Act::AbilitiesChange { server, salt } => self.change_abilities(*server, *salt),
            Act::Compare { polls } => self.compare(*polls).await,
            Act::Questions { fault, times } => self.plan_question_faults(*fault, *times),
            Act::Export => {
                if let Ok(file) = self.scene.world.live(exported(&self.engine)).await {
                    self.file = Some(file);
                    self.model.fired("export");
                }
            }
            Act::Import => self.import().await,
            Act::Reset => {
                let reset = self.scene.world.live(self.engine.outbox().reset()).await;
                // One that is told as failed may have been done.
                self.scene.network.forget_waits();
                if reset.is_ok() {
                    self.model.fired("reset");
                }
            }
            Act::ServerHeals => {
                for server in self.scene.network.servers() {
                    server.borrow_mut().poison.clear();
                }
                self.model.known.values_mut().for_each(|known| known.poison = false);
                self.model.fired("server heals");
            }
            Act::Answers { status, wait, times, after } => self.plan_answers(*status, *wait, *times, *after),
            Act::QuestionAnswers { status, wait, times } => {
                self.plan_question_answers(*status, *wait, *times)
            }
            Act::AnswersAltered { flaw, times, after } => self.plan_altered_answers(*flaw, *times, *after),
            Act::Latencies { most_ms, salt } => {
                self.scene.network.latencies.replace(Some((Random::new(*salt), *most_ms)));
                self.model.fired("latencies differ");
            }
            Act::SyncWhileComparing { after_ms } => self.sync_while_comparing(*after_ms).await,
            Act::Narrow { records, together } => {
                let records = *records as usize;
                self.policy.max_records = PerKind { page_visits: records, tab_aggregates: records };
                self.policy.max_in_flight = *together as usize;
                self.apply_settings().await;
                self.scene.network.most_together.set(*together as usize);
                self.model.fired("small batches");
            }
            Act::LiveOn => self.model.lives_on = true,
            Act::Minimum { salt } => self.reach_the_minimum(*salt).await,
        }
        self.publish_rules();
        self.note_faults();
    }

    // Counts the faults that the ports report.
    fn note_faults(&mut self) {
        if self.scene.world.disk_failed.replace(false) {
            self.scene.network.forget_waits();
        }
        let disk = self.scene.disk.fired.take();
        let network = self.scene.network.fired.take();
        disk.into_iter().chain(network).for_each(|fault| self.model.fired(fault));
        for server in self.scene.network.servers() {
            let mut happened = std::mem::take(&mut server.borrow_mut().happened);
            happened.sort_unstable();
            happened.dedup();
            happened.into_iter().for_each(|what| self.model.fired(what));
        }
    }

    // The last act of every script: what earlier acts left short is made up for.
    async fn reach_the_minimum(&mut self, salt: u64) {
        let (records, faults, _) = MINIMUM;
        self.note_faults();
        (self.model.paused, self.model.consent_withdrawn) = (false, false);
        self.model.excluded.clear();
        let owner = self.model.owner.unwrap_or(somebody(self.model.server, 0));
        self.sign_in(owner);
        self.apply_settings().await;
        for round in 0..20 {
            let enough_records = self.model.captured >= records;
            if !enough_records {
                let units = self.make_units(records.div_ceil(4), salt.wrapping_add(round));
                self.capture(units, u64::MAX).await;
            }
            match self.model.faults() >= faults {
                true if enough_records => break,
                true => continue,
                false => {}
            }
            self.plan_network_faults(round % 3, 1, 0);
            let unit = self.make_units(1, salt.wrapping_sub(round));
            self.capture(unit, u64::MAX).await;
            self.scene.world.sleep(90_000_000);
            self.sync(true, u64::MAX).await;
            self.note_faults();
        }
    }

    // The user chooses the other server: with a login there, or without a word about one.
    async fn change_server(&mut self, alone: bool) {
        let server = (self.model.server + 1) % SERVERS;
        match self.model.owner.filter(|_| !alone) {
            Some(owner) => {
                self.sign_in(somebody(server, owner % ACCOUNTS));
                self.apply_settings().await;
            }
            None => {
                self.scene.network.forget_waits();
                self.model.server = server;
                self.model.owner = None;
                self.publish_rules();
                let url = SERVER_URLS[server as usize].to_owned();
                let changed = self
                    .scene
                    .world
                    .live(self.engine.change_settings(|settings| settings.server_url = url))
                    .await;
                if changed.is_err() {
                    self.restart().await;
                }
            }
        }
        self.model.fired("server change");
    }

    async fn retry_quarantine(&mut self, which: u64) {
        let rows = self.scene.world.live(self.engine.outbox().list(Aside::Quarantine)).await;
        let Ok(rows) = rows else { return };
        let one = rows.get(which as usize % rows.len().max(1)).map(|row| vec![row.head.id.clone()]);
        let ids = one.filter(|_| which.is_multiple_of(2));
        if let Ok(back) = self.scene.world.live(self.engine.put_back(Aside::Quarantine, ids)).await
            && back > 0
        {
            self.model.fired("quarantine retried");
        }
    }

    async fn discard_quarantined(&mut self, which: u64) {
        let outbox = self.engine.outbox();
        let Ok(rows) = self.scene.world.live(outbox.list(Aside::Quarantine)).await else { return };
        let Some(row) = rows.get(which as usize % rows.len().max(1)) else { return };
        self.model.discarded_by_user = true;
        let gone = self.scene.world.live(outbox.discard(Aside::Quarantine, vec![row.head.id.clone()])).await;
        if gone.is_ok_and(|gone| gone > 0) {
            self.model.fired("quarantine discarded");
        }
    }

    // The published backend knows no revisions: what an old file would set back there is left out of it.
    async fn import(&mut self) {
        let Some(file) = self.file.take() else { return };
        let newest_wins =
            self.scene.network.servers().iter().any(|server| server.borrow().manner == Manner::Published);
        let is_latest = |line: &&str| !newest_wins || self.model.is_latest(line);
        let file: String = file.lines().filter(is_latest).flat_map(|line| [line, "\n"]).collect();
        let lines = file.lines().count() as u64;
        match self.scene.world.live(imported(&self.engine, &file)).await {
            Ok(imported) => {
                let held = RecordError::RevisionHeld.code();
                let refused = imported.refused.iter().find(|line| line.code != held);
                assert!(refused.is_none(), "a line of an export is refused: {refused:?}");
                self.model.captured += imported.recorded.captured;
                self.model.fired("import");
            }
            Err(EngineError::Outbox(OutboxError::Store(_))) => self.model.maybe_captured += lines,
            Err(error) => panic!("an import ends with {error}"),
        }
    }
}

/// Plays the acts of a seed; panics with what is wrong. `tell` hears of every act and every request.
pub fn play(seed: u64, acts: &[Act], tell: Option<fn(&str)>) -> Account {
    at_once(play_over(Rc::<MemoryStore>::default(), seed, acts, tell))
}

/// The same over a store that may take real time.
pub async fn play_over<M: Medium>(memory: Rc<M>, seed: u64, acts: &[Act], tell: Option<fn(&str)>) -> Account {
    let mut run = Box::pin(Run::begin(seed, memory)).await;
    run.scene.network.tell.set(tell);
    run.publish_rules();
    let say = |line: &dyn std::fmt::Debug| {
        if let Some(tell) = tell {
            tell(&format!("{line:?}"));
        }
    };
    for act in acts {
        say(act);
        Box::pin(run.play(act)).await;
    }
    say(&"the faults stop");
    Box::pin(run.calm_down()).await;
    let status = run.status().await;
    referee::judge(&run.scene, &run.model, &status).await;
    run.lose_and_compare().await;
    let Model { captured, syncs, .. } = run.model;
    let faults = run.model.faults();
    Account { fired: run.model.fired, records: captured, faults, syncs }
}
