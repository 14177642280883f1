//! `drover-gateway`: the HTTP API to Sessions' logs and artifacts, and the runners' endpoints.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use drover_api::runner::MAX_WAIT_SECONDS;
use drover_gateway::{Clients, Config, Listeners};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the Kubernetes API may take for an answer.
const API_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a watch may be silent: as long as somebody waits for it, and a while.
const WATCH_TIMEOUT: Duration = Duration::from_secs(MAX_WAIT_SECONDS).saturating_add(API_TIMEOUT);

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
    let requests = drover_k8s::client::build(kube.clone())?;
    kube.read_timeout = Some(WATCH_TIMEOUT);
    let clients = Clients { requests, watches: drover_k8s::client::build(kube)? };
    let listeners = Listeners::bind(&config).await?;
    drover_gateway::run(config, clients, listeners, stop).await
}
