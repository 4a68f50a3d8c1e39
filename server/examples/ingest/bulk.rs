//! The physical limit: the same rows by the database's own bulk load, with the same keys and indexes.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use heyho_server::{
    store::Dialect,
    validation::{Batch, check_batch},
};
use rusqlite::{params_from_iter, types::Value as SqliteValue};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    cpu::cpu_time,
    median,
    records::{PER_BATCH, Records},
};

/// A connection beside the server's, without the server's layers.
pub enum Bulk {
    /// One prepared insert in one transaction.
    Sqlite(rusqlite::Connection),
    /// COPY.
    Postgres(PgConnection),
}

const TABLES: [&str; 2] = ["page_visits", "tab_aggregates"];

/// What loading came to.
#[derive(Serialize)]
pub struct Loaded {
    pub records_per_second: f64,
    /// Of this process, as for what is sent.
    pub cpu_us_per_record: Option<f64>,
}

impl Loaded {
    /// Of several loads, each figure for itself.
    pub fn median(loads: &[Self]) -> Self {
        Self {
            records_per_second: median(loads.iter().map(|load| load.records_per_second)),
            cpu_us_per_record: Some(median(loads.iter().filter_map(|load| load.cpu_us_per_record)))
                .filter(|cpu| cpu.is_finite()),
        }
    }
}

/// Rows of both tables, each row as the server would store it.
type Rows = [Vec<Map<String, Value>>; 2];

impl Bulk {
    pub async fn connect(database: &str) -> Result<Self, Box<dyn Error>> {
        match Dialect::of_url(database)? {
            Dialect::Sqlite => {
                let file = database.trim_start_matches("sqlite:").trim_start_matches("//");
                let connection = rusqlite::Connection::open(file)?;
                // As the server's connections.
                connection.execute_batch(
                    "pragma busy_timeout = 10000; pragma synchronous = full; pragma cache_size = -8000; \
                     pragma wal_autocheckpoint = 4000",
                )?;
                Ok(Self::Sqlite(connection))
            }
            Dialect::Postgres => Ok(Self::Postgres(PgConnection::connect(database).await?)),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Rows in both tables.
    pub async fn rows(&mut self) -> Result<usize, Box<dyn Error>> {
        let sql = "select (select count(*) from page_visits) + (select count(*) from tab_aggregates)";
        let rows: i64 = match self {
            Self::Sqlite(connection) => connection.query_row(sql, [], |row| row.get(0))?,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await?,
        };
        Ok(usize::try_from(rows)?)
    }

    /// Removes all rows, and what is left of them in the files.
    pub async fn clear(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Sqlite(connection) => {
                connection.execute_batch("delete from page_visits; delete from tab_aggregates; vacuum")?;
            }
            Self::Postgres(connection) => {
                connection.execute("truncate page_visits, tab_aggregates").await?;
            }
        }
        Ok(())
    }

    /// Has the database finish what was written before, so that nobody pays for another.
    pub async fn settle(&mut self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch("pragma wal_checkpoint(truncate)")?,
            Self::Postgres(connection) => {
                connection.execute("checkpoint").await?;
            }
        }
        Ok(())
    }

    /// Loads so many records of so many users.
    pub async fn load(
        &mut self,
        records: &mut Records,
        count: usize,
        users: usize,
    ) -> Result<Loaded, Box<dyn Error>> {
        // In portions, or a million rows would lie in memory.
        const PORTION: usize = 100_000;
        let (mut time, mut cpu, mut loaded) = (Duration::ZERO, Some(Duration::ZERO), 0);
        while loaded < count {
            let rows = rows(records, (count - loaded).min(PORTION), users)?;
            loaded += rows.iter().map(Vec::len).sum::<usize>();
            let Taken { wall, processor } = match self {
                Self::Sqlite(connection) => load_sqlite(connection, &rows)?,
                Self::Postgres(connection) => load_postgres(connection, &rows).await?,
            };
            time += wall;
            cpu = cpu.zip(processor).map(|(before, more)| before + more);
        }
        let loaded = f64::from(u32::try_from(loaded)?);
        Ok(Loaded {
            records_per_second: loaded / time.as_secs_f64(),
            cpu_us_per_record: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / loaded),
        })
    }
}

