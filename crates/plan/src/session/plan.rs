use std::sync::Arc;

use drover_api::names::annotation;
use drover_api::{Session, SessionStatus, framework::Framework, state::Outcome, state::Phase, state::Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Admission, Observed, Plan, Step, Waiting, finished::finished, status};
use crate::{
    build::{self, pod::Recipe},
    frameworks::Lookup,
    run::{Agent, RunnerPod, ending, orphan::orphan},
    settings::{REPORT_PATIENCE, Settings},
    time::after,
};

/// The only try there is: nothing is retried yet.
const FIRST_ATTEMPT: u32 = 1;

/// Decides what to do about a Session.
#[must_use]
pub fn plan(observed: &Observed<'_>, settings: &Settings, now: Timestamp) -> Plan {
    let session = observed.session;
    let current = session.status.clone().unwrap_or_default();
    let strangers = strangers(observed);
    if session.metadata.deletion_timestamp.is_some() {
        return Plan::steps(current, observed.pods.iter().filter_map(|pod| orphan(pod)).collect());
    }
    if current.phase.is_finished() {
        return finished(observed, current, settings, now);
    }
    if let Some(outcome) = restored(session, &current, now) {
        let ended = status::restored(session, current, &outcome, now);
        return Plan::steps(ended, strangers);
    }
    let mut plan = match own_pod(observed) {
        Some(pod) => with_pod(observed, current, pod, settings, now),
        None => without_pod(observed, current, settings, now),
    };
    plan.steps.splice(0..0, strangers);
    plan
}

impl Plan {
    /// A plan that only takes steps.
    pub(super) fn steps(status: SessionStatus, steps: Vec<Step>) -> Self {
        Self { steps, status, wake: None, waiting: None }
    }

    /// A plan that only waits.
    pub(super) fn wait(status: SessionStatus, waiting: Waiting, wake: Option<Timestamp>) -> Self {
        Self { steps: Vec::new(), status, wake, waiting: Some(waiting) }
    }
}

/// What becomes of pods of a namesake that is gone.
fn strangers(observed: &Observed<'_>) -> Vec<Step> {
    observed.pods.iter().filter(|pod| !is_of(observed.session, pod)).filter_map(|pod| orphan(pod)).collect()
}

/// Whether a pod was made for this very Session and not for a namesake.
pub(super) fn is_of(session: &Session, pod: &RunnerPod) -> bool {
    session.metadata.uid.as_deref() == Some(&*pod.session_uid)
}

fn own_pod<'a>(observed: &Observed<'a>) -> Option<&'a Arc<RunnerPod>> {
    observed.pods.iter().find(|pod| is_of(observed.session, pod))
}

/// How a Session ended that was put back from a backup, where status is lost and annotations are kept.
fn restored(session: &Session, current: &SessionStatus, now: Timestamp) -> Option<Outcome> {
    let unseen = current.observed_generation.is_none_or(|seen| seen < 0);
    let text = session.metadata.annotations.as_ref()?.get(annotation::OUTCOME)?;
    if !unseen {
        return None;
    }
    let readable = serde_json::from_str::<Outcome>(text).ok().filter(|outcome| outcome.phase.is_finished());
    let unreadable = Outcome { phase: Phase::Failed, reason: Reason::Restored, finished_at: Time(now) };
    let mut outcome = readable.unwrap_or(unreadable);
    outcome.finished_at = Time(outcome.finished_at.0.min(now));
    Some(outcome)
}

fn without_pod(observed: &Observed<'_>, current: SessionStatus, settings: &Settings, now: Timestamp) -> Plan {
    let session = observed.session;
    if let Some(recorded) = &current.pod {
        let message = format!("The pod {} is gone; nobody saw how it ended.", recorded.name);
        return Plan::steps(status::failed(session, current, Reason::PodDeleted, &message, now), Vec::new());
    }
    match accept(observed) {
        Ok(framework) => match observed.admission {
            Admission::Admitted => create(observed, current, framework, settings, now),
        },
        Err(refusal) => Plan::wait(status::not_accepted(session, current, &refusal, now), Waiting::Acceptance, None),
    }
}

/// Why a Session cannot be run as written.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) message: String,
}

fn accept<'a>(observed: &Observed<'a>) -> Result<&'a Framework, Refusal> {
    let name = &observed.session.spec.framework;
    match observed.frameworks.get(name) {
        Lookup::Found(framework) => Ok(framework),
        Lookup::Unknown(known) => Err(Refusal {
            reason: Reason::UnknownFramework,
            message: format!(
                "No framework is called {name:?}. Set spec.framework to one of: {}; or ask the platform admin to add it.",
                known.join(", ")
            ),
        }),
        Lookup::Invalid(why) => Err(Refusal {
            reason: Reason::InvalidFramework,
            message: format!(
                "The platform's entry for the framework {name:?} is not valid ({why}): ask the platform admin to correct it."
            ),
        }),
        Lookup::Unavailable(why) => Err(Refusal {
            reason: Reason::FrameworksUnavailable,
            message: format!("The registry of frameworks cannot be read: {why}. The Session starts once it can be."),
        }),
    }
}

fn create(
    observed: &Observed<'_>,
    current: SessionStatus,
    framework: &Framework,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let recipe = Recipe { session: observed.session, framework, attempt: FIRST_ATTEMPT, settings };
    let mut steps = Vec::with_capacity(2);
    if !observed.service_account {
        steps.push(Step::CreateServiceAccount);
    }
    steps.push(Step::CreatePod(Box::new(build::pod(recipe))));
    let wake = after(now, settings.status_delay);
    Plan { steps, status: current, wake: Some(wake), waiting: Some(Waiting::PodStart) }
}

fn with_pod(
    observed: &Observed<'_>,
    current: SessionStatus,
    pod: &RunnerPod,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let session = observed.session;
    if session.metadata.generation != Some(pod.generation) && current.pod.is_none() {
        let wait = Plan::wait(current, Waiting::OldPod, None);
        return Plan { steps: orphan(pod).into_iter().collect(), ..wait };
    }
    if let Some(end) = ending(pod) {
        return ended(session, current, pod, &end, now);
    }
    match &pod.agent {
        Agent::Running(since) => Plan::wait(status::running(session, current, pod, *since, now), Waiting::Agent, None),
        Agent::Waiting | Agent::Ended { .. } => starting(session, current, pod, settings, now),
    }
}

/// A pod whose agent does not run yet. A new Session's status waits a moment, because most pods start within it and
/// one write then tells both.
fn starting(session: &Session, current: SessionStatus, pod: &RunnerPod, settings: &Settings, now: Timestamp) -> Plan {
    let due = after(pod.created.unwrap_or(now), settings.status_delay);
    if now < due {
        return Plan::wait(current, Waiting::PodStart, Some(due));
    }
    Plan::wait(status::starting(session, current, pod, now), Waiting::PodStart, None)
}

/// A run that is over. Its end is recorded when the broker has said its last word, or nobody is left to say it.
fn ended(session: &Session, current: SessionStatus, pod: &RunnerPod, end: &crate::run::Ending, now: Timestamp) -> Plan {
    let said = pod.report.as_ref().is_some_and(|report| report.last);
    let patience = after(end.finished_at.unwrap_or(now), REPORT_PATIENCE);
    if !said && !pod.broker_ended && !pod.stopped() && now < patience {
        return Plan::wait(current, Waiting::Report, Some(patience));
    }
    Plan::steps(status::ended(session, current, pod, end, now), Vec::new())
}
