//! `drover-gateway`: the HTTP API to Sessions' logs and artifacts, and the runners' endpoints.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use drover_gateway::{Config, Listeners};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the Kubernetes API may take for an answer. The gateway watches nothing, so no answer is meant to be slow.
const API_TIMEOUT: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The only error is that a provider is installed already, which cannot be at the start of main.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::parse();
    drover_service::logs::init()?;
    let stop = drover_service::shutdown::on_signal().context("signals cannot be listened to")?;
    let mut kube = kube::Config::infer()
        .await
        .context("no way to the Kubernetes API was found: set KUBECONFIG, or run in a pod with a service account")?;
    kube.connect_timeout = Some(API_TIMEOUT);
    kube.read_timeout = Some(API_TIMEOUT);
    kube.write_timeout = Some(API_TIMEOUT);
    let client = drover_k8s::client::build(kube)?;
    let listeners = Listeners::bind(&config).await?;
    drover_gateway::run(config, client, listeners, stop).await
}