/// Time that a portion took.
struct Taken {
    wall: Duration,
    processor: Option<Duration>,
}

/// Running since it was made.
struct Clock(Instant, Option<Duration>);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), cpu_time())
    }

    fn stop(self) -> Taken {
        let processor = self.1.and_then(|before| Some(cpu_time()? - before));
        Taken { wall: self.0.elapsed(), processor }
    }
}

/// As many users as send take turns, so that the rows fall into the same order.
fn rows(records: &mut Records, count: usize, users: usize) -> Result<Rows, Box<dyn Error>> {
    let mut rows = [Vec::new(), Vec::new()];
    for number in 0..count.div_ceil(PER_BATCH) {
        let user_id = number % users;
        let batch = check_batch(records.batch().as_bytes()).map_err(|_| "a batch that breaks the rules")?;
        let Batch { page_visits, tab_aggregates, .. } = batch;
        let [visits, aggregates] = &mut rows;
        visits.extend(page_visits.iter().filter_map(|visit| row(user_id, visit)));
        aggregates.extend(tab_aggregates.iter().filter_map(|aggregate| row(user_id, aggregate)));
    }
    Ok(rows)
}

/// A record's fields are named as the columns.
fn row(user_id: usize, record: &impl Serialize) -> Option<Map<String, Value>> {
    let Ok(Value::Object(fields)) = serde_json::to_value(record) else { return None };
    let user_id = i64::try_from(user_id).ok()?;
    let own = [("user_id", user_id), ("stored_revisions", 1), ("stored_at_ms", 1_761_040_000_000_i64)];
    Some(own.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().chain(fields).collect())
}

fn columns(rows: &[Map<String, Value>]) -> Vec<&str> {
    rows.first().map(|row| row.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn load_sqlite(connection: &mut rusqlite::Connection, rows: &Rows) -> Result<Taken, Box<dyn Error>> {
    let values = |row: &Map<String, Value>| row.values().map(sqlite_value).collect::<Vec<_>>();
    let ready: Vec<Vec<Vec<SqliteValue>>> =
        rows.iter().map(|rows| rows.iter().map(values).collect()).collect();
    let clock = Clock::start();
    let transaction = connection.transaction()?;
    for ((table, named), rows) in TABLES.iter().zip(rows).zip(&ready) {
        let columns = columns(named);
        let sql = format!(
            "insert into {table} ({}) values (?{})",
            columns.join(", "),
            ", ?".repeat(columns.len().saturating_sub(1))
        );
        let mut insert = transaction.prepare(&sql)?;
        for row in rows {
            insert.execute(params_from_iter(row))?;
        }
    }
    transaction.commit()?;
    Ok(clock.stop())
}

fn sqlite_value(value: &Value) -> SqliteValue {
    match value {
        Value::String(text) => SqliteValue::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => SqliteValue::Integer(integer),
            None => SqliteValue::Real(number.as_f64().unwrap_or_default()),
        },
        _ => SqliteValue::Null,
    }
}

async fn load_postgres(connection: &mut PgConnection, rows: &Rows) -> Result<Taken, Box<dyn Error>> {
    let line = |row: &Map<String, Value>| row.values().map(copy_field).collect::<Vec<_>>().join("\t") + "\n";
    let ready = rows.each_ref().map(|rows| rows.iter().map(line).collect::<String>());
    let clock = Clock::start();
    let mut transaction = connection.begin().await?;
    for ((table, rows), text) in TABLES.iter().zip(rows).zip(ready) {
        let sql = format!("copy {table} ({}) from stdin", columns(rows).join(", "));
        let mut copy = transaction.copy_in_raw(&sql).await?;
        copy.send(text.into_bytes()).await?;
        copy.finish().await?;
    }
    transaction.commit().await?;
    Ok(clock.stop())
}

/// A field in COPY's text format.
fn copy_field(value: &Value) -> String {
    match value {
        Value::String(text) => {
            text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
        }
        Value::Null => "\\N".to_owned(),
        other => other.to_string(),
    }
}
