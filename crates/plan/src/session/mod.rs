//! What to do about a Session.
//!
//! [`plan()`] takes everything that was observed and answers with the steps to take, in order, and the status that is
//! true once they are taken; [`Plan::settle`] corrects that status by what the steps met with.

mod accept;
mod attempt;
mod between;
mod conversation;
mod finished;
mod plan;
mod settle;
mod settled;
mod status;
mod stop;
pub mod text;

pub use plan::plan;
pub use settle::Receipt;

use drover_api::{Session, SessionStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use std::sync::Arc;

use crate::{frameworks::Frameworks, run::RunnerPod, settings::Settings};
use plan::past_pods;

/// A Session at a time, under the platform's settings.
#[derive(Clone, Copy)]
struct Moment<'a> {
    session: &'a Session,
    settings: &'a Settings,
    now: Timestamp,
}

/// Everything that a decision about a Session rests on.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The Session; the texts of its prompt and messages may be missing, no decision reads them.
    pub session: &'a Session,
    /// The runner pods that carry its name, those of a namesake that is gone among them. A pod that its status names
    /// and that is not among them is gone: that was read from the API server, not concluded from a cache.
    pub pods: &'a [Arc<RunnerPod>],
    /// The registry of frameworks.
    pub frameworks: &'a Frameworks,
    /// Whether the namespace is known to have the runner's service account.
    pub service_account: bool,
    /// What policy says.
    pub admission: Admission,
}

/// What policy says of a Session that wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may run now.
    Admitted,
}

/// What to do about a Session.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Writes to make, in this order; the first that fails ends them.
    pub steps: Vec<Step>,
    /// What is true once they are made. Equal to the Session's own status when there is nothing to write.
    pub status: SessionStatus,
    /// When to look again, whatever else happens.
    pub wake: Option<Timestamp>,
    /// What is being waited for.
    pub waiting: Option<Waiting>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make the runner's service account in the Session's namespace.
    CreateServiceAccount,
    /// Make the claim that holds the workspace.
    CreateClaim(Box<PersistentVolumeClaim>),
    /// Make the pod of an attempt.
    CreatePod(Box<Pod>),
    /// Note on the Session how it ended.
    RecordOutcome(String),
    /// Take Drover's finalizer off a pod.
    ReleasePod {
        /// The pod.
        pod: PodTarget,
        /// Where the finalizer stands among the pod's finalizers.
        finalizer: usize,
    },
    /// Delete a pod.
    DeletePod {
        /// The pod.
        pod: PodTarget,
        /// How many seconds its containers have to end; `None` as the pod says.
        grace: Option<u32>,
    },
    /// Delete the claim that holds the workspace.
    DeleteClaim,
    /// Delete the Session itself.
    DeleteSession,
}

/// Exactly one pod: a write to another of the same name fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTarget {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its uid.
    pub uid: Arc<str>,
}

impl PodTarget {
    /// The pod that was observed.
    #[must_use]
    pub fn of(pod: &RunnerPod) -> Self {
        Self { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() }
    }
}

/// Why nothing more is done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// The Session cannot be accepted before the registry or its spec changes.
    Acceptance,
    /// The pod's containers are being started.
    PodStart,
    /// The agent runs.
    Agent,
    /// The agent waits for a message, or the Session is suspended until one comes.
    Message,
    /// The agent is being stopped.
    AgentStop,
    /// The agent ended, its last report has not come.
    Report,
    /// A pod from before must go first.
    OldPod,
    /// The pause before the next attempt.
    Backoff,
    /// The Session is suspended until somebody resumes it.
    Resumption,
    /// The pod of a finished Session is kept for a while.
    Retention,
}

#[cfg(test)]
mod tests;
