//! Serving a router over TLS, HTTP/1.1 and HTTP/2.
//!
//! A handshake runs in the task of its own connection and is given [`HANDSHAKE_TIMEOUT`], so that a client that says
//! nothing holds up nobody. Handlers find the client's verified certificate as an extension, [`PeerCertificate`].

use std::{io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::tls::ServerTls;

/// How long a client may take for its TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A silent HTTP/2 connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(60);
/// How many connections are open at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 8192;
/// How many requests one HTTP/2 connection has open at once.
const MAX_STREAMS: u32 = 128;
/// The pause after the system refused to accept a connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The certificate that a client showed, verified against the authorities of
/// [`ServerTls::set_client_authorities`]; `None` when it showed none.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// Serves `router` until `stop` is cancelled, then lets requests in flight end for at most `drain`; what still runs
/// after that is cut off.
pub async fn serve(listener: TcpListener, tls: ServerTls, router: Router, stop: CancellationToken, drain: Duration) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let cut = CancellationToken::new();
    while let Some((stream, slot)) = stop.run_until_cancelled(accept(&listener, &slots)).await {
        let connection = serve_connection(stream, tls.clone(), router.clone(), stop.clone());
        let cut = cut.clone();
        connections.spawn(async move {
            let _slot = slot;
            cut.run_until_cancelled(connection).await;
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
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
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

async fn serve_connection(stream: TcpStream, tls: ServerTls, router: Router, stop: CancellationToken) {
    let Some(Some(stream)) = stop.run_until_cancelled(handshake(stream, &tls)).await else { return };
    let peer = PeerCertificate(
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned()),
    );
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).max_concurrent_streams(MAX_STREAMS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

async fn handshake(stream: TcpStream, tls: &ServerTls) -> Option<TlsStream<TcpStream>> {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a socket option is refused");
    }
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls.config()).accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests;
