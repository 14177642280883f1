use std::sync::Arc;

use drover_api::{
    Session, SessionStatus,
    names::annotation,
    state::{Outcome, Phase, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Moment, Observed, Plan, PodTarget, Step, Waiting, attempt::with_pod, between::without_pod, finished::finished,
    status,
};
use crate::{
    run::{RunnerPod, orphan::orphan},
    settings::Settings,
};

/// Decides what to do about a Session.
#[must_use]
pub fn plan(observed: &Observed<'_>, settings: &Settings, now: Timestamp) -> Plan {
    let session = observed.session;
    let at = Moment { session, settings, now };
    let current = session.status.clone().unwrap_or_default();
    let strangers = strangers(observed);
    if session.metadata.deletion_timestamp.is_some() {
        return Plan::steps(current, observed.pods.iter().filter_map(|pod| orphan(pod)).collect());
    }
    if current.phase.is_finished() {
        return finished(observed, at, current);
    }
    if let Some(outcome) = restored(session, &current, now) {
        let ended = status::restored(at, current, &outcome);
        return Plan::steps(ended, strangers);
    }
    let mut first = strangers;
    first.extend(past_pods(observed, &current).flat_map(let_go));
    let mut plan = match current_pod(observed, &current) {
        Some(pod) => with_pod(at, current, pod),
        None => without_pod(observed, at, current),
    };
    plan.steps.splice(0..0, first);
    plan.status = status::of_this_generation(at, plan.status);
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

fn own_pods<'a>(observed: &Observed<'a>) -> impl Iterator<Item = &'a Arc<RunnerPod>> {
    let session = observed.session;
    observed.pods.iter().filter(move |pod| is_of(session, pod))
}

/// The last attempt whose end is recorded; 0 when there is none. A status that names a pod speaks of an attempt that is
/// under way.
fn settled_attempt(status: &SessionStatus) -> u32 {
    let recorded = status.attempt.unwrap_or(0);
    if status.pod.is_some() { recorded.saturating_sub(1) } else { recorded }
}

/// The pod of the attempt under way.
fn current_pod<'a>(observed: &Observed<'a>, status: &SessionStatus) -> Option<&'a Arc<RunnerPod>> {
    let settled = settled_attempt(status);
    own_pods(observed).filter(|pod| pod.attempt > settled).max_by_key(|pod| pod.attempt)
}

/// The pods of attempts whose end is recorded.
pub(super) fn past_pods<'a>(
    observed: &Observed<'a>,
    status: &SessionStatus,
) -> impl Iterator<Item = &'a Arc<RunnerPod>> {
    let settled = settled_attempt(status);
    own_pods(observed).filter(move |pod| pod.attempt <= settled)
}

/// Lets go of a pod whose attempt's end is recorded.
fn let_go(pod: &Arc<RunnerPod>) -> Option<Step> {
    let target = || PodTarget::of(pod);
    if !pod.deleting {
        return Some(Step::DeletePod { pod: target(), grace: None });
    }
    pod.held.map(|finalizer| Step::ReleasePod { pod: target(), finalizer })
}

/// How a Session ended that was put back from a backup, where status is lost and annotations are kept.
fn restored(session: &Session, current: &SessionStatus, now: Timestamp) -> Option<Outcome> {
    let unseen = current.observed_generation.is_none_or(|seen| seen < 0);
    let text = session.metadata.annotations.as_ref()?.get(annotation::OUTCOME)?;
    if !unseen {
        return None;
    }
    let readable = serde_json::from_str::<Outcome>(text).ok().filter(|outcome| outcome.phase.is_finished());
    let unreadable =
        Outcome { phase: Phase::Failed, reason: Reason::Restored, finished_at: Time(now), expires_at: None };
    let mut outcome = readable.unwrap_or(unreadable);
    outcome.finished_at = Time(outcome.finished_at.0.min(now));
    Some(outcome)
}
