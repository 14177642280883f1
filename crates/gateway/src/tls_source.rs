//! Where the gateway's TLS comes from: the serving certificate from the Secret that the operator renews, and the
//! authorities of client certificates from the cluster.

use std::time::Duration;

use drover_api::names::GATEWAY_TLS_SECRET;
use drover_service::tls::{Leaf, ServerTls, TlsError};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::problem::chain;

/// How often the gateway looks for a certificate that is not there yet.
const POLL: Duration = Duration::from_millis(200);
/// How often it looks for a renewed one.
const REFRESH: Duration = Duration::from_secs(15);
/// Where Kubernetes publishes the authorities of its users' client certificates.
const AUTHENTICATION_NAMESPACE: &str = "kube-system";
const AUTHENTICATION_CONFIG_MAP: &str = "extension-apiserver-authentication";
const CLIENT_CA_KEY: &str = "client-ca-file";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSourceError {
    #[error("the Secret {GATEWAY_TLS_SECRET} does not exist yet; the operator makes it")]
    NoSecret,
    #[error("the Secret {GATEWAY_TLS_SECRET} has no key {0}")]
    NoKey(&'static str),
    #[error("the Kubernetes API failed")]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The TLS of both ports.
#[derive(Clone, Debug)]
pub(crate) struct PortsTls {
    /// Of the API's port, where users may show client certificates.
    pub(crate) api: ServerTls,
    /// Of the runners' port.
    pub(crate) runner: ServerTls,
}

/// Reads what TLS needs from the cluster.
#[derive(Clone, Debug)]
pub(crate) struct TlsSource {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
    refresh_every: Duration,
}

impl TlsSource {
    pub(crate) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client.clone(), AUTHENTICATION_NAMESPACE),
            refresh_every: REFRESH,
        }
    }

    /// Looks for renewed certificates so often.
    #[cfg(test)]
    pub(crate) fn refreshing_every(self, refresh_every: Duration) -> Self {
        Self { refresh_every, ..self }
    }

    /// Waits for the first certificate.
    pub(crate) async fn wait(&self) -> PortsTls {
        let mut last = String::new();
        loop {
            match self.first().await {
                Ok(ports) => return ports,
                Err(error) => {
                    let reason = chain(&error);
                    if reason != last {
                        tracing::info!(reason, "waiting for the serving certificate");
                        last = reason;
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn first(&self) -> Result<PortsTls, TlsSourceError> {
        let leaf = self.leaf().await?;
        let ports = PortsTls { api: ServerTls::new(leaf.clone())?, runner: ServerTls::new(leaf)? };
        self.refresh(&ports).await?;
        Ok(ports)
    }

    /// Looks for renewed certificates from time to time, until stopped. One that cannot be had leaves the old one.
    pub(crate) async fn keep(&self, ports: &PortsTls, stop: &CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(self.refresh_every)).await.is_some() {
            if let Err(error) = self.refresh(ports).await {
                tracing::warn!(error = chain(&error), "TLS cannot be renewed; what was there stays");
            }
        }
    }

    /// Takes what is in the cluster now.
    pub(crate) async fn refresh(&self, ports: &PortsTls) -> Result<(), TlsSourceError> {
        let leaf = self.leaf().await?;
        ports.api.set_leaf(leaf.clone())?;
        ports.runner.set_leaf(leaf)?;
        let authorities = self.client_authorities().await?;
        Ok(ports.api.set_client_authorities(authorities.as_deref().map(str::as_bytes))?)
    }

    async fn leaf(&self) -> Result<Leaf, TlsSourceError> {
        let secret = self.secrets.get_opt(GATEWAY_TLS_SECRET).await?.ok_or(TlsSourceError::NoSecret)?;
        let data = secret.data.unwrap_or_default();
        let part = |key: &'static str| data.get(key).map(|value| &value.0[..]).ok_or(TlsSourceError::NoKey(key));
        Ok(Leaf::from_pem(part("tls.crt")?, part("tls.key")?)?)
    }

    /// The authorities of client certificates, PEM; `None` where the cluster knows none, and then there are only
    /// bearer tokens.
    async fn client_authorities(&self) -> Result<Option<String>, TlsSourceError> {
        let map = self.config_maps.get_opt(AUTHENTICATION_CONFIG_MAP).await?;
        Ok(map.and_then(|map| map.data?.remove(CLIENT_CA_KEY)).filter(|pem| !pem.trim().is_empty()))
    }
}
