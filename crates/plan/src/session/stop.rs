//! Why and how an agent that runs is stopped by Drover.
//!
//! The reason is recorded in the status first and the pod deleted next, so that whoever finds the pod gone knows why.

use drover_api::{SessionStatus, state::Phase, state::Reason};
use jiff::Timestamp;

use super::{Moment, Plan, PodTarget, Step, Waiting, conversation::idle_since, status};
use crate::{
    run::{RunnerPod, ending::presumed_dead_at},
    settings::CANCEL_PATIENCE,
    time::after,
};

/// The shortest grace that a pod can be deleted with and its kubelet still confirm its end.
const SHORTEST_GRACE: u32 = 1;

/// Why the agent is to be stopped now, or when that may be.
pub(super) struct Wanted {
    pub(super) reason: Option<Reason>,
    pub(super) look_again: Option<Timestamp>,
}

/// Whether the Session wants its agent stopped.
pub(super) fn wanted(at: Moment<'_>, status: &SessionStatus) -> Wanted {
    let now = |reason| Wanted { reason: Some(reason), look_again: None };
    if at.session.spec.cancel.is_some() {
        return now(Reason::Cancelling);
    }
    if at.session.spec.suspend.is_some() {
        return now(Reason::Suspending);
    }
    match due_for_idleness(at, status) {
        (Some(reason), _) => now(reason),
        (None, look_again) => Wanted { reason: None, look_again },
    }
}

/// What idleness leads to by now, and when it leads to more.
pub(super) fn due_for_idleness(at: Moment<'_>, status: &SessionStatus) -> (Option<Reason>, Option<Timestamp>) {
    let (Some(idle), Some(since)) = (&at.session.spec.idle, idle_since(at.session, status)) else {
        return (None, None);
    };
    let due = |length: Option<drover_api::Duration>| length.map(|length| after(since, length.as_std()));
    let (suspend, delete) = (due(idle.suspend_after), due(idle.delete_after));
    if delete.is_some_and(|due| due <= at.now) {
        return (Some(Reason::IdleExpired), None);
    }
    if suspend.is_some_and(|due| due <= at.now) {
        return (Some(Reason::Idle), delete);
    }
    (None, suspend.into_iter().chain(delete).min())
}

/// The reason for which the agent is being stopped, as the status says it.
pub(super) fn recorded(status: &SessionStatus) -> Option<Reason> {
    status.reason.filter(|reason| {
        !status.phase.is_finished()
            && status.phase != Phase::Suspended
            && matches!(reason, Reason::Cancelling | Reason::Suspending | Reason::Idle | Reason::IdleExpired)
    })
}

/// Stops an agent for `reason`.
pub(super) fn stop(at: Moment<'_>, current: SessionStatus, pod: &RunnerPod, reason: Reason) -> Plan {
    if recorded(&current) != Some(reason) {
        let status = status::stopping(at, current, pod, reason);
        return Plan { wake: Some(at.now), ..Plan::wait(status, Waiting::AgentStop, None) };
    }
    let hurry = (reason == Reason::Cancelling && pod.may_run() && pod.grace.is_some_and(|grace| grace > 1))
        .then(|| pod.deletion_asked.map_or(at.now, |asked| after(asked, CANCEL_PATIENCE)));
    let delete = |grace| vec![Step::DeletePod { pod: PodTarget::of(pod), grace }];
    let steps = match hurry {
        _ if !pod.deleting => delete(None),
        Some(due) if due <= at.now => delete(Some(SHORTEST_GRACE)),
        _ => Vec::new(),
    };
    let patience = if pod.deleting { presumed_dead_at(pod) } else { Some(after(at.now, CANCEL_PATIENCE)) };
    let wake = hurry.filter(|due| *due > at.now).or(patience);
    Plan { steps, ..Plan::wait(current, Waiting::AgentStop, wake) }
}
