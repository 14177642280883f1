//! A Session without a pod: before its first attempt, between two, or suspended.

use drover_api::{
    SessionStatus,
    framework::Framework,
    state::{Phase, Reason},
};
use jiff::Timestamp;

use super::{
    Admission, Moment, Observed, Plan, Step, Waiting,
    accept::accept,
    conversation::has_pending,
    past_pods,
    settled::{self, Attempt},
    status, stop,
};
use crate::{
    build::{self, pod::Recipe},
    run::{Ending, ending::presumed_dead_at},
    time::after,
};

/// Decides what comes next.
pub(super) fn without_pod(observed: &Observed<'_>, at: Moment<'_>, current: SessionStatus) -> Plan {
    if current.pod.is_some() {
        return vanished(at, current);
    }
    if at.session.spec.cancel.is_some() {
        return Plan::steps(status::cancelled(at, current), Vec::new());
    }
    if at.session.spec.suspend.is_some() {
        return Plan::wait(status::suspended(at, current, Reason::Suspending), Waiting::Resumption, None);
    }
    // One that is not to wait any more is given to an agent, which finds nothing to do and ends.
    if is_idle(&current) && at.session.spec.interactive && !has_pending(at.session, &current) {
        return idle(at, current);
    }
    if let Some(due) = next_attempt(observed, at, &current).filter(|due| *due > at.now) {
        return Plan::wait(current, Waiting::Backoff, Some(due));
    }
    match accept(observed) {
        Ok(framework) => match observed.admission {
            Admission::Admitted => create(observed, at, current, framework),
        },
        Err(refusal) => Plan::wait(status::not_accepted(at, current, &refusal), Waiting::Acceptance, None),
    }
}

/// The pod of the attempt is gone although Drover's finalizer was on it: somebody took it away by force.
fn vanished(at: Moment<'_>, current: SessionStatus) -> Plan {
    let name = current.pod.as_ref().map(|pod| pod.name.clone()).unwrap_or_default();
    let end = Ending {
        reason: Reason::PodDeleted,
        message: format!("The pod {name} is gone; nobody saw how it ended."),
        exit_code: None,
        started_at: None,
        finished_at: None,
    };
    settled::settle(at, current, Attempt { pod: None, end: &end })
}

fn is_idle(status: &SessionStatus) -> bool {
    status.phase == Phase::Suspended && status.reason == Some(Reason::Idle)
}

/// Nobody said anything yet.
fn idle(at: Moment<'_>, current: SessionStatus) -> Plan {
    match stop::due_for_idleness(at, &current) {
        (Some(Reason::IdleExpired), _) => Plan::steps(status::idle_expired(at, current), Vec::new()),
        (_, wake) => Plan::wait(status::suspended(at, current, Reason::Idle), Waiting::Message, wake),
    }
}

/// When the next attempt may begin: after its pause, and when no agent before it can live.
fn next_attempt(observed: &Observed<'_>, at: Moment<'_>, current: &SessionStatus) -> Option<Timestamp> {
    let alive = past_pods(observed, current).filter(|pod| pod.may_run());
    let safe = alive.map(|pod| presumed_dead_at(pod).unwrap_or(after(at.now, crate::settings::PRESUMED_DEAD)));
    let pause = current.next_attempt_at.as_ref().map(|next| next.0);
    safe.chain(pause).max()
}

fn create(observed: &Observed<'_>, at: Moment<'_>, current: SessionStatus, framework: &Framework) -> Plan {
    let timeout = at.session.spec.timeout.unwrap_or(at.settings.default_timeout);
    let left = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX).saturating_sub(current.active_seconds);
    let Some(left) = u64::try_from(left).ok().and_then(drover_api::Duration::from_secs) else {
        return Plan::steps(status::finished(at, current, Phase::Failed, &no_time_left(timeout)), Vec::new());
    };
    let attempt = current.attempt.unwrap_or(0).saturating_add(1);
    let recipe = Recipe {
        session: at.session,
        framework,
        attempt,
        timeout: left,
        interrupted: current.interrupted,
        settings: at.settings,
    };
    let mut steps = Vec::with_capacity(3);
    if !observed.service_account {
        steps.push(Step::CreateServiceAccount);
    }
    if attempt == 1 {
        steps.extend(build::claim(at.session).map(|claim| Step::CreateClaim(Box::new(claim))));
    }
    steps.push(Step::CreatePod(Box::new(build::pod(recipe))));
    let status = if current.phase == Phase::Suspended { status::resuming(at, current) } else { current };
    Plan { steps, status, wake: Some(after(at.now, at.settings.status_delay)), waiting: Some(Waiting::PodStart) }
}

fn no_time_left(timeout: drover_api::Duration) -> Ending {
    Ending {
        reason: Reason::DeadlineExceeded,
        message: format!("The agent ran for the {timeout} that it may, over all attempts."),
        exit_code: None,
        started_at: None,
        finished_at: None,
    }
}
