//! A verified connection to the gateway: straight to its announced address, else through a port-forward of the API
//! server to one of its pods.
//!
//! Both ways end in the same TLS handshake, with the announced host as server name and the announced authority as the
//! only one trusted. Nothing is sent before it has succeeded, so no credential reaches anybody else.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams, client::ConfigExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
};
use tokio_rustls::TlsConnector;

use super::{Error, locate::Location, within};
use crate::cluster::{self, Cluster};

/// How long the announced address may take to answer before the port-forward is tried.
const DIRECT_LIMIT: Duration = Duration::from_secs(1);
/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long the API server may take to open a port-forward.
const FORWARD_LIMIT: Duration = Duration::from_secs(10);
/// How long the reason for the end of a port-forward is waited for.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// What the pods of the gateway are selected by.
const POD_SELECTOR: &str = "app.kubernetes.io/component=gateway";
/// The port of the API in a gateway pod.
const POD_PORT: u16 = 8443;

/// Sends requests without a body over one connection.
pub(crate) type Sender = SendRequest<Empty<Bytes>>;

/// Which way leads to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Direct,
    Forward,
}

/// Opens connections to the gateway.
pub(crate) struct Connector {
    pub(crate) location: Location,
    tls: TlsConnector,
    pods: Api<Pod>,
    namespace: String,
    /// The way that worked; later connections take it at once.
    route: OnceCell<Route>,
}

impl Connector {
    /// Prepares connections with the identity of `config`, the kubeconfig's client certificate included.
    pub(crate) fn new(cluster: &Cluster, location: Location, config: &kube::Config) -> Result<Self, Error> {
        let mut tls = config.rustls_client_config()?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            location,
            tls: TlsConnector::from(Arc::new(tls)),
            pods: Api::namespaced(cluster.client.clone(), &cluster.drover_namespace),
            namespace: cluster.drover_namespace.clone(),
            route: OnceCell::new(),
        })
    }

    /// A new connection, verified.
    pub(crate) async fn connect(&self) -> Result<Sender, Error> {
        match self.route.get() {
            Some(Route::Direct) => self.direct().await,
            Some(Route::Forward) => self.forward().await,
            None => self.explore().await,
        }
    }

    /// Tries both ways and remembers the one that worked.
    async fn explore(&self) -> Result<Sender, Error> {
        let direct = match self.direct().await {
            Ok(sender) => {
                let _ = self.route.set(Route::Direct);
                return Ok(sender);
            }
            Err(error) => Box::new(error),
        };
        match self.forward().await {
            Ok(sender) => {
                let _ = self.route.set(Route::Forward);
                Ok(sender)
            }
            Err(forward) => {
                Err(Error::Unreachable { url: self.location.url.clone(), direct, forward: Box::new(forward) })
            }
        }
    }

    async fn direct(&self) -> Result<Sender, Error> {
        let address = (self.location.host.as_str(), self.location.port);
        let stream = within(DIRECT_LIMIT, TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        self.secure(stream).await
    }

    /// Tries the gateway's ready pods one after the other.
    async fn forward(&self) -> Result<Sender, Error> {
        let mut last = Error::NoPod(self.namespace.clone());
        let pods = self.pods.list(&ListParams::default().labels(POD_SELECTOR)).await;
        for pod in pods.map_err(|e| self.forward_error(e))?.items.iter().filter(|pod| is_ready(pod)) {
            match self.forward_to(&pod.name_any()).await {
                Err(error) if error.is_transient() => last = error,
                settled => return settled,
            }
        }
        Err(last)
    }

    async fn forward_to(&self, pod: &str) -> Result<Sender, Error> {
        let mut forwarder = tokio::time::timeout(FORWARD_LIMIT, self.pods.portforward(pod, &[POD_PORT]))
            .await
            .map_err(|_| Error::Timeout(FORWARD_LIMIT))?
            .map_err(|e| self.forward_error(e))?;
        let stream = forwarder.take_stream(POD_PORT);
        let stream = stream.ok_or_else(|| Error::Protocol("the port-forward has no stream".to_owned()))?;
        let refusal = forwarder.take_error(POD_PORT);
        match (self.secure(stream).await, refusal) {
            // The stream only ends; why is said beside it, a moment earlier or later.
            (Err(Error::Io(ended)), Some(refusal)) => match tokio::time::timeout(REFUSAL_LIMIT, refusal).await {
                Ok(Some(why)) => Err(Error::Io(std::io::Error::other(why))),
                _ => Err(Error::Io(ended)),
            },
            (result, _) => result,
        }
    }

    fn forward_error(&self, error: kube::Error) -> Error {
        if cluster::is_forbidden(&error) { Error::ForwardForbidden(self.namespace.clone()) } else { Error::Api(error) }
    }

    /// Verifies the other end and speaks HTTP to it.
    async fn secure<S>(&self, stream: S) -> Result<Sender, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let name = self.location.server_name.clone();
        let stream = within(HANDSHAKE_LIMIT, self.tls.connect(name, stream)).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends when the sender and the last body are dropped; its errors reach whoever waits for an answer.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}
