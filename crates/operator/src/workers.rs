//! Those who take Sessions from the queue and reconcile them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use drover_k8s::queue::Serves;
use tokio::task::JoinSet;

use crate::{
    reconcile,
    run::{Context, RECONCILE_LIMIT},
};

/// How many work on Sessions at once, and how many of those on nothing but pods to create: so few are left for the rest
/// that status writes never crowd out the pods.
const WORKERS: usize = 12;
const WORKERS_FOR_FIRST: usize = 8;
/// How long work under way may take to end when the operator stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts all workers.
pub(crate) fn start(context: &Arc<Context>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let serves = if number < WORKERS_FOR_FIRST { Serves::First } else { Serves::Both };
        workers.spawn(work(context.clone(), serves));
    }
    workers
}

async fn work(context: Arc<Context>, serves: Serves) {
    while let Some(key) = context.queue.next(serves).await {
        let began = Instant::now();
        let reconciled = tokio::time::timeout(RECONCILE_LIMIT, reconcile::reconcile(&context, &key)).await;
        let result = match reconciled.unwrap_or(Err(reconcile::Error::TooLong)) {
            Ok(wake) => {
                context.queue.done(&key);
                if let Some(at) = wake {
                    context.queue.add_at(key, at);
                }
                "done"
            }
            Err(error) if error.is_conflict() => {
                tracing::debug!(%key, "planned from an old version; read and planned again");
                // The cache is behind; what it does not have is read.
                context.sessions.remove(&key, &key.name);
                context.queue.failed(&key);
                "conflict"
            }
            Err(error) => {
                tracing::warn!(%key, error = &error as &dyn std::error::Error, "the reconciliation failed; it is tried again");
                context.queue.failed(&key);
                "error"
            }
        };
        context.metrics.reconciled(result, began.elapsed().as_secs_f64());
    }
}

/// Lets work under way end, so that no write is cut off half-way.
pub(crate) async fn drain(context: &Context, mut workers: JoinSet<()>) {
    context.queue.close();
    let all = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!("work under way did not end in time");
    }
}
