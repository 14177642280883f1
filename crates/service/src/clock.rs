//! The clock of the operator: where "now" comes from, and how to wait for a point in time.
//!
//! Work queue, lease and plan must agree on what time it is: a queue that wakes an object for a deadline, and a plan
//! that then finds the deadline still ahead, would wake it again at once. So all of them are given one [`Clock`], and a
//! test that moves its [`ManualClock`] moves all of them together.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

/// The longest time a sleep goes without looking at the system's clock, which can be set while it sleeps.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Says what time it is. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(watch::Receiver<Timestamp>),
}

impl Clock {
    /// The time of the machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (sender, receiver) = watch::channel(start);
        (Self(Source::Manual(receiver)), ManualClock(Arc::new(sender)))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(time) => *time.borrow(),
        }
    }

    /// Returns once it is `at` or later; at once when it already is. A manual clock that nobody can move any more
    /// never gets there.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System => {
                while let Some(left) = time_left(Timestamp::now(), at) {
                    tokio::time::sleep(left.min(LONGEST_NAP)).await;
                }
            }
            Source::Manual(time) => {
                if time.clone().wait_for(|now| *now >= at).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// From `now` to `at`; `None` when `at` is not ahead.
fn time_left(now: Timestamp, at: Timestamp) -> Option<Duration> {
    Duration::try_from(at.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// Moves the [`Clock`] that was made with it. Clones move the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// Moves the clock on by `step` and wakes who waited for a time in between. The clock stops at the latest time that
    /// can be written.
    pub fn advance(&self, step: Duration) {
        self.0.send_modify(|now| *now = now.checked_add(step).unwrap_or(Timestamp::MAX));
    }

    /// Sets the clock, to an earlier time too, as the clock of a machine can be.
    pub fn set(&self, time: Timestamp) {
        self.0.send_replace(time);
    }
}

#[cfg(test)]
mod tests;
