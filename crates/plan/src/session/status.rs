//! The status of a Session in each of its states.

mod conditions;
mod words;

use drover_api::{
    SessionStatus,
    names::condition,
    session::{PodReference, Transition},
    state::{Outcome, Phase, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Moment, accept::Refusal, conversation::push_within, text::bounded};
use crate::{
    conditions::{Conditions, Is},
    run::{Ending, RunnerPod},
    settings::MAX_MESSAGE,
};
pub(super) use conditions::{artifacts, workspace_kept};

/// How many changes of phase or reason are remembered.
const MAX_TRANSITIONS: usize = 8;

/// Sets what every status says; the caller sets the conditions.
fn with(at: Moment<'_>, mut status: SessionStatus, phase: Phase, reason: Reason, message: &str) -> SessionStatus {
    status.observed_generation = at.session.metadata.generation;
    status.phase = phase;
    status.reason = Some(reason);
    status.message = Some(bounded(message, MAX_MESSAGE));
    status
}

fn conditions<'a>(at: Moment<'_>, status: &'a mut SessionStatus) -> Conditions<'a> {
    Conditions::new(&mut status.conditions, at.session.metadata.generation, at.now)
}

/// Says that the status holds for the Session as it is now. One that was not looked at before stays so until there is
/// something to tell of it.
pub(super) fn of_this_generation(at: Moment<'_>, mut status: SessionStatus) -> SessionStatus {
    let generation = at.session.metadata.generation;
    if status.observed_generation.is_some_and(|seen| seen >= 0) && status.observed_generation != generation {
        status.observed_generation = generation;
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = generation);
    }
    status
}

/// Remembers a change of phase or reason.
pub(super) fn noted(before: &SessionStatus, mut after: SessionStatus, now: Timestamp) -> SessionStatus {
    if (before.phase, before.reason) != (after.phase, after.reason) {
        let transition = Transition { phase: after.phase, reason: after.reason, at: Time(now) };
        push_within(&mut after.transitions, transition, MAX_TRANSITIONS);
    }
    after
}

