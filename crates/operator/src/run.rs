//! From the lease to the last write.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use drover_api::{Session, names::OPERATOR_MANAGER};
use drover_k8s::{
    cache::{Cache, Key},
    lease::Candidate,
    queue::Queue,
    writer::{Counts, Writer},
};
use drover_plan::{Settings, frameworks::Frameworks, run::RunnerPod};
use drover_service::{admin::Readiness, clock::Clock};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{certificates::Trust, events::Events, metrics::Metrics, observe::Accounts, sources, workers};

/// What the operator needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace that Drover itself runs in.
    pub namespace: String,
    /// The one namespace whose Sessions are run; `None` for all.
    pub watch_namespace: Option<String>,
    /// This process' name in the lease.
    pub identity: String,
    /// The image with drover-runner.
    pub runner_image: String,
    /// The pull policy of the images in runner pods.
    pub image_pull_policy: String,
    /// The URL by which people reach the gateway.
    pub gateway_url: String,
    /// The URL by which runner pods reach the gateway.
    pub gateway_runner_url: String,
    /// The names that the gateway's certificate is for.
    pub gateway_dns_names: Vec<String>,
    /// The timeout of a Session that names none.
    pub default_timeout: drover_api::Duration,
    /// How long the pod of a finished Session is kept.
    pub pod_retention: Duration,
    /// How long a pod may wait for a node and for its containers' start.
    pub start_timeout: drover_api::Duration,
    /// How long a broker goes on without an answer of the gateway.
    pub reporting_patience: drover_api::Duration,
    /// How much of a workspace and home is kept from one attempt to the next, in bytes.
    pub max_checkpoint_bytes: u64,
    /// How long a new Session's first status waits for its pod to start.
    pub status_delay: Duration,
    /// How long a lease is good for when its holder is not heard of.
    pub lease: Duration,
}

/// Why the operator stopped other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another holds the lease now. The process must end: what it still has under way is not its to write.
    #[error("the lease was lost to another operator")]
    LeaseLost,
    /// The process must start anew, so that the pods it makes trust the new authority.
    #[error("the gateway's certificate authority was replaced")]
    AuthorityReplaced,
    /// A worker ended, which only a defect makes it do. What it had under way is taken up by the next process.
    #[error("a worker ended unexpectedly")]
    WorkerEnded,
}

/// The lease's name in Drover's namespace.
const LEASE_NAME: &str = "drover-operator";
/// How long one reconciliation may take. A call that hangs is given up like one of a process that died.
pub(crate) const RECONCILE_LIMIT: Duration = Duration::from_secs(30);
/// How often sizes are measured and certificates looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// When to try again to look through the finished Sessions.
const SWEEP_RETRY: Duration = Duration::from_secs(5);
/// When to try again to make what the gateway needs.
const TRUST_RETRY: Duration = Duration::from_secs(1);

/// What everything in the operator shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) writer: Writer,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) queue: Queue<Key>,
    pub(crate) sessions: Cache<Session>,
    pub(crate) pods: Cache<RunnerPod>,
    pub(crate) accounts: Accounts,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    frameworks: RwLock<Arc<Frameworks>>,
}

impl Context {
    pub(crate) fn frameworks(&self) -> Arc<Frameworks> {
        self.frameworks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_frameworks(&self, frameworks: Frameworks) {
        *self.frameworks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(frameworks);
    }
}

/// The operator.
pub struct Operator {
    client: Client,
    writer: Writer,
    options: Options,
    clock: Clock,
    metrics: Metrics,
    readiness: Readiness,
}

impl Operator {
    /// An operator that does nothing yet.
    #[must_use]
    pub fn new(client: Client, options: Options, clock: Clock, metrics: Metrics) -> Self {
        let writer = Writer::new(client.clone(), OPERATOR_MANAGER);
        let readiness = Readiness::waiting("the lease is not held");
        Self { client, writer, options, clock, metrics, readiness }
    }

