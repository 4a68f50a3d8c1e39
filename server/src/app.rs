//! The server as a whole: database, keys, routes, socket.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    auth::token::TokenKey,
    config::Config,
    policy, routes,
    store::{Store, StoreError},
};

/// Why the server didn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be opened or brought up to date.
    #[error("database: {0}")]
    Database(#[from] StoreError),
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
}

/// A server that has its socket and its database, and waits to be run.
pub struct Server {
    listener: TcpListener,
    app: App,
}

impl Server {
    /// Opens the database, migrates it, and binds the address.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let store = Store::open(&config.database).await?;
        let secret = match &config.jwt_secret {
            Some(secret) => secret.clone(),
            None => store.shared_secret("jwt").await?,
        };
        let app = App {
            store,
            tokens: TokenKey::new(secret.as_bytes()),
            password_slots: Arc::new(Semaphore::new(policy::MAX_PARALLEL_PASSWORD_HASHES)),
        };
        let listener = TcpListener::bind(config.listen).await?;
        Ok(Self { listener, app })
    }

    /// The address that was really bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` resolves, then finishes what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let store = self.app.store.clone();
        axum::serve(self.listener, routes::router(self.app)).with_graceful_shutdown(shutdown).await?;
        store.close().await;
        Ok(())
    }
}
