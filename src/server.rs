//! The operator's own HTTP: probes.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }));
    axum::serve(TcpListener::bind(address).await?, router).await
}
