//! The socket: accepting connections in bounds, and letting go of them in good order.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{policy, wire::Discarding};

/// Serves until `shutdown` resolves; then takes no more connections and finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Gauge,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(policy::MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(policy::IDLE_SECONDS));
    http.max_buf_size(policy::MAX_HEAD_BYTES);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(io::Error::other)?,
            () = &mut shutdown => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    wait_after(&error).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(Discarding::new(body)));
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let connection =
            graceful.watch(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        let connections = connections.clone();
        tokio::spawn(async move {
            connections.inc();
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended");
            }
            connections.dec();
            drop(slot);
        });
    }
    drop(listener);
    tracing::info!("stopping: finishing what is in flight");
    if timeout(Duration::from_secs(policy::DRAIN_SECONDS), graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests didn't finish in time");
    }
    Ok(())
}

/// A connection that broke off while it was accepted is nobody's trouble; without files or memory, wait for some.
async fn wait_after(error: &io::Error) {
    let is_of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !is_of_one_connection {
        tracing::warn!(error = %error, "no connection can be accepted");
        sleep(Duration::from_secs(1)).await;
    }
}
