//! The client of the Kubernetes API.

use kube::{Client, Config, client::ClientBuilder};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a service account was found, or they cannot be read.
    #[error("no way to the Kubernetes API was found: set KUBECONFIG, or run in a pod with a service account")]
    Infer(#[from] kube::config::InferConfigError),
    /// The configuration does not make a client, for instance for a certificate that cannot be read.
    #[error("the configuration of the Kubernetes client is not valid")]
    Build(#[from] kube::Error),
}

/// The client that the environment configures.
///
/// # Errors
/// When no configuration is found, or it is not valid.
pub async fn infer() -> Result<Client, Error> {
    build(Config::infer().await?)
}

/// A client that retries nothing by itself: a write that failed is planned again, and retries belong to the queue.
///
/// # Errors
/// When the configuration is not valid.
pub fn build(mut config: Config) -> Result<Client, Error> {
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.build())
}
