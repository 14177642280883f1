//! The life of one connection.

use std::time::Duration;

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Limits, PeerCertificate,
    activity::{Activity, Answer},
    stall::StallGuard,
};
use crate::tls::ServerTls;

/// A silent HTTP/2 connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(60);
/// How long the sign of life may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How many requests one HTTP/2 connection has open at once.
const MAX_STREAMS: u32 = 128;

/// What connections are served with.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) tls: ServerTls,
    pub(super) router: Router,
    pub(super) stop: CancellationToken,
    pub(super) limits: Limits,
}

impl Server {
    /// Serves a connection to its end: the client's, that of its time, or after a stop that of its requests.
    pub(super) async fn serve(self, stream: TcpStream) {
        let Some(Some(stream)) = self.stop.run_until_cancelled(self.handshake(stream)).await else { return };
        let session = stream.get_ref().1;
        let peer = PeerCertificate(
            session.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned()),
        );
        let builder = self.builder(session.alpn_protocol() == Some(b"h2"));
        let activity = Activity::default();
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let (router, in_flight) = (self.router.clone(), activity.begin());
            async move {
                let answer = router.oneshot(request.map(Body::new)).await;
                answer.map(|answer| answer.map(|body| Answer { body, _request: in_flight }))
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = async { tokio::select! {
                () = self.stop.cancelled() => {}
                () = activity.silent_for(self.limits.idle) => {}
            } } => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = activity.silent_for(self.limits.linger) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }

    /// The protocol is the one that the handshake settled on. To guess it from the first bytes would mean to wait for
    /// them without a limit.
    fn builder(&self, http2: bool) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS);
        if http2 { builder.http2_only() } else { builder.http1_only() }
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<StallGuard<TcpStream>>> {
        // Small answers must not wait for the client's acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a socket option is refused");
        }
        let accept = TlsAcceptor::from(self.tls.config()).accept(StallGuard::new(stream, self.limits.stall));
        match tokio::time::timeout(self.limits.handshake, accept).await {
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
}
