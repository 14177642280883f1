//! What Drover knows of a Session.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::consumed_entry;
use crate::{
    report::{Artifact, Turn},
    state::{self, Phase},
};

/// What Drover knows of a Session.
///
/// Bounded: the lists state their largest lengths, messages have at most 1,024 bytes, and the whole less than 64 KiB.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The generation that this status speaks of; -1 until Drover has seen the Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the Session stands, for people: Pending, Running, Waiting (for a message), Suspended, Succeeded, Failed or
    /// Cancelled.
    #[serde(default)]
    pub phase: Phase,

    /// Why it stands there, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<state::Reason>,

    /// Why it stands there and what can be done, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,

    /// Which attempt runs or ran, counted from 1. Each has a pod of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub attempt: Option<u32>,

    /// The pod of this attempt. It is deleted some time after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodReference>,

    /// How many attempts failed, as `spec.retry` counts them.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("format" = "int32"))]
    pub failures: u32,

    /// How many attempts were cut short by the cluster, for instance by the drain of a node; at most 10.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("format" = "int32"))]
    pub disruptions: u32,

    /// When the next attempt begins, while one is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,

    /// When the first agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,

    /// How many seconds the agents of earlier attempts ran, as `spec.timeout` counts them.
    #[serde(default, skip_serializing_if = "is_zero_seconds")]
    pub active_seconds: i64,

    /// Whether the last agent was stopped in the middle of a turn, which the next one is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,

    /// Since when the agent waits for a message, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,

    /// What the agent asked at the end of its last turn; answer with a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,

    /// The last 20 turns that were finished, the newest last. The log has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub turns: Vec<Turn>,

    /// Hashes of the ids of the messages that were dealt with, the last 1,024: they are not delivered again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 8), regex(pattern = "^[A-Za-z0-9_-]{8}$")))]
    pub consumed: Vec<String>,

    /// When the Session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,

    /// The agent's exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,

    /// The files that were kept; fetch them with `kubectl drover artifacts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub artifacts: Vec<Artifact>,

    /// The last 8 changes of phase or reason, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub transitions: Vec<Transition>,

    /// The state for machines: Accepted, Admitted, Complete, ArtifactsStored, WorkspaceKept and, where they hold,
    /// Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl SessionStatus {
    /// Whether the message of this id was dealt with, so that it is not delivered again.
    #[must_use]
    pub fn has_dealt_with(&self, id: &str) -> bool {
        self.consumed.contains(&consumed_entry(id))
    }
}

/// The pod of an attempt.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct PodReference {
    /// The pod's name, in the Session's namespace.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The pod's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// The node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
}

/// What the agent wants to know.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Its words, cut to 512 bytes.
    #[schemars(length(max = 512))]
    pub text: String,
    /// The id of the message whose turn ended with it.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub message: String,
    /// When it was asked.
    pub asked_at: Time,
}

/// A change of phase or reason.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The phase from then on.
    pub phase: Phase,
    /// The reason from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<state::Reason>,
    /// When.
    pub at: Time,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero_seconds(seconds: &i64) -> bool {
    *seconds == 0
}
