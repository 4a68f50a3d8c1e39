//! What clients send: the rules for a batch, and behind them the whole server with a database of its own.

use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use clap::Parser;
use heyho_server::app::App;
use heyho_server::auth::AddressDigest;
use heyho_server::auth::token::{Claims, Purpose};
use heyho_server::config::Config;
use heyho_server::error::FailedRecord;
use heyho_server::routes::router;
use heyho_server::store::NewAccount;
use heyho_server::time::UnixMillis;
use heyho_server::validation::{BatchError, check_batch};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::targets::behaviour;

const SESSION: &str = "fuzz";

thread_local! {
    // Nothing can be said about a server that doesn't start.
    static BACKEND: Backend = Backend::start().expect("the server starts");
}

struct Backend {
    runtime: Runtime,
    app: App,
    router: Router,
    user_id: i64,
    folder: PathBuf,
}

impl Backend {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        // In memory where the system has such a folder: nobody needs these rows after a power cut.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder =
            parent.join(format!("heyho-fuzz-{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir(&folder)?;
        let database = format!("sqlite://{}", folder.join("fuzz.db").display());
        let flags = ["heyho-server", "--database", &database, "--requests-per-minute", "1000000000"];
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (app, user_id) = runtime.block_on(open(&Config::parse_from(flags)))?;
        Ok(Self { router: router(app.clone()), runtime, app, user_id, folder })
    }

    /// Status and body of the answer.
    fn sync(&self, body: &[u8]) -> Result<(u16, Value), Box<dyn std::error::Error>> {
        // Access tokens live shorter than a run.
        let claims = Claims::new(self.user_id, SESSION, 1, Purpose::Access, UnixMillis::now());
        let request = Request::post("/api/v1/data/sync")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.app.tokens.sign(&claims)?))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_vec()))?;
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await?;
            let status = answer.status().as_u16();
            Ok((status, serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await?)?))
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn open(config: &Config) -> Result<(App, i64), Box<dyn std::error::Error>> {
    let app = App::open(config).await?;
    let (now, nowhere) = (UnixMillis::now(), AddressDigest(String::new()));
    let account = NewAccount {
        email: "fuzz@example.com".to_owned(),
        password_hash: String::new(),
        first_name: None,
        last_name: None,
    };
    app.store.create_account(&account, &nowhere, now).await?;
    let account = app.store.account_by_email(&account.email).await?.ok_or("no account")?;
    app.store.open_session(account.id, SESSION, &nowhere, now).await?;
    Ok((app, account.id))
}

/// The input is a body of `POST /data/sync`.
pub(crate) fn run_batch(input: &[u8]) -> u64 {
    let (expected, sent, failed) = match check_batch(input) {
        Ok(batch) => {
            assert!(input.trim_ascii_start().starts_with(b"{"), "a batch that is no object");
            assert!(
                batch.page_visits.len() + batch.tab_aggregates.len() <= batch.sent,
                "records out of nothing"
            );
            assert!(
                batch.page_visits.is_sorted_by(|one, next| one.id < next.id),
                "an id twice, or out of order"
            );
            (200, batch.sent, Vec::new())
        }
        Err(BatchError::Refused { failed, .. }) => (400, 0, failed),
        Err(BatchError::NotABatch(rule)) => return behaviour(rule),
        Err(BatchError::TooManyRecords(_)) => return behaviour("too many"),
    };
    if !failed.is_empty() {
        others_are_taken(input, &failed);
    }
    let (status, answer) = BACKEND.with(|backend| backend.sync(input)).expect("an answer");
    assert_eq!(status, expected, "{answer}");
    let count = |name: &str| answer["data"][name].as_u64().unwrap_or_default();
    let [created, updated, ignored] = ["created", "updated", "ignored_records_count"].map(count);
    let stored = count("page_visits_synced") + count("tab_aggregates_synced");
    assert_eq!(stored, created + updated, "{answer}");
    assert_eq!(stored + ignored, sent as u64, "{answer}");
    // Not the fields: they may have any name.
    let rules = failed.iter().map(|record| (record.record_type, record.error));
    let (first, last) = (rules.clone().min(), rules.max());
    behaviour((status, first, last, created.min(2), updated.min(2), ignored.min(2)))
}

// Whoever leaves out what was named can send the rest.
fn others_are_taken(input: &[u8], failed: &[FailedRecord]) {
    let Ok(mut body) = serde_json::from_slice::<Value>(input) else { return };
    for (array, kind) in [("pageVisits", "page_visit"), ("tabAggregates", "tab_aggregate")] {
        if let Some(records) = body[array].as_array() {
            let is_named =
                |index| failed.iter().any(|record| record.record_type == kind && record.index == index);
            let rest =
                records.iter().enumerate().filter(|(index, _)| !is_named(*index)).map(|(_, record)| record);
            body[array] = json!(rest.collect::<Vec<_>>());
        }
    }
    if let Err(error) = check_batch(body.to_string().as_bytes()) {
        panic!("{error:?} without the records that were named");
    }
}
