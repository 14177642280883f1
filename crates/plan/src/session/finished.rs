//! What is left to do once a Session has ended.

use drover_api::{SessionStatus, names::annotation, state::Outcome, state::Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Observed, Plan, PodTarget, Step, Waiting, plan::is_of};
use crate::{run::orphan::orphan, settings::Settings, time::after};

/// Lets the pod go, keeps it for the retention time, then notes the outcome and deletes it.
pub(super) fn finished(observed: &Observed<'_>, current: SessionStatus, settings: &Settings, now: Timestamp) -> Plan {
    let finished_at = current.finished_at.as_ref().map_or(now, |t| t.0);
    let due = after(finished_at, settings.pod_retention);
    let mut steps = Vec::new();
    let mut kept = false;
    for pod in observed.pods {
        if !is_of(observed.session, pod) {
            steps.extend(orphan(pod));
        } else if let Some(finalizer) = pod.held {
            steps.push(Step::ReleasePod { pod: PodTarget::of(pod), finalizer });
            kept = !pod.deleting;
        } else if !pod.deleting && now < due {
            kept = true;
        } else if !pod.deleting {
            steps.push(Step::DeletePod(PodTarget::of(pod)));
        }
    }
    if !kept && outcome_missing(observed) {
        steps.insert(0, Step::RecordOutcome(outcome(&current, finished_at)));
    }
    let (waiting, wake) = if kept { (Some(Waiting::Retention), Some(due)) } else { (None, None) };
    Plan { steps, status: current, wake, waiting }
}

fn outcome_missing(observed: &Observed<'_>) -> bool {
    !observed.session.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(annotation::OUTCOME))
}

fn outcome(status: &SessionStatus, finished_at: Timestamp) -> String {
    let outcome = Outcome {
        phase: status.phase,
        reason: status.reason.unwrap_or(Reason::Completed),
        finished_at: Time(finished_at),
    };
    serde_json::to_string(&outcome).unwrap_or_default()
}
