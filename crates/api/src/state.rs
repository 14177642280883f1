//! Where an object stands: phases, reasons and outcomes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a Session stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema)]
pub enum Phase {
    /// Not running yet.
    #[default]
    Pending,
    /// The agent runs.
    Running,
    /// The agent ended with exit code 0.
    Succeeded,
    /// The agent could not be run or did not end well.
    Failed,
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Pending | Self::Running => false,
        }
    }
}

/// Why a Session stands where it stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum Reason {
    /// The registry of frameworks cannot be read.
    FrameworksUnavailable,
    /// The registry does not know the framework.
    UnknownFramework,
    /// The registry's entry for the framework is not valid.
    InvalidFramework,
    /// The pod waits for a node.
    Unschedulable,
    /// The pod has a node and its containers are being started.
    Starting,
    /// An image of the pod cannot be fetched.
    ImagePullFailed,
    /// The API server refuses the pod for now, for instance for want of quota.
    PodRefused,
    /// The API server refuses the pod as it is written.
    InvalidPod,
    /// A pod of somebody else has the name.
    PodNameTaken,
    /// The agent runs.
    AgentRunning,
    /// The agent ended with exit code 0.
    Completed,
    /// The agent ended with another exit code.
    NonZeroExit,
    /// The agent's command could not be started.
    CommandNotFound,
    /// The agent used more memory than its limit.
    OutOfMemory,
    /// The time was up.
    DeadlineExceeded,
    /// The node took the pod back.
    Evicted,
    /// The pod was deleted while it ran.
    PodDeleted,
    /// The pod ended in a way that says nothing more.
    PodFailed,
    /// The Session was restored from a backup; it ran before.
    Restored,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// How a Session ended, as the annotation [`OUTCOME`](crate::names::annotation::OUTCOME) keeps it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// [`Phase::Succeeded`] or [`Phase::Failed`].
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// When it ended.
    pub finished_at: Time,
}
