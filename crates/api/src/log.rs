//! The log of a run: numbered events.

use serde::{Deserialize, Serialize};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Output of the agent.
    Agent,
    /// A tool that the agent called.
    Tool,
    /// Output of a hook.
    Hook,
    /// Said by Drover: a start, an upload, an end.
    System,
    /// Something that went wrong, said by Drover.
    Error,
}

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One event of a run's log. Stored and sent as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Where the event stands: which attempt, and which place in it.
    pub id: EventId,
    /// When the runner saw it, RFC 3339 with milliseconds.
    pub time: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For output: where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// The text, at most [`MAX_TEXT`] bytes, without the line's end. Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Output longer than [`MAX_TEXT`] goes on in the next event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// The largest text of one event, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;

/// The place of an event: `<attempt>-<sequence>`, both counted from 1 and without gaps. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Which try of the Session.
    pub attempt: u32,
    /// Which event of that try.
    pub sequence: u64,
}

impl EventId {
    /// Before every event.
    pub const START: Self = Self { attempt: 0, sequence: 0 };
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.attempt, self.sequence)
    }
}

/// What is wrong with a text that should have been an [`EventId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an event id: it looks like 1-42, attempt and sequence")]
pub struct InvalidEventId(String);

impl std::str::FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let parsed = || {
            let (attempt, sequence) = text.split_once('-')?;
            Some(Self { attempt: attempt.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parsed().ok_or_else(|| InvalidEventId(text.to_owned()))
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
