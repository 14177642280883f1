//! The end of a run: a checkpoint if the pod ends early, artifacts, the rest of the log, and then the last report.

use std::{pin::pin, sync::atomic::Ordering, time::Duration};

use drover_api::{log::Kind, report::Report};
use tokio::{sync::watch, time::Instant};

use crate::{
    Broker, Config, Made,
    artifacts::{self, Stored},
    checkpoint,
    gateway::Gateway,
    reports,
    text::count,
};

/// How long after SIGTERM the broker exits at the latest. The pod's grace is 120 s, of which `exec` may have used
/// some.
pub(crate) const GRACE: Duration = Duration::from_secs(100);
/// How long after SIGTERM a checkpoint is stored.
const CHECKPOINT: Duration = Duration::from_secs(40);
/// How long after SIGTERM artifacts are stored.
const ARTIFACTS: Duration = Duration::from_secs(65);
/// How long after SIGTERM the log is stored.
const LOG: Duration = Duration::from_secs(80);

/// Makes the end each time it is asked for, by `exec` or because the pod ends; but not again when `exec` said nothing
/// since. Who asked too early is so made good: the agent can ask as well.
pub(crate) async fn when_asked(broker: &Broker, gateway: &Gateway, config: &Config) {
    loop {
        // Cannot fail: the broker holds the sender.
        let _ = broker.finish.subscribe().wait_for(|asked| *asked).await;
        broker.finish.send_replace(false);
        if broker.made().is_some() {
            continue;
        }
        let taken = broker.log.taken();
        let report = finish(broker, gateway, config).await;
        broker.made.send_replace(Some(Made { report, taken }));
    }
}

async fn finish(broker: &Broker, gateway: &Gateway, config: &Config) -> Report {
    keep(broker, gateway, config).await;
    let mut stored = Stored::default();
    let storing = artifacts::store(gateway, &config.paths.workspace, &config.artifacts, &mut stored);
    let in_time = before(&broker.stopping, ARTIFACTS, storing).await.is_some();
    if !in_time {
        let what = if stored.left == 0 { "artifacts".to_owned() } else { count(stored.left as u64, "file") };
        stored.problems.push(format!("the pod's time was over before all was stored; missing: {what}"));
    }
    if !config.artifacts.is_empty() {
        broker.log.say(Kind::System, &format!("stored {}", count(stored.artifacts.len() as u64, "artifact")));
    }
    for problem in &stored.problems {
        broker.log.say(Kind::Error, problem);
    }
    let _ = before(&broker.stopping, LOG, broker.log.flush()).await;
    // Not one of the report's problems, which are those of the artifacts.
    if let Some(problem) = broker.log.problem() {
        tracing::error!(problem, "the log is not complete");
    }
    let report = reports::last(&broker.state.borrow(), stored);
    broker.reports.send(gateway, report).await
}

/// Keeps what the agent did since the last checkpoint, when the pod ends before the run does.
async fn keep(broker: &Broker, gateway: &Gateway, config: &Config) {
    if broker.stopping.borrow().is_none() || !broker.unkept.load(Ordering::Relaxed) {
        return;
    }
    if before(&broker.stopping, CHECKPOINT, checkpoint::keep(broker, gateway, config)).await.is_none() {
        let problem = "the pod's time was over before working directory and home were stored: the next attempt goes \
                       on from the end of the last turn that was kept";
        broker.log.say(Kind::Error, problem);
        broker.state.send_modify(|state| state.not_kept = Some(problem.to_owned()));
    }
}

/// What `work` comes to, if it does before `limit` after SIGTERM; without SIGTERM there is no limit.
async fn before<T>(
    stopping: &watch::Sender<Option<Instant>>,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let over = async {
        let mut stopping = stopping.subscribe();
        let since = stopping.wait_for(Option::is_some).await.ok().and_then(|since| *since);
        tokio::time::sleep_until(since.unwrap_or_else(Instant::now) + limit).await;
    };
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = over => None,
    }
}

#[cfg(test)]
mod tests;
