//! What people read about a Session.

use drover_api::{
    Session, SessionStatus,
    state::{Phase, Reason},
};
use kube::ResourceExt;

use crate::run::{Ending, RunnerPod};

/// Words that stay while the reason does: those of registries, quotas and kubelets change with each try.
pub(super) fn steady(before: &SessionStatus, reason: Reason, message: String) -> String {
    let stays = matches!(reason, Reason::ImagePullFailed | Reason::PodRefused) && before.reason == Some(reason);
    before.message.clone().filter(|_| stays).unwrap_or(message)
}

/// Why the agent does not run yet.
pub(super) fn not_started(pod: &RunnerPod) -> (Reason, String) {
    if let Some(why) = pod.unschedulable.as_ref().filter(|_| pod.node.is_none()) {
        return (Reason::Unschedulable, format!("No node can take the pod: {why}"));
    }
    match &pod.waiting {
        Some((reason, message)) if is_image_trouble(reason) => {
            (Reason::ImagePullFailed, format!("An image of the pod cannot be fetched ({reason}): {message}"))
        }
        Some((reason, message)) => (Reason::Starting, format!("The pod does not start ({reason}): {message}")),
        None => (Reason::Starting, "The pod is being started.".to_owned()),
    }
}

fn is_image_trouble(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
    )
}

/// What an agent does that runs.
pub(super) fn running(session: &Session, status: &SessionStatus, pod: &RunnerPod) -> (Phase, Reason, String) {
    let (name, namespace) = (session.name_any(), session.namespace().unwrap_or_default());
    let answer = || format!("kubectl drover message {name} TEXT --namespace {namespace}");
    if let Some(question) = &status.question {
        let message = format!("The agent asks: {} Answer with: {}", question.text, answer());
        return (Phase::Waiting, Reason::AwaitingAnswer, message);
    }
    if status.waiting_since.is_some() {
        let message = format!("The agent waits for a message: {}", answer());
        return (Phase::Waiting, Reason::AwaitingMessage, message);
    }
    let message = match &pod.node {
        Some(node) => format!("The agent runs on node {node}."),
        None => "The agent runs.".to_owned(),
    };
    (Phase::Running, Reason::AgentRunning, message)
}

/// Why an agent is being stopped.
pub(super) fn stopping(session: &Session, reason: Reason) -> String {
    let why = match reason {
        Reason::Cancelling => format!("the Session is cancelled{}", by(cancelled_by(session))),
        Reason::Suspending => format!("the Session is suspended{}", by(suspended_by(session))),
        Reason::IdleExpired => "nobody said anything for as long as spec.idle.deleteAfter says".to_owned(),
        _ => "nobody said anything for as long as spec.idle.suspendAfter says".to_owned(),
    };
    format!("The agent is being stopped: {why}.")
}

/// Why an agent is stopped, and what makes it go on.
pub(super) fn suspended(session: &Session, stopped_for: Reason) -> (Reason, String) {
    let (name, namespace) = (session.name_any(), session.namespace().unwrap_or_default());
    if stopped_for == Reason::Idle {
        let message = format!(
            "Nobody said anything for a while; the next message goes on: kubectl drover message {name} TEXT --namespace {namespace}"
        );
        return (Reason::Idle, message);
    }
    let by = by(suspended_by(session));
    let message =
        format!("The Session is suspended{by}. Go on with: kubectl drover resume {name} --namespace {namespace}");
    (Reason::SuspendRequested, message)
}

/// Who ended the Session, and whether it had begun.
pub(super) fn cancelled(session: &Session, began: bool) -> String {
    let before = if began { "" } else { " before its agent ran" };
    format!("The Session was cancelled{}{before}.", by(cancelled_by(session)))
}

/// How the last attempt ended.
pub(super) fn ended(session: &Session, phase: Phase, end: &Ending) -> String {
    if phase != Phase::Failed || end.exit_code.is_none() {
        return end.message.clone();
    }
    let (name, namespace) = (session.name_any(), session.namespace().unwrap_or_default());
    format!("{} Its log: kubectl drover logs {name} --namespace {namespace}", end.message)
}

fn cancelled_by(session: &Session) -> Option<&str> {
    session.spec.cancel.as_ref()?.by.as_deref()
}

fn suspended_by(session: &Session) -> Option<&str> {
    session.spec.suspend.as_ref()?.by.as_deref()
}

fn by(who: Option<&str>) -> String {
    who.map(|who| format!(" by {who}")).unwrap_or_default()
}
