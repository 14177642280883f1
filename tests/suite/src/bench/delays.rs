//! How long things took, and which of them took longest.

use serde::Serialize;

/// How long one Session waited for what was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delay {
    pub(super) milliseconds: f64,
    /// When in the run the Session was created.
    pub(super) seconds_into_run: f64,
    /// Its namespace and name.
    pub(super) session: String,
    /// Whether no Session was in its namespace before, so that things were made for it that the next ones share.
    pub(super) first_of_namespace: bool,
}

/// The delays of one load.
pub(super) struct Delays(Vec<Delay>);

impl Delays {
    pub(super) fn new(mut delays: Vec<Delay>) -> Self {
        delays.sort_by(|one, other| one.milliseconds.total_cmp(&other.milliseconds));
        Self(delays)
    }

    /// The delay that so many percent do not exceed, in milliseconds.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(index).map_or(f64::NAN, |delay| delay.milliseconds)
    }

    /// The longest delays, the very longest first.
    pub(super) fn longest(&self, count: usize) -> Vec<Delay> {
        self.0.iter().rev().take(count).cloned().collect()
    }
}

/// The value in the middle, or between the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests;
