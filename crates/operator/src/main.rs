//! `drover-operator`.

use anyhow::Context;
use clap::Parser;
use drover_operator::{Metrics, Operator, config::Config};
use drover_service::{admin, clock::Clock, logs, shutdown};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    logs::init()?;
    rustls::crypto::ring::default_provider().install_default().ok();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    let client = drover_k8s::client::infer().await?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let admin_address = config.admin_address;
    let operator = Operator::new(client, config.into(), Clock::system(), metrics);
    let listener =
        TcpListener::bind(admin_address).await.with_context(|| format!("cannot listen on {admin_address}"))?;
    let admin = tokio::spawn(admin::serve(listener, operator.readiness(), registry, stop.child_token()));
    operator.run(stop.clone()).await?;
    stop.cancel();
    admin.await??;
    Ok(())
}
