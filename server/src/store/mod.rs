//! The database: SQLite or PostgreSQL behind one schema and one query layer.
//!
//! Both speak the same SQL here; the few places that differ go through [`Dialect`].

mod accounts;
mod audit;
mod batches;
mod browsing_data;
mod connection;
mod dialect;
mod erasures;
mod group_commit;
mod idempotency;
mod known;
mod migrations;
mod rate_limits;
mod record_tables;
mod sessions;
mod sign_ups;
mod sync_log;

use std::{borrow::Cow, io, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Any, AnyPool, ConnectOptions, Connection, Executor, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::policy::{self, RateLimit};

pub use accounts::{Account, NewAccount};
pub use audit::AuditAction;
pub use batches::{Metered, SyncCounts};
pub use browsing_data::{StoredPageVisit, StoredTabAggregate};
pub use dialect::Dialect;
pub use erasures::Erased;
pub use idempotency::Idempotency;
pub use known::{Known, KnownRecord};
pub use sessions::Session;
pub use sync_log::{SyncLogEntry, SyncStatus};

use record_tables::RecordStatements;

/// What can go wrong with the database. Never carries a bound value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("the database URL must start with sqlite:// or postgres://")]
    UnknownDatabase,
    /// The account was deleted while its token was still good.
    #[error("the account is gone")]
    AccountGone,
    /// The schema can't be brought up to date.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The operating system has no randomness.
    #[error("no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// A value can't be written as JSON.
    #[error("encoding: {0}")]
    Encoding(#[from] serde_json::Error),
    /// The database file can't be made.
    #[error("database file: {0}")]
    File(#[from] io::Error),
    /// As many erasures as a user may have, and another one.
    #[error("too many erasures")]
    TooManyErasures,
    /// Anything the driver reports.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Anything SQLite reports to those who save batches.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)) => true,
            _ => self.code().is_some_and(|code| dialect::is_temporary_code(&code)),
        }
    }

    /// Whether the database gave a transaction up because of another one, so that it can be run again at once.
    fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| dialect::is_conflict_code(&code))
    }

    /// The database's own code for it.
    fn code(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code(),
            Self::Sqlite(error) => Some(error.sqlite_error()?.extended_code.to_string().into()),
            _ => None,
        }
    }
}

/// A connection that was used so lately still stands.
const IDLE_UNTESTED: Duration = Duration::from_secs(1);

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    /// SQLite has one writer. Waiting for it here is fair and in order; its busy handler is neither.
    writer: Option<Arc<Semaphore>>,
    /// There, batches are committed together.
    sqlite: Option<Arc<group_commit::SqliteWriter>>,
    statements: Arc<RecordStatements>,
    user_limit: RateLimit,
}

impl Store {
    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Connections that are open, and those of them that nobody uses.
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Connects, creates the SQLite file if it is missing (readable for this user alone), and brings the schema up to
    /// date.
    pub async fn open(url: &str, user_limit: RateLimit) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of_url(url)?;
        dialect.create_file(url)?;
        let options = AnyConnectOptions::from_str(url)?.disable_statement_logging();
        let pool = AnyPoolOptions::new()
            .max_connections(match dialect {
                Dialect::Sqlite => policy::SQLITE_CONNECTIONS,
                Dialect::Postgres => policy::POSTGRES_CONNECTIONS,
            })
            .acquire_timeout(Duration::from_secs(policy::DATABASE_WAIT_SECONDS))
            // A round trip for every request, to find what seldom is: a connection that broke while nobody used it.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for > IDLE_UNTESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in dialect.connection_settings() {
                        connection.execute(*statement).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        migrations::migrator().run(&pool).await?;
        let sqlite = match dialect {
            Dialect::Sqlite => Some(Arc::new(group_commit::SqliteWriter::open(url)?)),
            Dialect::Postgres => None,
        };
        Ok(Self {
            pool,
            dialect,
            writer: (dialect == Dialect::Sqlite).then(|| Arc::new(Semaphore::new(1))),
            sqlite,
            statements: Arc::new(RecordStatements::new(dialect)),
            user_limit,
        })
    }

    /// Waits for the connections to finish and closes them.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A secret that all replicas share, made by the first one that asks.
    pub async fn shared_secret(&self, name: &str) -> Result<String, StoreError> {
        let mut random = [0u8; 32];
        getrandom::fill(&mut random)?;
        let fresh: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut write = self.begin_write().await?;
        sqlx::query("insert into server_secrets (name, value) values ($1, $2) on conflict (name) do nothing")
            .bind(name)
            .bind(fresh)
            .execute(&mut *write.transaction)
            .await?;
        let secret = sqlx::query_scalar("select value from server_secrets where name = $1")
            .bind(name)
            .fetch_one(&mut *write.transaction)
            .await?;
        write.commit().await?;
        Ok(secret)
    }

    async fn begin_write(&self) -> Result<Write, StoreError> {
        let turn = self.turn().await;
        let transaction = self.pool.begin_with(self.dialect.begin_write()).await?;
        Ok(Write { transaction, user_limit: self.user_limit, _turn: turn })
    }

    /// Waits for the turn to write, where there is one writer.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        match &self.writer {
            Some(writer) => Arc::clone(writer).acquire_owned().await.ok(),
            None => None,
        }
    }
}

/// A transaction that may write. Dropped without a commit, it leaves nothing behind.
struct Write<C = Transaction<'static, Any>> {
    transaction: C,
    user_limit: RateLimit,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Write {
    async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}
