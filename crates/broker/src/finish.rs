//! The end of a run: artifacts, then the rest of the log, then the last report.

use std::{pin::pin, time::Duration};

use drover_api::{
    log::Kind,
    report::{MAX_BYTES, Report},
};
use reqwest::StatusCode;
use tokio::{sync::watch, time::Instant};

use crate::{
    Broker, Config, Made,
    artifacts::{self, Stored},
    backoff::{Backoff, SLOW},
    gateway::Gateway,
    text::{count, cut, one_line},
};

/// How long after SIGTERM the broker exits at the latest. The pod's grace is 120 s, of which `exec` may have used
/// some.
pub(crate) const GRACE: Duration = Duration::from_secs(100);
/// How long after SIGTERM artifacts are stored.
const ARTIFACTS: Duration = Duration::from_secs(65);
/// How long after SIGTERM the log is stored.
const LOG: Duration = Duration::from_secs(80);
/// The most problems in a report.
const MAX_PROBLEMS: usize = 8;
/// The longest problem, in bytes.
const MAX_PROBLEM: usize = 256;
/// How many numbers are tried when others made reports before.
const MAX_SKIPPED: u64 = 16;

/// Makes the end each time it is asked for, by `exec` or because the pod ends; but not again when `exec` said nothing
/// since. Who asked too early is so made good: the agent can ask as well.
pub(crate) async fn when_asked(broker: &Broker, gateway: &Gateway, config: &Config) {
    let mut sequence = 1;
    loop {
        // Cannot fail: the broker holds the sender.
        let _ = broker.finish.subscribe().wait_for(|asked| *asked).await;
        broker.finish.send_replace(false);
        if broker.made().is_some() {
            continue;
        }
        let taken = broker.log.taken();
        let report = finish(broker, gateway, config, sequence).await;
        sequence = report.sequence + 1;
        broker.made.send_replace(Some(Made { report, taken }));
    }
}

async fn finish(broker: &Broker, gateway: &Gateway, config: &Config, sequence: u64) -> Report {
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
    send(gateway, Report { sequence, ..bounded(stored) }).await
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

/// The last report, within its bounds.
fn bounded(stored: Stored) -> Report {
    let Stored { artifacts, mut problems, left: _ } = stored;
    let mut report = Report { sequence: 1, last: true, artifacts, problems: Vec::new() };
    // Names need escapes in JSON, so the number of artifacts alone does not bound the bytes.
    let room = MAX_BYTES - MAX_PROBLEMS * (2 * MAX_PROBLEM + 8);
    let mut left_out = 0_u64;
    while serde_json::to_vec(&report).map_or(0, |encoded| encoded.len()) > room && report.artifacts.pop().is_some() {
        left_out += 1;
    }
    if left_out > 0 {
        problems.insert(0, format!("the names are too long to report all; left out: {}", count(left_out, "artifact")));
    }
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - (MAX_PROBLEMS - 1);
        problems.truncate(MAX_PROBLEMS - 1);
        problems.push(format!("and {} that the log names", count(more as u64, "more problem")));
    }
    report.problems = problems.iter().map(|problem| printable(problem)).collect();
    report
}

/// A problem within its bounds. Control characters would need six bytes each in JSON, and say nothing.
fn printable(problem: &str) -> String {
    cut(&one_line(problem), MAX_PROBLEM).to_owned()
}

/// Sends the last report until the gateway has it.
///
/// 409 means that a report with this number is there already. When a try before got no answer that one was it;
/// otherwise a broker before this one made it, and this report takes the next number.
async fn send(gateway: &Gateway, mut report: Report) -> Report {
    let mut backoff = Backoff::new();
    let mut unanswered = false;
    let last_tried = report.sequence + MAX_SKIPPED;
    loop {
        let Err(failure) = gateway.report(&report).await else { return report };
        tracing::warn!(error = %failure, sequence = report.sequence, "the last report was not taken");
        let wait = match failure.status() {
            Some(StatusCode::CONFLICT) if unanswered || report.sequence >= last_tried => return report,
            Some(StatusCode::CONFLICT) => {
                report.sequence += 1;
                continue;
            }
            // A gateway that failed may have written it before; what never was sent was not.
            Some(status) => {
                unanswered |= status.is_server_error();
                failure.retry_in(&mut backoff).unwrap_or(SLOW)
            }
            None => {
                unanswered = true;
                backoff.advance()
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
