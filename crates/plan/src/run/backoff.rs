//! How long to wait before the next attempt.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::settings::LONGEST_BACKOFF;

/// The pause after so many endings, from 1: `first` doubled for each further one, at most [`LONGEST_BACKOFF`], and up to
/// a quarter more, which differs by `who` and `endings`, so that what ended together does not begin together. The
/// same for the same arguments, so that a restart in between changes nothing.
#[must_use]
pub fn backoff(first: Duration, endings: u32, who: &str) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(endings.saturating_sub(1)));
    let hash = Sha256::digest(format!("{who}/{endings}"));
    let percent = 100 + u32::from(hash[0]) * 25 / 255;
    doubled.min(LONGEST_BACKOFF) * percent / 100
}

#[cfg(test)]
mod tests;
