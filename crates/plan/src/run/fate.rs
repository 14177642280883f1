//! What an attempt's ending means for its Session: the one table that decisions, tests and docs share.

use drover_api::state::{Phase, Reason};

/// Whether another attempt follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would end the same way, or nobody wants it.
    Never,
    /// As often as `spec.retry` allows.
    ByRetry,
    /// It was not the Session's fault: at most [`MAX_DISRUPTIONS`](crate::settings::MAX_DISRUPTIONS) times.
    AfterDisruption,
}

/// What an ending means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How the attempt ended.
    pub reason: Reason,
    /// The Session's phase, unless another attempt follows.
    pub phase: Phase,
    /// Whether another attempt follows.
    pub again: Again,
    /// How it comes to that, for the docs.
    pub when: &'static str,
    /// What is kept beside the log, for the docs.
    pub kept: &'static str,
}

const ALL: &str = "artifacts";
const LAST_TURN: &str = "workspace as of the last finished turn; artifacts that exist at the end";
const SO_FAR: &str = "workspace and artifacts as they are when the agent is stopped";
const STORED: &str = "workspace and artifacts that were stored before";
const NOTHING: &str = "nothing, the agent did not start";

const fn fate(reason: Reason, phase: Phase, again: Again, when: &'static str, kept: &'static str) -> Fate {
    Fate { reason, phase, again, when, kept }
}

/// Every ending of an attempt.
pub const FATES: [Fate; 23] = {
    use Again::{AfterDisruption, ByRetry, Never};
    use Phase::{Cancelled, Failed, Succeeded, Suspended};
    [
        fate(
            Reason::Completed,
            Succeeded,
            Never,
            "The agent has dealt with all messages and ended with exit code 0.",
            ALL,
        ),
        fate(Reason::NonZeroExit, Failed, ByRetry, "The agent ended with another exit code.", LAST_TURN),
        fate(
            Reason::CommandNotFound,
            Failed,
            Never,
            "The framework's command or its interpreter is not in the image, or cannot be run.",
            NOTHING,
        ),
        fate(
            Reason::OutOfMemory,
            Failed,
            ByRetry,
            "The agent, or one process of it, was killed for want of memory.",
            LAST_TURN,
        ),
        fate(
            Reason::DiskExceeded,
            Failed,
            ByRetry,
            "The pod was evicted because it used more disk than its own limits allow.",
            LAST_TURN,
        ),
        fate(Reason::DeadlineExceeded, Failed, Never, "`spec.timeout` was over.", SO_FAR),
        fate(
            Reason::Evicted,
            Failed,
            AfterDisruption,
            "The node was short of memory, disk or process ids and evicted the pod.",
            LAST_TURN,
        ),
        fate(
            Reason::Drained,
            Failed,
            AfterDisruption,
            "The pod was evicted through the API, as `kubectl drain` does.",
            SO_FAR,
        ),
        fate(
            Reason::Preempted,
            Failed,
            AfterDisruption,
            "The scheduler gave the place to a pod of higher priority.",
            SO_FAR,
        ),
        fate(Reason::NodeLost, Failed, AfterDisruption, "The node did not answer for 60 s, or is gone.", STORED),
        fate(
            Reason::ReportingLost,
            Failed,
            AfterDisruption,
            "The broker had no answer of the gateway for `sessions.reportingPatience` and stopped the agent.",
            STORED,
        ),
        fate(Reason::PodDeleted, Failed, ByRetry, "Somebody deleted the pod, or took it away by force.", SO_FAR),
        fate(Reason::BrokerLost, Failed, ByRetry, "The broker beside the agent was away for too long.", STORED),
        fate(
            Reason::RestoreFailed,
            Failed,
            ByRetry,
            "The workspace of the attempt before could not be put back.",
            STORED,
        ),
        fate(Reason::PodFailed, Failed, ByRetry, "The pod ended in a way that says nothing more.", STORED),
        fate(Reason::Unschedulable, Failed, Never, "No node took the pod within `sessions.startTimeout`.", NOTHING),
        fate(
            Reason::ImagePullFailed,
            Failed,
            Never,
            "An image could not be fetched within `sessions.startTimeout`.",
            NOTHING,
        ),
        fate(
            Reason::StartTimeout,
            Failed,
            Never,
            "The containers did not start within `sessions.startTimeout`.",
            NOTHING,
        ),
        fate(Reason::InvalidPod, Failed, Never, "The API server refuses the pod as it is written.", NOTHING),
        fate(Reason::PodNameTaken, Failed, Never, "A pod that is not Drover's has the name.", NOTHING),
        fate(Reason::CancelRequested, Cancelled, Never, "`spec.cancel` was written.", SO_FAR),
        fate(
            Reason::SuspendRequested,
            Suspended,
            Never,
            "`spec.suspend` was written; the Session goes on when it is removed.",
            SO_FAR,
        ),
        fate(Reason::IdleExpired, Succeeded, Never, "Nobody said anything for `spec.idle.deleteAfter`.", SO_FAR),
    ]
};

/// What an ending means; one that the table does not name says nothing, as [`Reason::PodFailed`] does.
#[must_use]
pub fn fate_of(reason: Reason) -> Again {
    FATES.iter().find(|fate| fate.reason == reason).map_or(Again::ByRetry, |fate| fate.again)
}