/// The Session cannot be run as written, or nobody can say.
pub(super) fn not_accepted(at: Moment<'_>, status: SessionStatus, refusal: &Refusal) -> SessionStatus {
    let Refusal { reason, message } = refusal;
    let mut status = with(at, status, Phase::Pending, *reason, message);
    let word = reason.to_string();
    let mut conditions = conditions(at, &mut status);
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

/// A state of an accepted Session that has not ended.
fn going_on(at: Moment<'_>, status: SessionStatus, phase: Phase, reason: Reason, message: &str) -> SessionStatus {
    let mut status = with(at, status, phase, reason, message);
    conditions(at, &mut status).accepted().set(condition::COMPLETE, Is::False, &reason.to_string(), message);
    status
}

/// The pod is there, the agent does not run yet.
pub(super) fn starting(at: Moment<'_>, status: SessionStatus, pod: &RunnerPod) -> SessionStatus {
    let (reason, message) = words::not_started(pod);
    let message = words::steady(&status, reason, message);
    let mut status = going_on(at, status, Phase::Pending, reason, &message);
    refer(&mut status, pod);
    status
}

/// The agent runs, or waits for a message.
pub(super) fn running(
    at: Moment<'_>,
    status: SessionStatus,
    pod: &RunnerPod,
    since: Option<Timestamp>,
) -> SessionStatus {
    let (phase, reason, message) = words::running(at.session, &status, pod);
    let mut status = going_on(at, status, phase, reason, &message);
    refer(&mut status, pod);
    status.started_at = status.started_at.or(Some(Time(since.unwrap_or(at.now))));
    status
}

/// The agent is being stopped for `reason`.
pub(super) fn stopping(at: Moment<'_>, status: SessionStatus, pod: &RunnerPod, reason: Reason) -> SessionStatus {
    // One that goes on and is stopped again before its status says so.
    let phase = if status.phase == Phase::Suspended { Phase::Pending } else { status.phase };
    let message = words::stopping(at.session, reason);
    let mut status = going_on(at, status, phase, reason, &message);
    refer(&mut status, pod);
    status
}

/// The agent is stopped until somebody wants it to go on.
pub(super) fn suspended(at: Moment<'_>, status: SessionStatus, stopped_for: Reason) -> SessionStatus {
    let (reason, message) = words::suspended(at.session, stopped_for);
    // The pause before the next attempt holds for one that is resumed, too.
    let mut status = SessionStatus { pod: None, ..status };
    if reason != Reason::Idle {
        status.waiting_since = None;
    }
    going_on(at, status, Phase::Suspended, reason, &message)
}

/// The agent is wanted again.
pub(super) fn resuming(at: Moment<'_>, status: SessionStatus) -> SessionStatus {
    let status = SessionStatus { waiting_since: None, ..between(status) };
    going_on(at, status, Phase::Pending, Reason::Resuming, "The Session goes on: its next attempt begins.")
}

/// Another attempt follows at `next`.
pub(super) fn again(
    at: Moment<'_>,
    status: SessionStatus,
    reason: Reason,
    message: &str,
    next: Timestamp,
) -> SessionStatus {
    let mut status = between(status);
    status.waiting_since = None;
    status.next_attempt_at = Some(Time(next));
    going_on(at, status, Phase::Pending, reason, message)
}

/// No attempt is under way.
fn between(mut status: SessionStatus) -> SessionStatus {
    status.pod = None;
    status.next_attempt_at = None;
    status
}

/// The API server refuses the pod for now.
pub(super) fn refused(at: Moment<'_>, status: SessionStatus, message: &str) -> SessionStatus {
    let message = words::steady(&status, Reason::PodRefused, bounded(message, MAX_MESSAGE));
    going_on(at, status, Phase::Pending, Reason::PodRefused, &message)
}

/// The Session is over with its last attempt.
pub(super) fn finished(at: Moment<'_>, status: SessionStatus, phase: Phase, end: &Ending) -> SessionStatus {
    let message = words::ended(at.session, phase, end);
    let mut status = over(at, status, phase, end.reason, &message);
    status.finished_at = Some(Time(end.finished_at.unwrap_or(at.now)));
    status
}

/// Somebody did not want it any more.
pub(super) fn cancelled(at: Moment<'_>, status: SessionStatus) -> SessionStatus {
    let message = words::cancelled(at.session, status.started_at.is_some());
    over(at, status, Phase::Cancelled, Reason::CancelRequested, &message)
}

/// Nobody said anything for so long that the conversation ended.
pub(super) fn idle_expired(at: Moment<'_>, status: SessionStatus) -> SessionStatus {
    let message = "Nobody said anything for as long as spec.idle.deleteAfter says: the conversation ended.";
    over(at, status, Phase::Succeeded, Reason::IdleExpired, message)
}

/// The Session failed without a pod that tells how.
pub(super) fn failed(at: Moment<'_>, status: SessionStatus, reason: Reason, message: &str) -> SessionStatus {
    over(at, status, Phase::Failed, reason, message)
}

/// The Session ended before it was put back from a backup.
pub(super) fn restored(at: Moment<'_>, status: SessionStatus, outcome: &Outcome) -> SessionStatus {
    let message = "The Session ran before it was restored from a backup, and is not run again. Create one with another name to run it once more.";
    let mut status = over(at, status, outcome.phase, outcome.reason, message);
    status.finished_at = Some(outcome.finished_at.clone());
    status
}

fn over(at: Moment<'_>, status: SessionStatus, phase: Phase, reason: Reason, message: &str) -> SessionStatus {
    let mut status = with(at, status, phase, reason, message);
    status.finished_at = Some(Time(at.now));
    status.next_attempt_at = None;
    status.waiting_since = None;
    status.question = None;
    let word = reason.to_string();
    let mut conditions = conditions(at, &mut status);
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

/// Names the attempt and its pod.
pub(super) fn refer(status: &mut SessionStatus, pod: &RunnerPod) {
    status.attempt = Some(pod.attempt);
    status.next_attempt_at = None;
    status.pod = Some(PodReference {
        name: pod.name.to_string(),
        uid: Some(pod.uid.to_string()),
        node: pod.node.as_deref().map(ToOwned::to_owned),
    });
}
