//! Times that cannot overflow: what tenants and nodes write into objects may be any time.

use std::time::Duration;

use jiff::Timestamp;

/// The time so much later, or the latest that can be written.
#[must_use]
pub fn after(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
