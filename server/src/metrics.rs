//! What Prometheus reads. No label names a user or a record.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::store::SyncCounts;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Seconds. A batch of 200 takes some milliseconds; a client gives up at 25 s.
const DURATION_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 25.0];

/// All counters; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    batches: Family<OutcomeLabels, Counter>,
    records: Family<OutcomeLabels, Counter>,
    database_connections: Family<StateLabels, Gauge>,
    /// Connections of clients that are open.
    pub client_connections: Gauge,
}

impl Metrics {
    /// Starts at nothing.
    pub fn new() -> Self {
        let requests = Family::default();
        let durations: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let batches = Family::default();
        let records = Family::default();
        let database_connections = Family::default();
        let client_connections = Gauge::default();
        let mut registry = Registry::with_prefix("heyho");
        registry.register("http_requests", "Requests that were answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time to the head of the answer",
            durations.clone(),
        );
        registry.register("sync_batches", "Batches by what became of them", batches.clone());
        registry.register("sync_records", "Records by what became of them", records.clone());
        registry.register(
            "database_connections",
            "Connections to the database",
            database_connections.clone(),
        );
        registry.register("client_connections", "Connections of clients", client_connections.clone());
        Self {
            registry: Arc::new(registry),
            requests,
            durations,
            batches,
            records,
            database_connections,
            client_connections,
        }
    }

    /// Counts an answer. The route is the pattern, not the address.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, duration: Duration) {
        let route = route.to_owned();
        self.durations.get_or_create(&RouteLabels { route: route.clone() }).observe(duration.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }

    /// Counts a batch that was saved.
    pub fn batch_saved(&self, counts: &SyncCounts) {
        self.batches.get_or_create(&OutcomeLabels { outcome: "saved" }).inc();
        for (outcome, count) in [
            ("created", counts.created),
            ("updated", counts.updated),
            ("ignored", counts.ignored_records_count),
        ] {
            self.records
                .get_or_create(&OutcomeLabels { outcome })
                .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Counts a batch that was refused because of so many records.
    pub fn batch_refused(&self, refused: usize) {
        self.batches.get_or_create(&OutcomeLabels { outcome: "refused" }).inc();
        self.records
            .get_or_create(&OutcomeLabels { outcome: "refused" })
            .inc_by(u64::try_from(refused).unwrap_or(u64::MAX));
    }

    /// Everything as OpenMetrics text, with the database connections (open, and idle ones among them) of this moment.
    pub fn encode(&self, (open, idle): (u32, usize)) -> Result<String, fmt::Error> {
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        self.database_connections.get_or_create(&StateLabels { state: "idle" }).set(idle);
        self.database_connections.get_or_create(&StateLabels { state: "used" }).set(i64::from(open) - idle);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
