//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;

use crate::Options;

/// Runs Sessions in pods, as long as it holds the lease.
#[derive(Debug, Parser)]
#[command(name = "drover-operator", version)]
pub struct Config {
    /// The namespace that Drover itself runs in.
    #[arg(long, env = "DROVER_NAMESPACE", default_value = "drover-system")]
    pub namespace: String,
    /// This process' name in the lease; the pod's name.
    #[arg(long, env = "POD_NAME")]
    pub identity: String,
    /// The image with drover-runner, for the pods of Sessions.
    #[arg(long, env = "DROVER_RUNNER_IMAGE")]
    pub runner_image: String,
    /// The pull policy of the images in the pods of Sessions.
    #[arg(long, env = "DROVER_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub image_pull_policy: String,
    /// The URL by which people reach the gateway.
    #[arg(long, env = "DROVER_GATEWAY_URL")]
    pub gateway_url: String,
    /// The URL by which runner pods reach the gateway.
    #[arg(long, env = "DROVER_GATEWAY_RUNNER_URL")]
    pub gateway_runner_url: String,
    /// The names that the gateway's certificate is for, separated by commas.
    #[arg(long, env = "DROVER_GATEWAY_DNS_NAMES", value_delimiter = ',', required = true)]
    pub gateway_dns_names: Vec<String>,
    /// The timeout of a Session that names none, for instance 1h.
    #[arg(long, env = "DROVER_DEFAULT_TIMEOUT", default_value = "1h")]
    pub default_timeout: drover_api::Duration,
    /// How long the pod of a finished Session is kept, for instance 10m.
    #[arg(long, env = "DROVER_POD_RETENTION", default_value = "10m")]
    pub pod_retention: drover_api::Duration,
    /// Where health and metrics are served, without TLS.
    #[arg(long, env = "DROVER_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
}

/// How long a lease is good for when its holder is not heard of.
const LEASE: Duration = Duration::from_secs(15);
/// How long a new Session's first status waits for its pod to start.
const STATUS_DELAY: Duration = Duration::from_secs(2);

impl From<Config> for Options {
    fn from(config: Config) -> Self {
        Self {
            namespace: config.namespace,
            watch_namespace: None,
            identity: config.identity,
            runner_image: config.runner_image,
            image_pull_policy: config.image_pull_policy,
            gateway_url: config.gateway_url,
            gateway_runner_url: config.gateway_runner_url,
            gateway_dns_names: config.gateway_dns_names,
            default_timeout: config.default_timeout,
            pod_retention: config.pod_retention.as_std(),
            status_delay: STATUS_DELAY,
            lease: LEASE,
        }
    }
}
