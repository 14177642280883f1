//! Serving a router over TLS, HTTP/1.1 and HTTP/2.
//!
//! Nobody holds up others by being slow: a handshake runs in the task of its own connection and is given
//! `Limits::handshake`, a connection without a request is closed after `Limits::idle`, one whose client does not
//! read after `Limits::stall`, and one address has `Limits::per_peer` connections at most. Handlers find the
//! client's verified certificate as an extension, [`PeerCertificate`].

mod activity;
mod connection;
mod peers;
mod stall;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{connection::Server, peers::Peers};
use crate::tls::ServerTls;

/// The pause after the system refused to accept a connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients may take, in time and number.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How long a TLS handshake may take.
    handshake: Duration,
    /// How long the head of a request may take, HTTP/1.1 only.
    head: Duration,
    /// How long a connection stays open without a request.
    idle: Duration,
    /// How long a client that was told that its connection ends may still begin a request.
    linger: Duration,
    /// How long a client may take nothing of what is sent to it.
    stall: Duration,
    /// How many connections are open at once; more wait in the listener's backlog.
    connections: usize,
    /// How many of them one address may have; more are closed at once. Generous, because all pods of a node, or all
    /// users behind a proxy, may come from one address.
    per_peer: usize,
}

const LIMITS: Limits = Limits {
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(30),
    idle: Duration::from_secs(75),
    linger: Duration::from_secs(2),
    stall: Duration::from_secs(60),
    connections: 1024,
    per_peer: 256,
};

/// The certificate that a client showed, verified against the authorities of
/// [`ServerTls::set_client_authorities`]; `None` when it showed none.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// Serves `router` until `stop` is cancelled, then lets requests in flight end for at most `drain`; what still runs
/// after that is cut off.
pub async fn serve(listener: TcpListener, tls: ServerTls, router: Router, stop: CancellationToken, drain: Duration) {
    serve_within(listener, Server { tls, router, stop, limits: LIMITS }, drain).await;
}

async fn serve_within(listener: TcpListener, server: Server, drain: Duration) {
    let limits = server.limits;
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let peers = Peers::new(limits.per_peer);
    let cut = CancellationToken::new();
    while let Some((stream, address, slot)) = server.stop.run_until_cancelled(accept(&listener, &slots)).await {
        let Some(place) = peers.take(address.ip()) else {
            tracing::debug!(%address, "an address with too many connections is refused another");
            continue;
        };
        let (server, cut) = (server.clone(), cut.clone());
        connections.spawn(async move {
            let _held = (slot, place);
            cut.run_until_cancelled(server.serve(stream)).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests that did not end in time are cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection; failures to accept one are waited out.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, slot),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was being accepted has failed.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
