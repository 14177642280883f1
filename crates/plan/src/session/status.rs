//! The status of a Session in each of its states.

use drover_api::{
    Session, SessionStatus,
    names::condition,
    report::Report,
    session::PodReference,
    state::{Outcome, Phase, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{plan::Refusal, text::bounded};
use crate::{
    conditions::{Conditions, Is},
    run::{Ending, RunnerPod},
    settings::MAX_MESSAGE,
};

/// Sets what every status says; the caller sets the conditions.
fn at(session: &Session, mut status: SessionStatus, phase: Phase, reason: Reason, message: &str) -> SessionStatus {
    status.observed_generation = session.metadata.generation;
    status.phase = phase;
    status.reason = Some(reason);
    status.message = Some(bounded(message, MAX_MESSAGE));
    status
}

fn conditions<'a>(session: &Session, status: &'a mut SessionStatus, now: Timestamp) -> Conditions<'a> {
    Conditions::new(&mut status.conditions, session.metadata.generation, now)
}

/// The Session cannot be run as written, or nobody can say.
pub(super) fn not_accepted(
    session: &Session,
    status: SessionStatus,
    refusal: &Refusal,
    now: Timestamp,
) -> SessionStatus {
    let Refusal { reason, message } = refusal;
    let mut status = at(session, status, Phase::Pending, *reason, message);
    let word = reason.to_string();
    let mut conditions = conditions(session, &mut status, now);
    if *reason == Reason::FrameworksUnavailable {
        conditions
            .set(condition::ACCEPTED, Is::Unknown, &word, message)
            .set(condition::RECONCILING, Is::True, &word, message)
            .clear(condition::STALLED);
    } else {
        conditions
            .set(condition::ACCEPTED, Is::False, &word, message)
            .set(condition::STALLED, Is::True, &word, message)
            .clear(condition::RECONCILING);
    }
    conditions.set(condition::COMPLETE, Is::False, &word, "The Session has not started.");
    status
}

/// The pod is there, the agent does not run yet.
pub(super) fn starting(session: &Session, status: SessionStatus, pod: &RunnerPod, now: Timestamp) -> SessionStatus {
    let (reason, message) = why_not_started(pod);
    let message = steady(&status, reason, message);
    let mut status = at(session, status, Phase::Pending, reason, &message);
    refer(&mut status, pod);
    conditions(session, &mut status, now).accepted().set(condition::COMPLETE, Is::False, &reason.to_string(), &message);
    status
}

/// Words that stay while the reason does: those of registries, quotas and kubelets change with each try.
fn steady(before: &SessionStatus, reason: Reason, message: String) -> String {
    let stays = matches!(reason, Reason::ImagePullFailed | Reason::PodRefused) && before.reason == Some(reason);
    before.message.clone().filter(|_| stays).unwrap_or(message)
}

fn why_not_started(pod: &RunnerPod) -> (Reason, String) {
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

/// The agent runs.
pub(super) fn running(
    session: &Session,
    status: SessionStatus,
    pod: &RunnerPod,
    since: Option<Timestamp>,
    now: Timestamp,
) -> SessionStatus {
    let message = match &pod.node {
        Some(node) => format!("The agent runs on node {node}."),
        None => "The agent runs.".to_owned(),
    };
    let mut status = at(session, status, Phase::Running, Reason::AgentRunning, &message);
    refer(&mut status, pod);
    status.started_at = status.started_at.or(Some(Time(since.unwrap_or(now))));
    let reason = Reason::AgentRunning.to_string();
    conditions(session, &mut status, now).accepted().set(condition::COMPLETE, Is::False, &reason, &message);
    status
}

/// The run is over, with a pod that tells how.
pub(super) fn ended(
    session: &Session,
    status: SessionStatus,
    pod: &RunnerPod,
    end: &Ending,
    now: Timestamp,
) -> SessionStatus {
    let mut message = end.message.clone();
    if end.phase == Phase::Failed && end.exit_code.is_some() {
        let (name, namespace) = (session.name_any(), session.namespace().unwrap_or_default());
        message.push_str(&format!(" Its log: kubectl drover logs {name} --namespace {namespace}"));
    }
    let mut status = finish(session, status, end.phase, end.reason, &message, now);
    refer(&mut status, pod);
    status.exit_code = end.exit_code;
    status.started_at = status.started_at.or(end.started_at.map(Time));
    status.finished_at = Some(Time(end.finished_at.unwrap_or(now)));
    status.artifacts = pod.report.as_ref().map(|report| report.artifacts.clone()).unwrap_or_default();
    if !session.spec.artifacts.is_empty() {
        artifacts_stored(conditions(session, &mut status, now), pod.report.as_ref());
    }
    status
}

fn artifacts_stored(mut conditions: Conditions<'_>, report: Option<&Report>) {
    match report.filter(|report| report.last) {
        Some(report) if report.problems.is_empty() => {
            let message = match report.artifacts.len() {
                1 => "1 file was stored.".to_owned(),
                count => format!("{count} files were stored."),
            };
            conditions.set(condition::ARTIFACTS_STORED, Is::True, "Stored", &message)
        }
        Some(report) => {
            conditions.set(condition::ARTIFACTS_STORED, Is::False, "Incomplete", &report.problems.join(" "))
        }
        None => {
            let message = "The run ended without its last report: what it had stored by then is kept.";
            conditions.set(condition::ARTIFACTS_STORED, Is::Unknown, "ReportMissing", message)
        }
    };
}

/// The Session failed without a pod that tells how.
pub(super) fn failed(
    session: &Session,
    status: SessionStatus,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> SessionStatus {
    finish(session, status, Phase::Failed, reason, message, now)
}

/// The Session ended before it was put back from a backup.
pub(super) fn restored(session: &Session, status: SessionStatus, outcome: &Outcome, now: Timestamp) -> SessionStatus {
    let message = "The Session ran before it was restored from a backup, and is not run again. Create one with another name to run it once more.";
    let mut status = finish(session, status, outcome.phase, outcome.reason, message, now);
    status.finished_at = Some(outcome.finished_at.clone());
    status
}

/// The API server refuses the pod for now.
pub(super) fn refused(session: &Session, status: SessionStatus, message: &str, now: Timestamp) -> SessionStatus {
    let message = steady(&status, Reason::PodRefused, bounded(message, MAX_MESSAGE));
    let mut status = at(session, status, Phase::Pending, Reason::PodRefused, &message);
    let reason = Reason::PodRefused.to_string();
    conditions(session, &mut status, now).accepted().set(condition::COMPLETE, Is::False, &reason, &message);
    status
}

fn finish(
    session: &Session,
    status: SessionStatus,
    phase: Phase,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> SessionStatus {
    let mut status = at(session, status, phase, reason, message);
    status.finished_at = Some(Time(now));
    let word = reason.to_string();
    let mut conditions = conditions(session, &mut status, now);
    match reason {
        Reason::InvalidPod => conditions.set(condition::ACCEPTED, Is::False, &word, message),
        Reason::Restored => &mut conditions,
        _ => conditions.accepted(),
    };
    conditions.set(condition::COMPLETE, Is::True, &word, message);
    if phase == Phase::Failed {
        conditions.set(condition::STALLED, Is::True, &word, message);
    }
    status
}

fn refer(status: &mut SessionStatus, pod: &RunnerPod) {
    status.attempt = Some(pod.attempt);
    status.pod = Some(PodReference {
        name: pod.name.to_string(),
        uid: Some(pod.uid.to_string()),
        node: pod.node.as_deref().map(ToOwned::to_owned),
    });
}
