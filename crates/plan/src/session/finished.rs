//! What is left to do once a Session has ended.

use drover_api::{
    Session, SessionStatus,
    names::{annotation, label},
    state::{Outcome, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Moment, Observed, Plan, PodTarget, Step, Waiting, plan::is_of};
use crate::{
    build,
    run::{RunnerPod, orphan::orphan},
    settings::NAMED_KEPT,
    time::after,
};

/// Lets the pods go, keeps the last one for the retention time, then notes the outcome and deletes it; and when its time
/// to live is over takes away what is left.
pub(super) fn finished(observed: &Observed<'_>, at: Moment<'_>, current: SessionStatus) -> Plan {
    let finished_at = current.finished_at.as_ref().map_or(at.now, |t| t.0);
    let lifetime = Lifetime::of(at.session, &current, finished_at);
    let due = after(finished_at, at.settings.pod_retention).min(lifetime.ends.unwrap_or(Timestamp::MAX));
    let mut steps = Vec::new();
    let mut kept = false;
    for pod in observed.pods {
        if !is_of(at.session, pod) {
            steps.extend(orphan(pod));
            continue;
        }
        kept |= keep(pod, at.now < due);
        steps.extend(let_go(pod, at.now < due));
    }
    if kept {
        return Plan { steps, status: current, wake: Some(due), waiting: Some(Waiting::Retention) };
    }
    let noted = noted(at.session);
    match noted.as_ref().map(|outcome| outcome.expires_at.as_ref().map(|expiry| expiry.0)) {
        None => {
            steps.insert(0, record(&current, finished_at, lifetime.ends));
            Plan { wake: lifetime.ends, ..Plan::steps(current, steps) }
        }
        Some(Some(expiry)) if expiry <= at.now => {
            steps.extend(lifetime.expire(at, &current, finished_at));
            Plan { wake: lifetime.gone.filter(|gone| *gone > at.now), ..Plan::steps(current, steps) }
        }
        Some(expiry) => Plan { wake: expiry, ..Plan::steps(current, steps) },
    }
}

/// Whether a pod stays for those who want to look at it.
fn keep(pod: &RunnerPod, in_retention: bool) -> bool {
    !pod.deleting && !pod.may_run() && (in_retention || pod.held.is_some())
}

/// The next step for a pod of a Session that has ended.
fn let_go(pod: &RunnerPod, in_retention: bool) -> Option<Step> {
    let target = || PodTarget::of(pod);
    match pod.held {
        _ if pod.may_run() && !pod.deleting => Some(Step::DeletePod { pod: target(), grace: None }),
        Some(finalizer) => Some(Step::ReleasePod { pod: target(), finalizer }),
        None if !pod.deleting && !in_retention => Some(Step::DeletePod { pod: target(), grace: None }),
        None => None,
    }
}

/// When what a Session leaves behind goes.
struct Lifetime {
    /// When claim and bytes go; `None` is never.
    ends: Option<Timestamp>,
    /// When the object itself goes, which Drover named; `None` is never.
    gone: Option<Timestamp>,
}

impl Lifetime {
    fn of(session: &Session, status: &SessionStatus, finished_at: Timestamp) -> Self {
        let named = session.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(label::ORIGIN));
        let by_ttl = session.spec.ttl_after_finished.map(|ttl| after(finished_at, ttl.as_std()));
        let by_idleness = (named && status.reason == Some(Reason::IdleExpired)).then_some(finished_at);
        let ends = by_ttl.or(by_idleness);
        Self { ends, gone: ends.filter(|_| named).map(|ends| ends.max(after(finished_at, NAMED_KEPT))) }
    }

    /// Takes away what is due.
    fn expire(&self, at: Moment<'_>, status: &SessionStatus, finished_at: Timestamp) -> Vec<Step> {
        if self.gone.is_some_and(|gone| gone <= at.now) {
            return vec![Step::DeleteSession];
        }
        let claim = build::claim(at.session).map(|_| Step::DeleteClaim);
        claim.into_iter().chain([record(status, finished_at, self.gone)]).collect()
    }
}

/// Notes how the Session ended, and when the next of what is left of it goes.
fn record(status: &SessionStatus, finished_at: Timestamp, expires_at: Option<Timestamp>) -> Step {
    let outcome = Outcome {
        phase: status.phase,
        reason: status.reason.unwrap_or(Reason::Completed),
        finished_at: Time(finished_at),
        expires_at: expires_at.map(Time),
    };
    Step::RecordOutcome(serde_json::to_string(&outcome).unwrap_or_default())
}

fn noted(session: &Session) -> Option<Outcome> {
    let text = session.metadata.annotations.as_ref()?.get(annotation::OUTCOME)?;
    let unreadable = Outcome {
        phase: drover_api::state::Phase::Failed,
        reason: Reason::Restored,
        finished_at: Time(Timestamp::UNIX_EPOCH),
        expires_at: None,
    };
    Some(serde_json::from_str(text).unwrap_or(unreadable))
}
