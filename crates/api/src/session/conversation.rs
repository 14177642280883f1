//! What a Session is told while it lives.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Duration;

/// A follow-up message for the agent.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[x_kube(validation = Rule::new("self.text == oldSelf.text && has(self.by) == has(oldSelf.by) && (!has(self.by) || self.by == oldSelf.by)")
    .message("a message cannot be changed: add another one with an id of its own"))]
pub struct SessionMessage {
    /// Names the message within the Session: lower-case letters, digits and `-`. An id is acted on once; a message that
    /// is removed and added again is not delivered again.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self != 'prompt'").message("the id prompt belongs to spec.prompt: choose another id"))]
    pub id: String,
    /// What the agent is told, at most 8 KiB. With the framework `shell` it is a script.
    #[schemars(length(min = 1, max = 8192))]
    pub text: String,
    /// Who says it. Must be the name of the user who adds the message; left out, only the audit log of the API server
    /// knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub by: Option<String>,
}

/// The entry of `status.consumed` for a message's id: the first 48 bits of its SHA-256 checksum in Base64 (RFC 4648,
/// section 5), 8 characters.
#[must_use]
pub fn consumed_entry(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(id)[..6])
}

/// The length of a [`consumed_entry`].
const CONSUMED_ENTRY: usize = 8;

/// Whether a text may be a [`consumed_entry`].
#[must_use]
pub fn is_consumed_entry(text: &str) -> bool {
    text.len() == CONSUMED_ENTRY && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The longest id of a message, in bytes.
pub const MAX_MESSAGE_ID: usize = 63;

/// Whether a text may be the id of a message, as the schema says it.
#[must_use]
pub fn is_message_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_MESSAGE_ID).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Stops the agent until it is taken away again.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[x_kube(validation = Rule::new("self == oldSelf").message("suspend cannot be changed: remove it to resume the Session"))]
pub struct Suspend {
    /// Who suspends. Must be the name of the user who writes it; left out, only the audit log of the API server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub by: Option<String>,
}

/// Ends the Session for good.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[x_kube(validation = Rule::new("self == oldSelf").message("cancel cannot be changed: the Session is being cancelled"))]
pub struct Cancel {
    /// Who cancels. Must be the name of the user who writes it; left out, only the audit log of the API server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub by: Option<String>,
}

/// What becomes of a conversation in which nobody says anything.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.suspendAfter) || !has(self.deleteAfter) || duration(self.suspendAfter) < duration(self.deleteAfter)")
    .message("idle.suspendAfter must be shorter than idle.deleteAfter"))]
pub struct Idle {
    /// After so long in the phase Waiting the pod is given back, and the Session is Suspended until the next message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_after: Option<Duration>,
    /// After so long without a message the conversation ends: the Session is Succeeded with the reason IdleExpired, and
    /// deleted if Drover itself had named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<Duration>,
}

/// What is done about an attempt that failed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How many more attempts there may be after the first has failed, at most 10. Disruptions, such as the drain of a
    /// node, are not counted.
    #[schemars(range(min = 0, max = 10))]
    pub limit: u32,
    /// The pause before the second attempt; it doubles with each further one, up to 10 minutes, and is spread a
    /// little. Left out: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
}
