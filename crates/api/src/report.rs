//! What a run's broker says of its run. It travels as an annotation on the pod.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest encoded [`Report`], in bytes; the gateway refuses more.
pub const MAX_BYTES: usize = 32 * 1024;
/// How many artifacts one run stores at most.
pub const MAX_ARTIFACTS: usize = 64;
/// The longest name of an artifact, in bytes.
pub const MAX_ARTIFACT_NAME: usize = 150;
/// How many turns a report names at most: the newest.
pub const MAX_TURNS: usize = 20;
/// How many messages a report says were dealt with at most: the newest.
pub const MAX_CONSUMED: usize = 256;
/// The longest result of a turn, in bytes; also when its characters are escaped in JSON.
pub const MAX_RESULT: usize = 128;
/// The longest question, in bytes; also when its characters are escaped in JSON.
pub const MAX_QUESTION: usize = 512;
/// How many problems a report names at most.
pub const MAX_PROBLEMS: usize = 8;
/// The longest problem, and the longest text of what was not kept, in bytes.
pub const MAX_PROBLEM: usize = 256;

/// A broker's report. Each replaces the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Counts the reports of one pod from 1; the gateway writes a report only over its predecessor.
    pub sequence: u64,
    /// Nothing follows: logs and artifacts are stored.
    #[serde(default)]
    pub last: bool,
    /// The last turns that were finished, those of earlier attempts that this one goes on from among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// Of all messages that this attempt dealt with, the last 256, the entries for `status.consumed`
    /// ([`consumed_entry`](crate::session::consumed_entry)): a burst may have more turns than are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumed: Vec<String>,
    /// The agent has dealt with all messages and waits for the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// What of workspace and home could not be kept for the next attempt; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
    /// What was stored of `spec.artifacts`, in the order of their names.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// What could not be stored, each a sentence for the user; at most 8 of at most 256 bytes.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// A message and what the agent did about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// The id of the message; `prompt` for the Session's prompt.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub message: String,
    /// In which attempt.
    #[schemars(extend("format" = "int32"))]
    pub attempt: u32,
    /// When the agent was given the message.
    pub started_at: Time,
    /// When the agent had dealt with it.
    pub finished_at: Time,
    /// The end of what the agent said, cut to 128 bytes. The log has all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub result: String,
    /// The tokens of the turn, as the agent itself counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Read by the model, without what its provider had in its cache.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub input_tokens: i64,
    /// Written by the model.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub output_tokens: i64,
    /// Read from the provider's cache.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub cache_read_tokens: i64,
    /// Written to the provider's cache.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub cache_write_tokens: i64,
}

impl Usage {
    /// Whether every number can be one of tokens.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let Self { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = *self;
        [input_tokens, output_tokens, cache_read_tokens, cache_write_tokens].iter().all(|tokens| *tokens >= 0)
    }
}

/// An agent that waits for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Since when.
    pub since: Time,
    /// What the agent asked at the end of its last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// A file that a run handed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The file's path beneath the workspace.
    #[schemars(length(max = 150))]
    pub name: String,
    /// Its length in bytes.
    pub size: i64,
    /// Its SHA-256 checksum in lower-case hexadecimal.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}
