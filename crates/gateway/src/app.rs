//! What handlers share, and the routes of both ports.

use std::sync::Arc;

use axum::{Router, http::StatusCode, middleware};
use drover_k8s::{reviews::Reviews, writer::Writer};
use drover_store::Store;
use kube::Client;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, api,
    metrics::{self, Metrics, Port},
    openapi,
    problem::Problem,
    runner,
};

/// How many parts of logs are read at once; each takes some MiB.
pub(crate) const READS: usize = 8;

/// What handlers share.
pub(crate) struct Gateway {
    pub(crate) client: Client,
    /// For requests that stay open until something changes.
    pub(crate) watches: Client,
    pub(crate) writer: Writer,
    pub(crate) reviews: Arc<Reviews>,
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    /// Taken while a part of a log is read, so that the memory for that is bounded.
    pub(crate) reads: Semaphore,
    pub(crate) metrics: Metrics,
    /// Cancelled when the process is asked to stop; ends what would go on for ever.
    pub(crate) stopping: CancellationToken,
}

/// The routes of the API's port.
pub(crate) fn public(gateway: &Arc<Gateway>) -> Router {
    let (router, _) = api::router().split_for_parts();
    finish(router.merge(openapi::router()), gateway, Port::Api)
}

/// The routes of the runners' port.
pub(crate) fn runners(gateway: &Arc<Gateway>) -> Router {
    finish(runner::router(), gateway, Port::Runner)
}

fn finish(router: Router<Arc<Gateway>>, gateway: &Arc<Gateway>, port: Port) -> Router {
    router
        .fallback(|| async { Problem::not_found("there is nothing under this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not know the method")
        })
        .layer(middleware::from_fn_with_state((Arc::clone(gateway), port), metrics::track))
        .with_state(Arc::clone(gateway))
}
