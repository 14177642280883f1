//! `Session`: a conversation or a piece of work with an agent.

mod conversation;
mod pod;
mod status;
mod workspace;

pub use conversation::{
    Cancel, Idle, MAX_MESSAGE_ID, Retry, SessionMessage, Suspend, consumed_entry, is_consumed_entry, is_message_id,
};
pub use pod::{EnvVar, PodOverrides, Resources};
pub use status::{PodReference, Question, SessionStatus, Transition};
pub use workspace::{Claim, EmptyDir, Workspace};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::Duration;

/// A conversation or a piece of work with an agent: a prompt, the framework that runs it, messages that follow, and what
/// it is to hand back.
///
/// Drover runs it once, in pods of its namespace, one at a time. What was asked cannot be changed while or after it
/// runs: to run it again, create a Session with another name.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "drover.dev",
    version = "v1alpha1",
    kind = "Session",
    plural = "sessions",
    shortname = "ses",
    category = "drover",
    namespaced,
    status = "SessionStatus",
    derive = "PartialEq",
    doc = "A conversation or a piece of work with an agent: a prompt, the framework that runs it, messages that follow, and what it is to hand back. Drover runs it once, in pods of its namespace, one at a time. What was asked cannot be changed while or after it runs: to run it again, create a Session with another name.",
    selectable = ".status.phase",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Framework", type_ = "string", json_path = ".spec.framework"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.pod.name", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    validation = Rule::new(
        "!(has(oldSelf.status) && oldSelf.status.phase in ['Succeeded', 'Failed', 'Cancelled']) || self.spec == oldSelf.spec"
    )
    .message("the Session has ended and its spec cannot be changed: create a Session with another name to run something else"),
    validation = Rule::new(
        "(self.spec.prompt == oldSelf.spec.prompt && self.spec.framework == oldSelf.spec.framework && has(self.spec.timeout) == has(oldSelf.spec.timeout) && (!has(self.spec.timeout) || self.spec.timeout == oldSelf.spec.timeout) && has(self.spec.artifacts) == has(oldSelf.spec.artifacts) && (!has(self.spec.artifacts) || self.spec.artifacts == oldSelf.spec.artifacts) && has(self.spec.retry) == has(oldSelf.spec.retry) && (!has(self.spec.retry) || self.spec.retry == oldSelf.spec.retry) && has(self.spec.workspace) == has(oldSelf.spec.workspace) && (!has(self.spec.workspace) || self.spec.workspace == oldSelf.spec.workspace) && has(self.spec.pod) == has(oldSelf.spec.pod) && (!has(self.spec.pod) || self.spec.pod == oldSelf.spec.pod)) || (self.status.phase == 'Pending' && !has(self.status.attempt) && has(self.status.conditions) && self.status.conditions.exists(c, c.type == 'Accepted' && c.status == 'False'))"
    )
    .message("of a Session's spec only messages, interactive, idle, suspend, cancel and ttlAfterFinished can be changed once it was accepted: create a Session with another name to run something else"),
    validation = Rule::new("!has(oldSelf.spec.cancel) || has(self.spec.cancel)")
        .message("cancel cannot be taken back: create a Session with another name to run it again"),
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must have at most 63 characters, because it becomes a label of the pod"),
)]
#[serde(rename_all = "camelCase")]
pub struct SessionSpec {
    /// What the agent is asked to do, at most 32 KiB. With the framework `shell` it is a script.
    #[schemars(length(min = 1, max = 32768))]
    pub prompt: String,

    /// Which framework runs the prompt: a key of the registry that the platform admin keeps. A name that the
    /// registry does not know is reported in the condition Accepted, with the names that it knows.
    #[serde(default = "default_framework")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub framework: String,

    /// How long the agent may run in all, over all attempts and waiting for messages included, for instance `1h30m`; the
    /// time in which the Session is suspended or waits for a node does not count. When it is over the agent is
    /// stopped and the Session fails with the reason DeadlineExceeded; artifacts that exist by then are kept.
    /// From 1s to 744h; left out, the platform's default holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Which files to keep when the agent has ended: paths beneath the working directory with `*` (within a name),
    /// `**` (across folders), `?`, `[…]` and `{a,b}`. Regular files only; links are not followed. At most 64 files
    /// are kept; what was left out stands in the condition ArtifactsStored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(
        merge_strategy = kube::core::ListMerge::Set,
        validation = Rule::new("self.all(p, !p.startsWith('/') && !p.matches('(^|/)[.][.](/|$)'))")
            .message("artifacts are paths beneath the working directory: write them without a leading / and without ..")
    )]
    pub artifacts: Vec<String>,

    /// Follow-up messages, at most 64. Each is delivered once, in the order of the list, when the turn before it has ended.
    /// Taking a message away has no effect on what was delivered. Keep them out of Git, or add them by server-side
    /// apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["id".into()]))]
    pub messages: Vec<SessionMessage>,

    /// Whether the agent's pod waits for the next message when it has dealt with all, in the phase Waiting. Without it
    /// the Session ends then. Set it back to false to end the conversation after its turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interactive: bool,

    /// What becomes of an interactive Session in which nobody says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,

    /// Present, the agent is stopped and its pod given back; the Session goes on where its last turn ended once this is
    /// removed. Write `suspend: {}`. Keep it out of Git, or set it by server-side apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,

    /// Present, the Session ends as Cancelled, and its agent is stopped within seconds. Write `cancel: {}`; it cannot be
    /// taken back. Keep it out of Git, or set it by server-side apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,

    /// Whether and how often an attempt that failed is followed by another. Left out, it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,

    /// Where the agent's files are. Left out, on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,

    /// How long after its end the Session's pod, claim, log and artifacts are kept. A Session that Drover itself named
    /// is deleted then, but not before 4 days have passed; one that was applied stays, so that a GitOps tool does
    /// not run it again. Left out, they are kept as long as the Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<Duration>,

    /// Changes to the pod in which the agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
}

impl SessionSpec {
    /// A spec that says nothing but the prompt.
    #[must_use]
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            framework: default_framework(),
            timeout: None,
            artifacts: Vec::new(),
            messages: Vec::new(),
            interactive: false,
            idle: None,
            suspend: None,
            cancel: None,
            retry: None,
            workspace: None,
            ttl_after_finished: None,
            pod: None,
        }
    }
}

fn default_framework() -> String {
    "shell".to_owned()
}
