//! The life of the process.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use drover_api::names::GATEWAY_MANAGER;
use drover_k8s::{reviews::Reviews, writer::Writer};
use drover_service::{
    admin::{self, Readiness},
    server,
};
use drover_store::Store;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    app::{self, Gateway, READS},
    metrics::Metrics,
    problem::chain,
    sweep::Sweeper,
    tls_source::TlsSource,
};

/// How long requests in flight may take when the process is asked to stop. Less than a pod's usual 30 s of grace.
const DRAIN: Duration = Duration::from_secs(20);
/// How often the store is tried.
const PROBE_EVERY: Duration = Duration::from_secs(15);

/// Ways to the Kubernetes API.
#[derive(Clone)]
pub struct Clients {
    /// For requests that are answered at once.
    pub requests: Client,
    /// For watches, in which nothing may come for as long as a request to the gateway may wait.
    pub watches: Client,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// One for everything.
    #[cfg(test)]
    pub(crate) fn of(client: Client) -> Self {
        Self { requests: client.clone(), watches: client }
    }
}

/// The ports that the gateway listens on.
#[derive(Debug)]
pub struct Listeners {
    /// Of the HTTP API.
    pub api: TcpListener,
    /// Of the runner pods.
    pub runner: TcpListener,
    /// Of health and metrics.
    pub admin: TcpListener,
}

impl Listeners {
    /// Takes the addresses that are configured.
    ///
    /// # Errors
    /// When one of them cannot be listened on; the error names it.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            api: bind("API", config.listen_api).await?,
            runner: bind("runners' port", config.listen_runner).await?,
            admin: bind("admin port", config.listen_admin).await?,
        })
    }
}

async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("the {what} cannot listen on {address}"))
}

/// Serves until `stop` is cancelled and what was in flight has ended.
///
/// # Errors
/// When the store cannot be opened or the admin port fails.
pub async fn run(
    config: Config,
    clients: Clients,
    listeners: Listeners,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Clients { requests: client, watches } = clients;
    let store = Store::directory(&config.store)?;
    let readiness = Readiness::waiting("waiting for the serving certificate");
    let reviews = Arc::new(Reviews::new(client.clone()));
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry, Arc::clone(&reviews));
    let source = TlsSource::new(&client, &config.namespace);
    let sweeper = Sweeper::new(client.clone(), store.clone(), config.store, metrics.sweeps.clone());
    let gateway = Arc::new(Gateway {
        writer: Writer::new(client.clone(), GATEWAY_MANAGER),
        client,
        watches,
        reviews,
        store,
        limits: config.limits,
        reads: Semaphore::new(READS),
        metrics,
        stopping: stop.clone(),
    });
    // Health is answered until everything else has ended.
    let served = CancellationToken::new();
    let admin = tokio::spawn(admin::serve(listeners.admin, readiness.clone(), registry, served.clone()));
    if let Some(tls) = stop.run_until_cancelled(source.wait()).await {
        tokio::join!(
            server::serve(listeners.api, tls.api.clone(), app::public(&gateway), stop.clone(), DRAIN),
            server::serve(listeners.runner, tls.runner.clone(), app::runners(&gateway), stop.clone(), DRAIN),
            source.keep(&tls, &stop),
            watch_store(&gateway.store, &readiness, &stop),
            sweeper.keep(config.sweep_interval.as_std(), &stop),
        );
    }
    served.cancel();
    admin.await.context("the admin port failed")?.context("the admin port failed")
}

/// Keeps readiness true to whether the store takes anything.
async fn watch_store(store: &Store, readiness: &Readiness, stop: &CancellationToken) {
    loop {
        match store.probe().await {
            Ok(()) => readiness.ready(),
            Err(error) => readiness.not_ready(format!("the artifact store cannot be written: {}", chain(&error))),
        }
        if stop.run_until_cancelled(tokio::time::sleep(PROBE_EVERY)).await.is_none() {
            readiness.not_ready("stopping");
            return;
        }
    }
}
