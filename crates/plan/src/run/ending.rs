//! How a run ended, told from the pod alone.

use drover_api::{
    runner::Termination,
    state::{Phase, Reason},
};
use jiff::Timestamp;

use super::pod::{Agent, RunnerPod};

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// [`Phase::Succeeded`] or [`Phase::Failed`].
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// A sentence for the user.
    pub message: String,
    /// The agent's exit code, where it ran.
    pub exit_code: Option<i32>,
    /// When the agent started, where it ran.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` when nobody noted it.
    pub finished_at: Option<Timestamp>,
}

/// How the pod's run ended; `None` while it may still go on.
#[must_use]
pub fn ending(pod: &RunnerPod) -> Option<Ending> {
    match &pod.agent {
        Agent::Ended { exit_code, reason, message, started_at, finished_at } => {
            let (why, text) = agent_ending(pod, *exit_code, reason, message);
            Some(Ending {
                phase: if why == Reason::Completed { Phase::Succeeded } else { Phase::Failed },
                reason: why,
                message: text,
                exit_code: Some(*exit_code),
                started_at: *started_at,
                finished_at: *finished_at,
            })
        }
        Agent::Waiting | Agent::Running(_) => pod.stopped().then(|| without_agent(pod)),
    }
}

/// The end of an agent that ran.
fn agent_ending(pod: &RunnerPod, exit_code: i32, reason: &str, message: &str) -> (Reason, String) {
    if exit_code == 0 {
        return (Reason::Completed, "The agent ended with exit code 0.".to_owned());
    }
    if let Some(ending) = pod_failure(pod) {
        return ending;
    }
    if reason == "OOMKilled" {
        return (Reason::OutOfMemory, out_of_memory());
    }
    if deleted_while_running(pod) {
        return (Reason::PodDeleted, format!("The pod {} was deleted while the agent ran.", pod.name));
    }
    if let Some(said) = exec_said(message) {
        return said;
    }
    (Reason::NonZeroExit, format!("The agent ended with exit code {exit_code}."))
}

/// Whether the pod's deletion was asked for before its agent ended; one that had ended already is just cleaned up.
fn deleted_while_running(pod: &RunnerPod) -> bool {
    let Agent::Ended { finished_at: Some(ended), .. } = &pod.agent else { return pod.deleting };
    pod.deletion_asked.is_some_and(|asked| asked <= *ended)
}

/// What `exec` left behind, as far as it may judge: the agent runs in the same container and could write it, too.
fn exec_said(message: &str) -> Option<(Reason, String)> {
    let said: Termination = serde_json::from_str(message).ok()?;
    let trusted = matches!(said.reason, Reason::DeadlineExceeded | Reason::CommandNotFound | Reason::OutOfMemory);
    trusted.then_some((said.reason, said.message))
}

/// What the kubelet says of the pod as a whole.
fn pod_failure(pod: &RunnerPod) -> Option<(Reason, String)> {
    let (reason, message) = pod.failure.as_ref()?;
    match reason.as_str() {
        "DeadlineExceeded" => Some((Reason::DeadlineExceeded, "The time was up before the agent ended.".to_owned())),
        "Evicted" => Some((Reason::Evicted, format!("The node evicted the pod: {message}"))),
        _ => None,
    }
}

/// The end of a pod whose agent's container has no end of its own.
fn without_agent(pod: &RunnerPod) -> Ending {
    let (reason, message) = pod_failure(pod).unwrap_or_else(|| {
        if pod.deleting {
            (Reason::PodDeleted, format!("The pod {} was deleted before the agent ended.", pod.name))
        } else {
            let why = pod.failure.as_ref().map(|(reason, message)| format!(": {reason} {message}"));
            (Reason::PodFailed, format!("The pod {} ended before its agent{}", pod.name, why.unwrap_or(".".to_owned())))
        }
    });
    Ending { phase: Phase::Failed, reason, message, exit_code: None, started_at: None, finished_at: None }
}

fn out_of_memory() -> String {
    "The agent used more memory than its limit: raise spec.pod.resources.limits.memory.".to_owned()
}
