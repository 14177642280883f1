//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use drover_api::InvalidDuration;
use drover_plan::settings::PRESUMED_DEAD;

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
    /// How long a pod may wait for a node and for its containers' start before its Session fails, for instance 1h.
    #[arg(long, env = "DROVER_START_TIMEOUT", default_value = "1h")]
    pub start_timeout: drover_api::Duration,
    /// How long a broker goes on without an answer of the gateway before it stops its agent: at most 2m, so that it has
    /// stopped when another attempt may begin.
    #[arg(long, env = "DROVER_REPORTING_PATIENCE", default_value = "2m", value_parser = reporting_patience)]
    pub reporting_patience: drover_api::Duration,
    /// How much of a Session's working directory and home is kept from one attempt to the next, in bytes.
    #[arg(long, env = "DROVER_MAX_CHECKPOINT_BYTES", default_value_t = 2 << 30)]
    pub max_checkpoint_bytes: u64,
    /// Where health and metrics are served, without TLS.
    #[arg(long, env = "DROVER_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
}

/// How long a lease is good for when its holder is not heard of.
const LEASE: Duration = Duration::from_secs(15);
/// How long a new Session's first status waits for its pod to start.
const STATUS_DELAY: Duration = Duration::from_secs(2);

/// How long after its deletion was asked for a pod may not be followed by another, less time for its agent to end.
const LONGEST_PATIENCE: Duration = PRESUMED_DEAD.saturating_sub(Duration::from_secs(10));

fn reporting_patience(text: &str) -> Result<drover_api::Duration, String> {
    let patience: drover_api::Duration = text.parse().map_err(|error: InvalidDuration| error.to_string())?;
    if patience.as_std() > LONGEST_PATIENCE {
        return Err(format!(
            "it is longer than {} s: two agents could then be at one piece of work",
            LONGEST_PATIENCE.as_secs()
        ));
    }
    Ok(patience)
}

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
            start_timeout: config.start_timeout,
            reporting_patience: config.reporting_patience,
            max_checkpoint_bytes: config.max_checkpoint_bytes,
            status_delay: STATUS_DELAY,
            lease: LEASE,
        }
    }
}

#[cfg(test)]
mod tests;
