//! Users who send batches through the whole router, without the network.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use clap::Parser;
use heyho_server::{
    app::App,
    auth::{
        AddressDigest,
        token::{Claims, Purpose},
    },
    config::Config,
    routes::router,
    store::NewAccount,
    time::UnixMillis,
};
use serde::Serialize;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::{
    cpu::cpu_time,
    median,
    records::{PER_BATCH, Records},
};

/// What sending came to.
#[derive(Serialize)]
pub struct Sent {
    pub records_per_second: f64,
    /// Of one batch, from its body to its answer.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of this process: all of it with SQLite, all but the database with PostgreSQL. None where the system doesn't tell.
    pub cpu_us_per_record: Option<f64>,
}

impl Sent {
    /// Of several times, each figure for itself.
    pub fn median(times: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(times.iter().map(figure));
        Self {
            records_per_second: of(|sent| sent.records_per_second),
            p50_ms: of(|sent| sent.p50_ms),
            p99_ms: of(|sent| sent.p99_ms),
            cpu_us_per_record: Some(median(times.iter().filter_map(|sent| sent.cpu_us_per_record)))
                .filter(|cpu| cpu.is_finite()),
        }
    }
}

/// Users with an open session each.
pub struct Senders {
    router: Router,
    tokens: Vec<String>,
}

impl Senders {
    pub async fn log_in(database: &str, senders: usize) -> Result<Self, Box<dyn Error>> {
        let flags = ["heyho-server", "--database", database, "--requests-per-minute", "1000000000"];
        let app = App::open(&Config::parse_from(flags)).await?;
        let (now, nowhere) = (UnixMillis::now(), AddressDigest(String::new()));
        let mut tokens = Vec::new();
        for number in 0..senders {
            let account = NewAccount {
                email: format!("{number}@example.com"),
                password_hash: String::new(),
                first_name: None,
                last_name: None,
            };
            app.store.create_account(&account, &nowhere, now).await?;
            let account = app.store.account_by_email(&account.email).await?.ok_or("no account")?;
            app.store.open_session(account.id, "ingest", &nowhere, now).await?;
            tokens.push(app.tokens.sign(&Claims::new(account.id, "ingest", 1, Purpose::Access, now))?);
        }
        Ok(Self { router: router(app), tokens })
    }

    /// So many records by so many users at the same time, each with one batch after the other.
    pub async fn send(
        &self,
        records: &mut Records,
        count: usize,
        senders: usize,
    ) -> Result<Sent, Box<dyn Error>> {
        let batches_each = (count / PER_BATCH / senders).max(1);
        let mut tasks = JoinSet::new();
        let bodies: Vec<Vec<String>> =
            (0..senders).map(|_| (0..batches_each).map(|_| records.batch()).collect()).collect();
        let cpu_before = cpu_time();
        let started = Instant::now();
        for (bodies, token) in bodies.into_iter().zip(&self.tokens) {
            tasks.spawn(one_after_the_other(self.router.clone(), token.clone(), bodies));
        }
        let mut times = Vec::new();
        while let Some(done) = tasks.join_next().await {
            times.extend(done?.map_err(|status| format!("a batch was answered with {status}"))?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu = cpu_before.and_then(|before| Some(cpu_time()? - before));
        times.sort();
        let sent = f64::from(u32::try_from(times.len() * PER_BATCH)?);
        Ok(Sent {
            records_per_second: sent / seconds,
            p50_ms: percentile_ms(&times, 50),
            p99_ms: percentile_ms(&times, 99),
            cpu_us_per_record: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / sent),
        })
    }
}

async fn one_after_the_other(
    router: Router,
    token: String,
    bodies: Vec<String>,
) -> Result<Vec<Duration>, StatusCode> {
    let mut times = Vec::with_capacity(bodies.len());
    for body in bodies {
        let started = Instant::now();
        let request = Request::post("/api/v1/data/sync")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", uuid::Uuid::now_v7().to_string())
            .body(Body::from(body))
            .map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(answer) = router.clone().oneshot(request).await;
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
