use std::{borrow::Cow, fmt, str::FromStr, time::Duration as StdDuration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de};

/// A length of time in Kubernetes' own notation: hours, minutes and seconds, for instance `1h30m` or `90s`.
///
/// Whole seconds only, at least one second and at most 31 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(StdDuration);

/// The longest [`Duration`] that is accepted, in seconds: 31 days.
const MAX_SECONDS: u64 = 31 * 24 * 3600;

/// What is wrong with a text that should have been a [`Duration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write hours, minutes and seconds from 1s to 744h, for instance 1h30m or 90s")]
pub struct InvalidDuration(String);

impl Duration {
    /// A duration of whole seconds; `None` outside 1 s to 31 days.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        if seconds == 0 || seconds > MAX_SECONDS { None } else { Some(Self(StdDuration::from_secs(seconds))) }
    }

    /// The same length for the standard library.
    #[must_use]
    pub const fn as_std(self) -> StdDuration {
        self.0
    }

    /// The length in whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        total_seconds(text).and_then(Self::from_secs).ok_or_else(|| InvalidDuration(text.to_owned()))
    }
}

/// The seconds that `text` names, each unit at most once and the largest first.
fn total_seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some(end) = rest.find(unit) else { continue };
        let digits = &rest[..end];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = &rest[end + 1..];
    }
    rest.is_empty().then_some(total)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_secs();
        for (value, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 16,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,7}s)?$') && self != '' \
                         && duration(self) >= duration('1s') && duration(self) <= duration('744h')",
                "message": "must be a duration from 1s to 744h in hours, minutes and seconds, for instance 1h30m or 90s",
            }],
        })
    }
}
