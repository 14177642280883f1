//! Telling the gateway that the broker lives, and learning from it that the pod has to go.
//!
//! Only a beat that the gateway answered counts. Without one for long the cluster may have given the pod up and begin
//! the next attempt elsewhere, so the agent is ended: there are never two on one piece of work.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use drover_api::{
    runner::{HEARTBEAT, Heartbeat, Termination},
    state::Reason,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{backoff::Backoff, gateway::Failure};

/// How long a broker tries at least, though the gateway was silent for long before it began.
const LAST_TRY: Duration = Duration::from_secs(3);

/// Beats until the agent has to end, and says why. A beat that failed is tried again soon. `silence` is how long the
/// gateway had been silent before.
pub(crate) async fn until_the_end(
    beat: impl AsyncFn() -> Result<Heartbeat, Failure>,
    patience: Duration,
    silence: Duration,
) -> Termination {
    let mut lost_at = Instant::now() + patience.saturating_sub(silence).max(LAST_TRY.min(patience));
    let mut backoff = Backoff::new();
    loop {
        let begun = Instant::now();
        let wait = match timeout_at(lost_at, beat()).await {
            Ok(Ok(Heartbeat { stop: true })) => return deleted(),
            Ok(Ok(Heartbeat { stop: false })) => {
                // From its begin: when it was answered is not known to the gateway.
                lost_at = begun + patience;
                backoff = Backoff::new();
                HEARTBEAT
            }
            Ok(Err(failure)) => {
                tracing::warn!(error = %failure, "the gateway did not take the heartbeat");
                backoff.advance()
            }
            Err(_) => return lost(patience),
        };
        if timeout_at(lost_at, sleep(wait)).await.is_err() {
            return lost(patience);
        }
    }
}

/// When the gateway answered last, in a file that outlives the broker: the agent goes on while its broker is started
/// again, and so does the time without an answer.
#[derive(Debug)]
pub(crate) struct Heard {
    file: PathBuf,
}

impl Heard {
    /// In the folder of the journal.
    pub(crate) fn beside(journal: &Path) -> Self {
        Self { file: journal.join("heard") }
    }

    /// How long ago it was; no time if it never was, or before the node was started.
    pub(crate) fn silence(&self) -> Duration {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let heard = text.parse().map(Duration::from_millis);
        heard.ok().and_then(|heard| uptime().checked_sub(heard)).unwrap_or_default()
    }

    /// Remembers an answer to what was sent at `sent`.
    pub(crate) fn at(&self, sent: Duration) {
        let fresh = self.file.with_extension("new");
        let write = || -> io::Result<()> {
            std::fs::write(&fresh, sent.as_millis().to_string())?;
            std::fs::rename(&fresh, &self.file)
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "a broker in place of this one would not know when the gateway answered last");
        }
    }
}

/// The time since the node was started: nobody sets it, and it goes on while the node sleeps.
pub(crate) fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn deleted() -> Termination {
    let message = "the pod is being deleted, so the agent was ended".to_owned();
    Termination { reason: Reason::PodDeleted, message }
}

fn lost(patience: Duration) -> Termination {
    let message = format!(
        "the pod could not reach Drover's gateway for {} s, so the agent was ended: check the network between the \
         pod's node and the gateway",
        patience.as_secs()
    );
    Termination { reason: Reason::ReportingLost, message }
}

#[cfg(test)]
mod tests;
