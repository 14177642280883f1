//! Where an object stands: phases, reasons and outcomes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a Session stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema)]
pub enum Phase {
    /// Not running yet, or not running again yet.
    #[default]
    Pending,
    /// The agent runs.
    Running,
    /// The agent has dealt with all messages and waits for the next.
    Waiting,
    /// The agent is stopped until somebody wants it to go on.
    Suspended,
    /// The agent ended with exit code 0.
    Succeeded,
    /// The agent could not be run or did not end well.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl Phase {
    /// All phases after which nothing more will happen.
    pub const FINISHED: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::Waiting | Self::Suspended => false,
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
    /// The pod waits for a node, or no node could take it in time.
    Unschedulable,
    /// The pod has a node and its containers are being started.
    Starting,
    /// The pod's containers did not start in time.
    StartTimeout,
    /// An image of the pod cannot be fetched.
    ImagePullFailed,
    /// The API server refuses the pod for now, for instance for want of quota.
    PodRefused,
    /// The API server refuses the pod as it is written.
    InvalidPod,
    /// A pod of somebody else has the name.
    PodNameTaken,
    /// An attempt failed; the next one begins after a pause.
    Retrying,
    /// The cluster cut an attempt short; the next one begins after a pause.
    Disrupted,
    /// Messages came while the agent ended; the next attempt deals with them.
    MessagesPending,
    /// The agent is wanted again; its next attempt begins.
    Resuming,
    /// The agent runs.
    AgentRunning,
    /// The agent has dealt with all messages.
    AwaitingMessage,
    /// The agent asked a question.
    AwaitingAnswer,
    /// The agent is being stopped, because the Session is suspended.
    Suspending,
    /// Somebody suspended the Session.
    SuspendRequested,
    /// Nobody said anything for long.
    Idle,
    /// The agent is being stopped, because the Session is cancelled.
    Cancelling,
    /// Somebody cancelled the Session.
    CancelRequested,
    /// Nobody said anything for so long that the conversation ended.
    IdleExpired,
    /// The agent ended with exit code 0.
    Completed,
    /// The agent ended with another exit code.
    NonZeroExit,
    /// The agent's command could not be started.
    CommandNotFound,
    /// The agent used more memory than its limit.
    OutOfMemory,
    /// The agent used more disk than its limit.
    DiskExceeded,
    /// The time was up.
    DeadlineExceeded,
    /// The node was under pressure and took the pod back.
    Evicted,
    /// The node was drained, or something else evicted the pod through the API.
    Drained,
    /// A pod of higher priority took the place.
    Preempted,
    /// The node does not answer any more.
    NodeLost,
    /// The cluster cut too many attempts short.
    TooManyDisruptions,
    /// The pod was deleted while it ran.
    PodDeleted,
    /// The broker beside the agent was lost.
    BrokerLost,
    /// The broker could not reach the gateway for too long.
    ReportingLost,
    /// The workspace of the attempt before could not be put back.
    RestoreFailed,
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
    /// One of [`Phase::FINISHED`].
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// When it ended.
    pub finished_at: Time,
    /// When the next of what is left of it is to go; `None` when nothing more will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}
