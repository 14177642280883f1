//! How long to wait before the next try.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The first wait, without jitter.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);
/// The wait after an answer that only somebody else can change, for instance a token that is not valid yet.
pub(crate) const SLOW: Duration = Duration::from_secs(3);

/// Waits that double from [`FIRST`] to [`LONGEST`], each shortened at random by up to a half, so that the brokers of a
/// cluster do not come back to a restarted gateway all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait.
    pub(crate) fn advance(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait.mul_f64(1.0 - random_fraction() / 2.0)
    }
}

/// A number from 0 to 1. The standard library seeds its hashers at random, which is random enough for jitter.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
