//! Times and sizes for people.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};

/// A length of time in its two largest units, for instance `3m20s`; in one from ten of the larger on.
pub(crate) fn duration(length: SignedDuration) -> String {
    let seconds = u64::try_from(length.as_secs()).unwrap_or(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: char, small: u64, small_unit: char| {
        if large >= 10 || small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{small_unit}") }
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(minutes, 'm', seconds % 60, 's'),
        3600..86_400 => two(hours, 'h', minutes % 60, 'm'),
        _ => two(days, 'd', hours % 24, 'h'),
    }
}

/// How long ago `time` was, or nothing where there is no time.
pub(crate) fn age(time: Option<&Time>, now: Timestamp) -> String {
    time.map(|time| duration(now.duration_since(time.0))).unwrap_or_default()
}

/// The time between two times, as far as it is known; an open end is `now`.
pub(crate) fn between(start: Option<&Time>, end: Option<&Time>, now: Timestamp) -> Option<SignedDuration> {
    start.map(|start| end.map_or(now, |end| end.0).duration_since(start.0))
}

/// A point in time in UTC, whole seconds.
pub(crate) fn instant(time: &Time) -> String {
    time.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// When an event happened last, in whichever of its fields its reporter wrote that.
pub(crate) fn happened(event: &Event) -> Option<Time> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.clone());
    let exact = series.or_else(|| event.event_time.clone()).map(|time| Time(time.0));
    exact.or_else(|| event.last_timestamp.clone()).or_else(|| event.first_timestamp.clone())
}

/// A number of bytes with three digits at least, for instance `1.5 KiB`.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Exact up to 4 PiB, and one decimal is all that is shown.
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests;
