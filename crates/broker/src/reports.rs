//! Reports: numbered, bounded, and sent until the gateway has them.
//!
//! Each replaces the one before, so each says all. What is too much goes in this order: the results of turns, the
//! oldest first; whole turns, the oldest first, which reports before have told; artifacts, the last names first.

use drover_api::{
    report::{MAX_BYTES, MAX_CONSUMED, MAX_PROBLEM, MAX_PROBLEMS, Report},
    session::consumed_entry,
};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use crate::{
    artifacts::Stored,
    backoff::{Backoff, SLOW},
    gateway::Gateway,
    state::State,
    text::{count, cut, one_line},
};

/// The reports of one pod.
#[derive(Debug)]
pub(crate) struct Reports {
    /// How many there are, as far as is known. Held while one is sent.
    made: Mutex<u64>,
}

impl Reports {
    /// Goes on after `made` reports, or more.
    pub(crate) fn new(made: u64) -> Self {
        Self { made: Mutex::new(made) }
    }

    /// Sends a report under the next number until the gateway has it; how many there are then.
    ///
    /// The same report again is taken as well, so 409 means that another has this number, of which nothing is known here:
    /// one that a broker before this sent. Then this report takes the number that the gateway expects.
    pub(crate) async fn send(&self, gateway: &Gateway, mut report: Report) -> Report {
        let mut made = self.made.lock().await;
        report.sequence = *made + 1;
        let mut backoff = Backoff::new();
        while let Err(failure) = gateway.report(&report).await {
            tracing::warn!(error = %failure, sequence = report.sequence, "a report was not taken");
            let wait = if failure.status() == Some(StatusCode::CONFLICT) {
                report.sequence = failure.expected().unwrap_or(report.sequence + 1);
                backoff.advance()
            } else {
                failure.retry_in(&mut backoff).unwrap_or(SLOW)
            };
            tokio::time::sleep(wait).await;
        }
        *made = report.sequence;
        report
    }
}

/// What there is to say between turns.
pub(crate) fn of(state: &State) -> Report {
    let State { turns, consumed, waiting, not_kept, .. } = state;
    let newest = consumed.len().saturating_sub(MAX_CONSUMED);
    let report = Report {
        turns: turns.clone(),
        consumed: consumed[newest..].iter().map(|id| consumed_entry(id)).collect(),
        waiting: waiting.clone(),
        not_kept: not_kept.as_deref().map(printable),
        ..Report::default()
    };
    shortened(report, MAX_BYTES)
}

/// The last report.
pub(crate) fn last(state: &State, stored: Stored) -> Report {
    let Stored { artifacts, mut problems, left: _ } = stored;
    let report = Report { last: true, artifacts, ..of(state) };
    let all = report.artifacts.len();
    // Quotation marks and backslashes take two bytes.
    let mut report = shortened(report, MAX_BYTES - MAX_PROBLEMS * (2 * MAX_PROBLEM + 8));
    let left_out = all - report.artifacts.len();
    if left_out > 0 {
        let left_out = count(left_out as u64, "artifact");
        problems.insert(0, format!("the names are too long to report all; left out: {left_out}"));
    }
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - (MAX_PROBLEMS - 1);
        problems.truncate(MAX_PROBLEMS - 1);
        problems.push(format!("and {} that the log names", count(more as u64, "more problem")));
    }
    report.problems = problems.iter().map(|problem| printable(problem)).collect();
    report
}

/// The report within `room` bytes.
fn shortened(mut report: Report, room: usize) -> Report {
    let is_too_long = |report: &Report| {
        // The number is not known yet; this one is the longest.
        let numbered = Report { sequence: u64::MAX, ..report.clone() };
        serde_json::to_vec(&numbered).map_or(0, |encoded| encoded.len()) > room
    };
    let mut oldest = 0;
    while is_too_long(&report) {
        if oldest + 1 < report.turns.len() {
            report.turns[oldest].result.clear();
            oldest += 1;
        } else if report.turns.len() > 1 {
            report.turns.remove(0);
        } else if report.artifacts.pop().is_none() {
            break;
        }
    }
    report
}

/// A sentence within its bounds. Control characters would need six bytes each in JSON, and say nothing.
fn printable(sentence: &str) -> String {
    cut(&one_line(sentence), MAX_PROBLEM).to_owned()
}

#[cfg(test)]
mod tests;
