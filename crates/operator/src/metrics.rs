//! The operator's metrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result_ {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    verb: &'static str,
    kind: String,
}

/// The operator's metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Result_, Counter>,
    duration: Histogram,
    created_to_pod: Histogram,
    writes: Family<Write, Counter>,
    queued: Gauge,
    sessions: Gauge,
    pods: Gauge,
    leading: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let buckets = || exponential_buckets(0.001, 2.0, 16);
        let metrics = Self {
            reconciles: Family::default(),
            duration: Histogram::new(buckets()),
            created_to_pod: Histogram::new(buckets()),
            writes: Family::default(),
            queued: Gauge::default(),
            sessions: Gauge::default(),
            pods: Gauge::default(),
            leading: Gauge::default(),
        };
        registry.register("drover_reconciles", "Reconciliations by their result", metrics.reconciles.clone());
        registry.register(
            "drover_reconcile_duration_seconds",
            "How long a reconciliation takes",
            metrics.duration.clone(),
        );
        registry.register(
            "drover_session_pod_delay_seconds",
            "From the creation of a Session, which the API server dates in whole seconds, to that of its pod",
            metrics.created_to_pod.clone(),
        );
        registry.register("drover_api_writes", "Writes to the Kubernetes API, events apart", metrics.writes.clone());
        registry.register("drover_queue_length", "Objects that wait to be reconciled", metrics.queued.clone());
        registry.register("drover_sessions", "Sessions that are not finished", metrics.sessions.clone());
        registry.register("drover_pods", "Runner pods", metrics.pods.clone());
        registry.register("drover_leading", "Whether this process holds the lease", metrics.leading.clone());
        metrics
    }

    pub(crate) fn reconciled(&self, result: &'static str, seconds: f64) {
        self.reconciles.get_or_create(&Result_ { result }).inc();
        self.duration.observe(seconds);
    }

    pub(crate) fn pod_created(&self, seconds: f64) {
        self.created_to_pod.observe(seconds);
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.leading.set(if leading { 1.0 } else { 0.0 });
    }

    pub(crate) fn sizes(&self, queued: usize, sessions: usize, pods: usize) {
        let whole = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        self.queued.set(whole(queued));
        self.sessions.set(whole(sessions));
        self.pods.set(whole(pods));
    }

    pub(crate) fn written(&self, verb: &'static str, kind: String, times: u64) {
        self.writes.get_or_create(&Write { verb, kind }).inc_by(times);
    }
}
