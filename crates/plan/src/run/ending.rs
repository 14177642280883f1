//! How an attempt ended, told from its pod alone.

use drover_api::{runner::Termination, state::Reason};
use jiff::Timestamp;

use super::pod::{Agent, RunnerPod};
use crate::{settings::PRESUMED_DEAD, time::after};

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Why it ended.
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

/// How the pod's attempt ended; `None` while it may still go on.
#[must_use]
pub fn ending(pod: &RunnerPod, now: Timestamp) -> Option<Ending> {
    match &pod.agent {
        Agent::Ended { exit_code, reason, message, started_at, finished_at } => {
            let (why, text) = agent_ending(pod, *exit_code, reason, message);
            Some(Ending {
                reason: why,
                message: text,
                exit_code: Some(*exit_code),
                started_at: *started_at,
                finished_at: *finished_at,
            })
        }
        Agent::Running(since) if pod.stopped() || presumed_dead(pod, now) => {
            Some(Ending { started_at: *since, finished_at: pod.deletion_asked, ..without_agent(pod) })
        }
        Agent::Waiting if pod.stopped() || presumed_dead(pod, now) => Some(without_agent(pod)),
        Agent::Waiting | Agent::Running(_) => None,
    }
}

/// When a pod that is being deleted is taken for dead, whatever its node says or does not say.
#[must_use]
pub fn presumed_dead_at(pod: &RunnerPod) -> Option<Timestamp> {
    pod.deletion_asked.map(|asked| after(asked, PRESUMED_DEAD))
}

/// Whether the agent's container says that the broker ended it for want of an answer, and the broker's has yet to
/// confirm that by its own end: the agent could have written it.
#[must_use]
pub fn unconfirmed(pod: &RunnerPod) -> bool {
    let Agent::Ended { message, .. } = &pod.agent else { return false };
    let said = serde_json::from_str::<Termination>(message);
    !pod.broker_ended && pod.broker_said.is_none() && said.is_ok_and(|said| said.reason == Reason::ReportingLost)
}

fn presumed_dead(pod: &RunnerPod, now: Timestamp) -> bool {
    presumed_dead_at(pod).is_some_and(|at| at <= now)
}

/// The end of an agent that ran.
fn agent_ending(pod: &RunnerPod, exit_code: i32, reason: &str, message: &str) -> (Reason, String) {
    if exit_code == 0 {
        return (Reason::Completed, "The agent ended with exit code 0.".to_owned());
    }
    if let Some(ending) = cluster_said(pod) {
        return ending;
    }
    if let Some(Termination { reason: Reason::ReportingLost, message }) = &pod.broker_said {
        return (Reason::ReportingLost, message.clone());
    }
    if reason == "OOMKilled" {
        return (Reason::OutOfMemory, out_of_memory());
    }
    if deleted_while_running(pod, exit_code) {
        return (Reason::PodDeleted, format!("The pod {} was deleted while the agent ran.", pod.name));
    }
    if let Some(said) = exec_said(message) {
        return said;
    }
    (Reason::NonZeroExit, format!("The agent ended with exit code {exit_code}."))
}

/// The exit codes of an agent that was ended by SIGTERM or SIGKILL.
const SIGNALLED: [i32; 2] = [143, 137];

/// Whether the pod's deletion was asked for before its agent ended; one that had ended already is just cleaned up. The
/// API server forgets when deletion was first asked for once the kubelet has confirmed it; then the signal tells.
fn deleted_while_running(pod: &RunnerPod, exit_code: i32) -> bool {
    let Agent::Ended { finished_at: Some(ended), .. } = &pod.agent else { return pod.deleting };
    pod.deleting && (SIGNALLED.contains(&exit_code) || pod.deletion_asked.is_some_and(|asked| asked <= *ended))
}

/// What `exec` left behind, as far as it may judge: the agent runs in the same container and could write it, too.
fn exec_said(message: &str) -> Option<(Reason, String)> {
    let said: Termination = serde_json::from_str(message).ok()?;
    let trusted = matches!(
        said.reason,
        Reason::DeadlineExceeded
            | Reason::CommandNotFound
            | Reason::OutOfMemory
            | Reason::BrokerLost
            | Reason::RestoreFailed
            | Reason::PodDeleted
    );
    trusted.then_some((said.reason, said.message))
}

/// What scheduler, kubelet or a controller says of the pod as a whole.
fn cluster_said(pod: &RunnerPod) -> Option<(Reason, String)> {
    if let Some((reason, message)) = &pod.disruption {
        let (reason, what) = disruption(reason);
        return Some((reason, sentence(what, message)));
    }
    let (reason, message) = pod.failure.as_ref()?;
    match reason.as_str() {
        "DeadlineExceeded" => Some((Reason::DeadlineExceeded, "The time was up before the agent ended.".to_owned())),
        // Without the condition DisruptionTarget it is the pod's own doing.
        "Evicted" => Some((Reason::DiskExceeded, sentence("The pod was evicted for its use of disk", message))),
        _ => None,
    }
}

/// What the reason of a condition DisruptionTarget means. One that is not known is what the API calls all of them.
fn disruption(reason: &str) -> (Reason, &'static str) {
    match reason {
        "PreemptionByScheduler" => (Reason::Preempted, "A pod of higher priority took the place"),
        "DeletionByTaintManager" | "DeletionByPodGC" => (Reason::NodeLost, "The node was lost"),
        "TerminationByKubelet" => (Reason::Evicted, "The node was short of something and evicted the pod"),
        _ => (Reason::Drained, "The pod was evicted"),
    }
}

fn sentence(what: &str, detail: &str) -> String {
    if detail.is_empty() { format!("{what}.") } else { format!("{what}: {detail}") }
}

/// The end of a pod whose agent's container has no end of its own.
fn without_agent(pod: &RunnerPod) -> Ending {
    let (reason, message) = cluster_said(pod).unwrap_or_else(|| {
        if pod.deleting {
            (Reason::PodDeleted, format!("The pod {} was deleted before the agent ended.", pod.name))
        } else {
            let why = pod.failure.as_ref().map(|(reason, message)| format!(": {reason} {message}"));
            (Reason::PodFailed, format!("The pod {} ended before its agent{}", pod.name, why.unwrap_or(".".to_owned())))
        }
    });
    Ending { reason, message, exit_code: None, started_at: None, finished_at: None }
}

fn out_of_memory() -> String {
    "The agent used more memory than its limit: raise spec.pod.resources.limits.memory.".to_owned()
}
