//! What the gateway counts, and the access log.

use std::{fmt, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use drover_k8s::reviews::Reviews;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::app::Gateway;

/// Upper bounds of the latency histogram, in seconds.
const LATENCIES: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Which port a request came in by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    Api,
    Runner,
}

impl Port {
    const fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Runner => "runner",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    port: &'static str,
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    port: &'static str,
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoredLabels {
    kind: &'static str,
}

/// What was stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    Log,
    Artifact,
    Checkpoint,
}

/// What is counted.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    stored: Family<StoredLabels, Counter>,
    pub(crate) sweeps: SweepMetrics,
}

impl Metrics {
    /// Metrics that `registry` shows.
    pub(crate) fn register(registry: &mut Registry, reviews: Arc<Reviews>) -> Self {
        let metrics = Self {
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCIES)),
            stored: Family::default(),
            sweeps: SweepMetrics::default(),
        };
        let registry = registry.sub_registry_with_prefix("drover_gateway");
        registry.register("requests", "Requests that were answered", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to that of its answer",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register_with_unit("stored", "What was stored for runs", Unit::Bytes, metrics.stored.clone());
        metrics.sweeps.register(registry.sub_registry_with_prefix("sweep"));
        registry.register_collector(Box::new(ReviewMetrics(reviews)));
        metrics
    }

    pub(crate) fn stored(&self, kind: Stored, bytes: u64) {
        let kind = match kind {
            Stored::Log => "log",
            Stored::Artifact => "artifact",
            Stored::Checkpoint => "checkpoint",
        };
        self.stored.get_or_create(&StoredLabels { kind }).inc_by(bytes);
    }
}

/// How a pass of the sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    result: &'static str,
}

/// Why the bytes of a run were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RemovedLabels {
    reason: &'static str,
}

/// What the sweep of the store counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct SweepMetrics {
    passes: Family<PassLabels, Counter>,
    runs: Family<RemovedLabels, Counter>,
    freed: Counter,
    uploads: Counter,
}

impl SweepMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("passes", "Passes over the store, by how they ended", self.passes.clone());
        registry.register("runs", "Runs whose bytes were removed, by why", self.runs.clone());
        registry.register_with_unit("freed", "What was removed of runs", Unit::Bytes, self.freed.clone());
        registry.register("uploads", "Uploads that a crash had cut off and that were removed", self.uploads.clone());
    }

    pub(crate) fn passed(&self, well: bool) {
        self.passes.get_or_create(&PassLabels { result: if well { "ok" } else { "failed" } }).inc();
    }

    pub(crate) fn removed(&self, reason: &'static str, bytes: u64) {
        self.runs.get_or_create(&RemovedLabels { reason }).inc();
        self.freed.inc_by(bytes);
    }

    pub(crate) fn uploads(&self, count: usize) {
        self.uploads.inc_by(count as u64);
    }
}

/// Counts a request and writes the access log. Neither sees a query or a header, which may hold secrets.
pub(crate) async fn track(
    State((gateway, port)): State<(Arc<Gateway>, Port)>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    // Only known routes and methods become labels, so that a caller cannot make up new ones.
    let route = route.map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        _ => "other",
    };
    let port = port.label();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    tracing::debug!(port, method, path, status, millis = took.as_millis(), "answered");
    let labels = RouteLabels { port, method, route: route.clone() };
    gateway.metrics.latency.get_or_create(&labels).observe(took.as_secs_f64());
    gateway.metrics.requests.get_or_create(&RequestLabels { port, method, route, status }).inc();
    response
}

/// Questions to the API server about callers, answered from memory (`hit`) or by it (`miss`).
#[derive(Debug)]
struct ReviewMetrics(Arc<Reviews>);

impl Collector for ReviewMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        let mut metric = encoder.encode_descriptor(
            "reviews",
            "Questions about who calls and what they may do",
            None,
            MetricType::Counter,
        )?;
        for (kind, cache, count) in [
            ("token", "hit", counts.token_hits),
            ("token", "miss", counts.token_misses),
            ("access", "hit", counts.access_hits),
            ("access", "miss", counts.access_misses),
        ] {
            let labels = [("kind", kind), ("cache", cache)];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
