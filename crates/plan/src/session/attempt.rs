//! A Session whose attempt has a pod.

use drover_api::{SessionStatus, state::Reason};

use super::{
    Moment, Plan, PodTarget, Step, Waiting,
    settled::{self, Attempt},
    status, stop,
};
use crate::{
    build::pod::plan_hash,
    run::{
        Agent, Ending, RunnerPod, ending,
        ending::{presumed_dead_at, unconfirmed},
        orphan::orphan,
    },
    settings::REPORT_PATIENCE,
    time::after,
};

/// Decides about the attempt under way.
pub(super) fn with_pod(at: Moment<'_>, current: SessionStatus, pod: &RunnerPod) -> Plan {
    if current.pod.is_none() && *pod.plan != *plan_hash(at.session) {
        // The spec was changed, as it may be before it is accepted, while this pod was made.
        let wait = Plan::wait(current, Waiting::OldPod, None);
        return Plan { steps: orphan(pod).into_iter().collect(), ..wait };
    }
    if let Some(end) = ending(pod, at.now) {
        return ended(at, current, pod, &end);
    }
    let status = settled::reported(at, current.clone(), pod);
    let wanted = stop::wanted(at, &status);
    let under_way = || stop::recorded(&current).filter(|_| pod.deleting);
    if let Some(reason) = wanted.reason.or_else(under_way) {
        return stop::stop(at, settled::keeping_place(status, &current), pod, reason);
    }
    let plan = match &pod.agent {
        Agent::Running(since) => {
            let waiting = if status.waiting_since.is_some() { Waiting::Message } else { Waiting::Agent };
            Plan::wait(status::running(at, status, pod, *since), waiting, wanted.look_again)
        }
        Agent::Waiting | Agent::Ended { .. } => starting(at, current, pod),
    };
    if pod.deleting { Plan { wake: presumed_dead_at(pod), ..plan } } else { plan }
}

/// A pod whose agent does not run yet. A new Session's status waits a moment, because most pods start within it and
/// one write then tells both.
fn starting(at: Moment<'_>, current: SessionStatus, pod: &RunnerPod) -> Plan {
    let created = pod.created.unwrap_or(at.now);
    let due = after(created, at.settings.status_delay);
    if at.now < due {
        return Plan::wait(current, Waiting::PodStart, Some(due));
    }
    let too_late = after(created, at.settings.start_timeout.as_std());
    let give_up = too_late <= at.now && !pod.deleting;
    let steps = if give_up { vec![Step::DeletePod { pod: PodTarget::of(pod), grace: None }] } else { Vec::new() };
    let status = status::starting(at, current, pod);
    Plan { steps, ..Plan::wait(status, Waiting::PodStart, (!give_up).then_some(too_late)) }
}

/// An attempt that is over. Its end is recorded when the broker has said its last word, or nobody is left to say it.
fn ended(at: Moment<'_>, current: SessionStatus, pod: &RunnerPod, end: &Ending) -> Plan {
    let said = pod.report.as_ref().is_some_and(|report| report.last) && !unconfirmed(pod);
    let patience = after(end.finished_at.unwrap_or(at.now), REPORT_PATIENCE);
    let silent = pod.broker_ended || pod.stopped() || presumed_dead_at(pod).is_some_and(|dead| dead <= at.now);
    if !said && !silent && at.now < patience {
        return Plan::wait(current, Waiting::Report, Some(patience));
    }
    let end = never_started(at, &current, pod).unwrap_or_else(|| end.clone());
    settled::settle(at, current, Attempt { pod: Some(pod), end: &end })
}

/// The end of a pod that was deleted because it did not start in time.
fn never_started(at: Moment<'_>, current: &SessionStatus, pod: &RunnerPod) -> Option<Ending> {
    let too_late = after(pod.created?, at.settings.start_timeout.as_std());
    if !matches!(pod.agent, Agent::Waiting) || !pod.deleting || at.now < too_late || pod.disruption.is_some() {
        return None;
    }
    let reason = match current.reason {
        Some(reason @ (Reason::Unschedulable | Reason::ImagePullFailed)) => reason,
        _ => Reason::StartTimeout,
    };
    let limit = at.settings.start_timeout;
    let why = current.message.as_deref().unwrap_or("the pod's containers did not start.");
    let message = format!("The pod did not start within {limit}. {why}");
    Some(Ending { reason, message, exit_code: None, started_at: None, finished_at: pod.deletion_asked })
}
