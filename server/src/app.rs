//! The server as a whole: database, keys, routes, socket.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    auth::token::TokenKey,
    config::Config,
    error::ApiError,
    mail::Mailer,
    memory::MemoryBudget,
    metrics::Metrics,
    policy::{self, RateLimit},
    routes, serve,
    store::{Store, StoreError},
    time::UnixMillis,
};

/// Why the server didn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be opened or brought up to date.
    #[error("database: {0}")]
    Database(#[from] StoreError),
    /// Whoever guesses the secret is everybody.
    #[error("the secret that signs tokens must have at least {} characters", policy::MIN_SECRET_BYTES)]
    ShortSecret,
    /// The address is taken or not ours.
    #[error("listen address: {0}")]
    Listen(#[from] io::Error),
}

/// What every request may use. Holds no state of its own: all that counts is in the database.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Signs and checks tokens.
    pub tokens: TokenKey,
    /// Bounds the memory and cores that password hashing may take.
    pub password_slots: Arc<Semaphore>,
    /// Bounds the memory that bodies may take.
    pub memory: MemoryBudget,
    /// Sends codes; without it, accounts are made at once.
    pub mailer: Option<Mailer>,
    /// Whether the reverse proxy's word about the client's address counts.
    pub trust_forwarded_for: bool,
    /// What has happened so far.
    pub metrics: Metrics,
}

impl App {
    /// Opens the database and migrates it.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        if config.jwt_secret.as_ref().is_some_and(|secret| secret.len() < policy::MIN_SECRET_BYTES) {
            return Err(StartError::ShortSecret);
        }
        let user_limit = RateLimit { requests: config.requests_per_minute, ..policy::USER_REQUESTS };
        let store = Store::open(&config.database, user_limit).await?;
        let secret = match &config.jwt_secret {
            Some(secret) => secret.clone(),
            None => store.shared_secret("jwt").await?,
        };
        Ok(Self {
            store,
            tokens: TokenKey::new(secret.as_bytes()),
            password_slots: Arc::new(Semaphore::new(policy::MAX_PARALLEL_PASSWORD_HASHES)),
            memory: MemoryBudget::new(),
            mailer: config.sendmail.clone().map(|program| Mailer::new(program, config.mail_from.clone())),
            trust_forwarded_for: config.trust_forwarded_for,
            metrics: Metrics::new(),
        })
    }

    /// The attempts at the password of the account with this address.
    pub fn password_attempts(&self, email: &str) -> PasswordAttempts {
        PasswordAttempts { store: self.store.clone(), subject: self.tokens.digest(&["login", email]) }
    }
}

/// Counts attempts at one account's password, whether there is an account or not.
pub struct PasswordAttempts {
    store: Store,
    subject: String,
}

impl PasswordAttempts {
    /// Counts one, before it is made: parallel attempts can't slip through.
    pub async fn count(&self, now: UnixMillis) -> Result<(), ApiError> {
        let usage = self.store.count_request(&self.subject, policy::LOGIN_ATTEMPTS, now).await?;
        if usage.is_exceeded() { Err(ApiError::RateLimited { usage, now }) } else { Ok(()) }
    }

    /// The password was right.
    pub async fn forget(&self) -> Result<(), ApiError> {
        Ok(self.store.forget_requests(&self.subject).await?)
    }
}

/// A server that has its socket and its database, and waits to be run.
pub struct Server {
    listener: TcpListener,
    app: App,
}

impl Server {
    /// Opens the database, migrates it, and binds the address.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let app = App::open(config).await?;
        let listener = TcpListener::bind(config.listen).await?;
        Ok(Self { listener, app })
    }

    /// The address that was really bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` resolves, then finishes what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let store = self.app.store.clone();
        let connections = self.app.metrics.client_connections.clone();
        let sweeper = tokio::spawn(sweep(store.clone()));
        let served = serve::serve(self.listener, routes::router(self.app), connections, shutdown).await;
        sweeper.abort();
        store.close().await;
        served
    }
}

/// Every replica sweeps: deleting what another one has deleted does nothing.
async fn sweep(store: Store) {
    let mut hour = tokio::time::interval(Duration::from_secs(policy::SWEEP_SECONDS));
    loop {
        hour.tick().await;
        if let Err(error) = store.forget_what_is_over(UnixMillis::now()).await {
            tracing::warn!(error = %error, "sweeping failed");
        }
    }
}