    /// Whether it is at work, or stands by.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Works until it is asked to stop. Nothing is watched or written, the lease apart, before the lease is held.
    ///
    /// # Errors
    /// When the lease is lost, the gateway's authority was replaced, or a worker ended. The process must end then.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Error> {
        let Options { namespace, identity, lease, .. } = &self.options;
        let mut candidate =
            Candidate::new(self.client.clone(), self.writer.clone(), namespace, LEASE_NAME, identity, *lease);
        // Standing by is all that is asked of an operator which does not lead.
        self.readiness.ready();
        let held = tokio::select! {
            held = candidate.acquire() => held,
            () = stop.cancelled() => return Ok(()),
        };
        self.metrics.leading(true);
        tracing::info!(identity, "leading");
        let ended = tokio::select! {
            () = candidate.hold(held) => Err(Error::LeaseLost),
            led = self.lead(stop.clone()) => led,
        };
        self.metrics.leading(false);
        if !matches!(ended, Err(Error::LeaseLost))
            && let Err(error) = candidate.release().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lease was not given back; it runs out by itself"
            );
        }
        ended
    }

    async fn lead(&self, stop: CancellationToken) -> Result<(), Error> {
        let mut trust = Trust::new(self.client.clone(), self.writer.clone(), &self.options);
        let ca = tokio::select! {
            ca = self.trusted(&mut trust) => ca,
            () = stop.cancelled() => return Ok(()),
        };
        let context = Arc::new(self.context(ca));
        self.readiness.not_ready("the watches are not complete");
        let mut watches = sources::start(&context, &self.options);
        tokio::select! {
            () = watches.synced() => {}
            () = stop.cancelled() => return Ok(()),
        }
        self.readiness.ready();
        tracing::info!(sessions = context.sessions.len(), pods = context.pods.len(), "watching");
        let mut workers = workers::start(&context);
        let ended = tokio::select! {
            never = self.sweep(&context) => match never {},
            () = self.keep_house(&context, trust) => Err(Error::AuthorityReplaced),
            _ = workers.join_next() => Err(Error::WorkerEnded),
            () = stop.cancelled() => Ok(()),
        };
        workers::drain(&context, workers).await;
        ended
    }

    /// Looks through the finished Sessions, once, however often it has to be tried: nothing else tells that the time of
    /// one is over which ended under another operator.
    async fn sweep(&self, context: &Context) -> Infallible {
        while let Err(error) = sources::sweep(context, &self.options).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "finished Sessions could not be looked through; it is tried again"
            );
            tokio::time::sleep(SWEEP_RETRY).await;
        }
        std::future::pending().await
    }

    /// The gateway's authority, once it is there. Without it no pod could be made that trusts the gateway.
    async fn trusted(&self, trust: &mut Trust) -> String {
        loop {
            match trust.ensure(self.clock.now()).await {
                Ok(ca) => {
                    return ca;
                }
                Err(error) => {
                    self.readiness.not_ready(error.to_string());
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the gateway's certificates cannot be kept; it is tried again"
                    );
                }
            }
            self.clock.sleep_until(self.clock.now() + TRUST_RETRY).await;
        }
    }

    fn context(&self, gateway_ca: String) -> Context {
        let options = &self.options;
        Context {
            client: self.client.clone(),
            writer: self.writer.clone(),
            clock: self.clock.clone(),
            settings: Settings {
                runner_image: options.runner_image.clone(),
                image_pull_policy: options.image_pull_policy.clone(),
                gateway_runner_url: options.gateway_runner_url.clone(),
                gateway_ca,
                default_timeout: options.default_timeout,
                pod_retention: options.pod_retention,
                start_timeout: options.start_timeout,
                reporting_patience: options.reporting_patience,
                max_checkpoint_bytes: options.max_checkpoint_bytes,
                status_delay: options.status_delay,
            },
            queue: Queue::new(self.clock.clone()),
            sessions: Cache::default(),
            pods: Cache::default(),
            accounts: Accounts::default(),
            events: Events::start(self.client.clone(), &options.identity),
            metrics: self.metrics.clone(),
            frameworks: RwLock::new(Arc::new(Frameworks::Unavailable("it was not read yet".to_owned()))),
        }
    }

    /// Measures, and looks after the gateway's certificates. Ends when the authority is another: pods that are made
    /// from now on must trust that one.
    async fn keep_house(&self, context: &Context, mut trust: Trust) {
        let mut reported = Counts::new();
        loop {
            context.metrics.sizes(context.queue.len(), context.sessions.len(), context.pods.len());
            report_writes(&context.metrics, &mut reported, self.writer.counts());
            tokio::time::sleep(HOUSEKEEPING).await;
            match tokio::time::timeout(RECONCILE_LIMIT, trust.keep(self.clock.now())).await {
                Ok(Ok(Some(ca))) if ca != context.settings.gateway_ca => return,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the gateway's certificates cannot be kept; it is tried again"
                ),
                Err(_) => tracing::warn!("the Kubernetes API does not answer"),
            }
        }
    }
}

fn report_writes(metrics: &Metrics, reported: &mut Counts, counts: Counts) {
    for ((verb, kind), count) in &counts {
        let before = reported.get(&(*verb, kind.clone())).copied().unwrap_or_default();
        if *count > before {
            metrics.written(verb, kind.clone(), count - before);
        }
    }
    *reported = counts;
}
