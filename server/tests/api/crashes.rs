//! Servers that are killed in the middle of their work, as processes of their own.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinSet};

use crate::helpers::{TestApp, aggregate, on_every_database, visit, with};

on_every_database! {
    a_killed_server_leaves_whole_batches_and_all_that_it_acknowledged,
    replicas_under_load_hold_what_was_acknowledged_at_its_highest_revision,
}

/// How often the server is killed; `HEYHO_KILLS` makes it a long run.
fn kills() -> usize {
    std::env::var("HEYHO_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3)
}

/// A server as a process; killed with SIGKILL when dropped.
pub struct Process {
    child: Child,
    pub base: String,
}

impl Process {
    pub fn start(database_url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_heyho-server"))
            .args(["--listen", "127.0.0.1:0", "--database", database_url, "--requests-per-minute", "1000000"])
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, base: format!("{address}/api/v1") }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Random enough to mix things up, and the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Counts acknowledgements, and lets somebody wait for a number of them.
#[derive(Default)]
struct Acknowledged {
    count: AtomicUsize,
    changed: Notify,
}

impl Acknowledged {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    async fn reach(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::SeqCst) >= count {
                return;
            }
            changed.await;
        }
    }
}

/// True for a 200; false when the connection breaks, as it does when the server is killed.
async fn is_acknowledged(client: &Client, base: &str, token: &str, body: &Value) -> bool {
    let request = client.post(format!("{base}/data/sync")).bearer_auth(token).json(body);
    match request.send().await {
        Ok(response) => {
            assert_eq!(response.status(), 200, "{:?}", response.text().await);
            response.bytes().await.is_ok()
        }
        Err(_) => false,
    }
}

async fn a_killed_server_leaves_whole_batches_and_all_that_it_acknowledged(app: TestApp) {
    let token = app.user("a@example.com").await.token;
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    for round in 0..kills() {
        let process = Process::start(&app.database_url);
        let count = Arc::new(Acknowledged::default());
        let mut senders = JoinSet::new();
        for sender in 0..4 {
            let (base, token) = (process.base.clone(), token.clone());
            let (acknowledged, count) = (Arc::clone(&acknowledged), Arc::clone(&count));
            senders.spawn(async move {
                let client = Client::new();
                for number in 0.. {
                    let batch = format!("{round}-{sender}-{number}");
                    if !is_acknowledged(&client, &base, &token, &tagged_batch(&batch)).await {
                        return;
                    }
                    acknowledged.lock().unwrap().push(batch);
                    count.add();
                }
            });
        }
        count.reach(1 + round * 7 % 23).await;
        drop(process);
        while senders.join_next().await.is_some() {}
    }

    let odd_batches = "select count(*) from (select category_method from page_visits \
                       group by category_method having count(*) <> 20) as odd";
    assert_eq!(app.number(odd_batches).await, 0, "a part of the visits of a batch was stored");
    let lonely = "select count(*) from page_visits v full join tab_aggregates a \
                  on a.user_id = v.user_id and a.id = v.id where a.id is null or v.id is null";
    assert_eq!(app.number(lonely).await, 0, "half a batch was stored");
    let acknowledged = acknowledged.lock().unwrap().clone();
    let stored = app.strings("select distinct category_method from page_visits").await;
    for batch in &acknowledged {
        assert!(stored.contains(batch), "{batch} was acknowledged and is gone");
    }
    assert!(acknowledged.len() >= kills());
}

/// Twenty visits and as many aggregates that carry the name of their batch.
fn tagged_batch(batch: &str) -> Value {
    let ids: Vec<String> = (0..20).map(|number| format!("{batch}-{number}")).collect();
    let visits: Vec<Value> =
        ids.iter().map(|id| with(visit(id), json!({ "categoryMethod": batch }))).collect();
    let aggregates: Vec<Value> = ids.iter().map(|id| aggregate(id, id)).collect();
    json!({ "pageVisits": visits, "tabAggregates": aggregates })
}

async fn replicas_under_load_hold_what_was_acknowledged_at_its_highest_revision(app: TestApp) {
    const USERS: usize = 5;
    const SENDERS: usize = 50;
    const BATCHES: usize = 4;
    const IDS: usize = 60;
    let mut tokens = Vec::new();
    for number in 0..USERS {
        tokens.push(app.user(&format!("{number}@example.com")).await.token);
    }
    let (doomed, survivor) = (Process::start(&app.database_url), Process::start(&app.database_url));
    let highest: Arc<Mutex<HashMap<(usize, String), i64>>> = Arc::default();
    let count = Arc::new(Acknowledged::default());
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let user = sender % USERS;
        let (token, bases) = (tokens[user].clone(), [doomed.base.clone(), survivor.base.clone()]);
        let (highest, count) = (Arc::clone(&highest), Arc::clone(&count));
        senders.spawn(async move {
            let client = Client::new();
            let mut dice = Dice(u64::try_from(sender).unwrap());
            for _ in 0..BATCHES {
                let (batch, revisions) = mixed_batch(&mut dice, IDS);
                // Like our client: again and again, wherever there is a server, until it is acknowledged; then once more.
                let mut at = dice.below(2);
                while !is_acknowledged(&client, &bases[at], &token, &batch).await {
                    at = 1;
                }
                is_acknowledged(&client, &bases[1], &token, &batch).await;
                count.add();
                let mut highest = highest.lock().unwrap();
                for (id, revision) in revisions {
                    let held = highest.entry((user, id)).or_default();
                    *held = revision.max(*held);
                }
            }
        });
    }
    count.reach(SENDERS * BATCHES / 3).await;
    drop(doomed);
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }

    let highest = highest.lock().unwrap().clone();
    let stored = app.strings("select u.email || '/' || p.id || '/' || p.revision || '/' || p.tab_id from page_visits p join users u on u.id = p.user_id").await;
    let mut expected: Vec<String> = highest
        .iter()
        .map(|((user, id), revision)| format!("{user}@example.com/{id}/{revision}/{revision}"))
        .collect();
    let mut stored = stored;
    expected.sort();
    stored.sort();
    assert_eq!(stored, expected);
}

/// Visits of a small set of ids at random revisions, some of them twice, in any order. The tab id repeats the
/// revision, so that a row that was put together of two revisions would show.
fn mixed_batch(dice: &mut Dice, ids: usize) -> (Value, Vec<(String, i64)>) {
    let mut records = Vec::new();
    let mut revisions = Vec::new();
    for _ in 0..30 {
        let (id, revision) = (format!("id-{}", dice.below(ids)), 1 + i64::try_from(dice.below(50)).unwrap());
        let record = with(visit(&id), json!({ "revision": revision, "tabId": revision }));
        if dice.below(5) == 0 {
            records.push(record.clone());
        }
        records.push(record);
        revisions.push((id, revision));
    }
    dice.shuffle(&mut records);
    (json!({ "pageVisits": records }), revisions)
}
