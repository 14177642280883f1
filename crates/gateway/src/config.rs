use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use drover_api::Duration;

/// Serves the logs and artifacts of Sessions to people, and takes them and checkpoints from runner pods.
#[derive(Clone, Debug, Parser)]
#[command(name = "drover-gateway", version)]
pub struct Config {
    /// The namespace that Drover is installed in.
    #[arg(long, env = "DROVER_NAMESPACE")]
    pub namespace: String,

    /// The folder of the artifact store.
    #[arg(long, env = "DROVER_STORE")]
    pub store: PathBuf,

    /// Where the HTTP API is served, over TLS.
    #[arg(long, env = "DROVER_LISTEN_API", default_value = "0.0.0.0:8443")]
    pub listen_api: SocketAddr,

    /// Where runner pods are served, over TLS.
    #[arg(long, env = "DROVER_LISTEN_RUNNER", default_value = "0.0.0.0:9443")]
    pub listen_runner: SocketAddr,

    /// Where health and metrics are served, over plain HTTP.
    #[arg(long, env = "DROVER_LISTEN_ADMIN", default_value = "0.0.0.0:8080")]
    pub listen_admin: SocketAddr,

    /// How often the store is swept: bytes of Sessions that do not exist any more, or whose ttlAfterFinished is over,
    /// are removed.
    #[arg(long, env = "DROVER_SWEEP_INTERVAL", default_value = "10m")]
    pub sweep_interval: Duration,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the one of the command")]
    pub limits: Limits,
}

/// How much one run may store.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// The largest artifact that is taken, in bytes. The default is 1 GiB.
    #[arg(long, env = "DROVER_MAX_ARTIFACT_BYTES", default_value_t = 1 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_artifact_bytes: u64,

    /// How many bytes the artifacts of one run take together. The default is 2 GiB.
    #[arg(long, env = "DROVER_MAX_RUN_BYTES", default_value_t = 2 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_run_bytes: u64,

    /// The longest log of one attempt that is taken, in bytes. The default is 64 MiB. Drover's own events have 64 KiB
    /// beyond it, so that the log can say that it was cut.
    #[arg(long, env = "DROVER_MAX_LOG_BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_log_bytes: u64,

    /// The largest checkpoint of workspace and home that is taken, in bytes. The default is 2 GiB.
    #[arg(long, env = "DROVER_MAX_CHECKPOINT_BYTES", default_value_t = 2 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_checkpoint_bytes: u64,
}
