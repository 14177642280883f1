//! What an attempt leaves behind in the status, and what comes after it.

use std::time::Duration;

use drover_api::{
    SessionStatus,
    state::{Phase, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Moment, Plan, conversation, status, stop};
use crate::{
    run::{
        Agent, Ending, RunnerPod,
        backoff::backoff,
        fate::{Again, fate_of},
    },
    settings::{DISRUPTION_BACKOFF, MAX_DISRUPTIONS, PRESUMED_DEAD, RETRY_BACKOFF},
    time::after,
};

const MESSAGES_CAME: &str = "Messages came while the agent ended: another attempt deals with them.";

/// An attempt that is over.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// Its pod; none when the pod was taken away before anybody saw its end.
    pub(super) pod: Option<&'a RunnerPod>,
    pub(super) end: &'a Ending,
}

/// The status with what the pod's broker reported.
pub(super) fn reported(at: Moment<'_>, mut status: SessionStatus, pod: &RunnerPod) -> SessionStatus {
    if status.pod.is_none() {
        // What an agent before waited for, this one may have been given.
        status.waiting_since = None;
        status.question = None;
    }
    if let Some(report) = &pod.report {
        conversation::fold(at.session, &mut status, report);
        status::workspace_kept(at, &mut status, report);
    }
    status
}

/// `status` with the phase, reason and message of `current`.
pub(super) fn keeping_place(status: SessionStatus, current: &SessionStatus) -> SessionStatus {
    SessionStatus { phase: current.phase, reason: current.reason, message: current.message.clone(), ..status }
}

/// Records an attempt's end and decides what follows.
pub(super) fn settle(at: Moment<'_>, current: SessionStatus, attempt: Attempt<'_>) -> Plan {
    let stopped_for = stop::recorded(&current);
    let status = account(at, current, attempt);
    let not_before = safe_after(at, attempt);
    let status = match stopped_for {
        _ if attempt.end.reason == Reason::Completed => completed(at, status, attempt),
        Some(Reason::Cancelling) => status::cancelled(at, status),
        // Whoever deletes the pod of a Session that is to end does what Drover was about to do.
        None if at.session.spec.cancel.is_some() && attempt.end.reason == Reason::PodDeleted => {
            status::cancelled(at, status)
        }
        Some(Reason::IdleExpired) if conversation::has_pending(at.session, &status) => {
            status::again(at, status, Reason::MessagesPending, MESSAGES_CAME, not_before.unwrap_or(at.now))
        }
        Some(Reason::IdleExpired) => status::idle_expired(at, status),
        Some(reason) => {
            status::suspended(at, SessionStatus { next_attempt_at: not_before.map(Time), ..status }, reason)
        }
        None => ended_by_itself(at, status, attempt),
    };
    let wake = (!status.phase.is_finished()).then(|| status.next_attempt_at.as_ref().map_or(at.now, |next| next.0));
    Plan { wake, ..Plan::steps(status, Vec::new()) }
}

/// Adds up what the attempt did and used.
fn account(at: Moment<'_>, current: SessionStatus, attempt: Attempt<'_>) -> SessionStatus {
    let Attempt { pod, end } = attempt;
    let mut status = current;
    if let Some(pod) = pod {
        status = reported(at, status, pod);
        status::refer(&mut status, pod);
        status::artifacts(at, &mut status, pod.report.as_ref());
    }
    if pod.is_none_or(had_agent) {
        // Without an agent, the one before is still the last that was interrupted.
        status.interrupted = status.waiting_since.is_none() && cut_short(end.reason);
    }
    status.active_seconds = status.active_seconds.saturating_add(seconds_of(end));
    status.started_at = status.started_at.or(end.started_at.map(Time));
    status.exit_code = end.exit_code;
    status
}

fn had_agent(pod: &RunnerPod) -> bool {
    !matches!(pod.agent, Agent::Waiting)
}

/// Whether the agent did not come to its own end.
fn cut_short(reason: Reason) -> bool {
    !matches!(reason, Reason::Completed | Reason::NonZeroExit | Reason::CommandNotFound | Reason::RestoreFailed)
}

fn seconds_of(end: &Ending) -> i64 {
    match (end.started_at, end.finished_at) {
        (Some(started), Some(finished)) => finished.duration_since(started).as_secs().max(0),
        _ => 0,
    }
}

fn completed(at: Moment<'_>, status: SessionStatus, attempt: Attempt<'_>) -> SessionStatus {
    // Without the last report nobody knows what was dealt with, and nothing is done twice.
    let told = attempt.pod.and_then(|pod| pod.report.as_ref()).is_some_and(|report| report.last);
    if told && conversation::has_pending(at.session, &status) {
        let progress = status.turns.iter().any(|turn| Some(turn.attempt) == status.attempt);
        let pause = if progress { Duration::ZERO } else { backoff(RETRY_BACKOFF, 1, uid(at)) };
        return status::again(at, status, Reason::MessagesPending, MESSAGES_CAME, after(at.now, pause));
    }
    status::finished(at, status, Phase::Succeeded, attempt.end)
}

/// An ending that Drover did not ask for.
fn ended_by_itself(at: Moment<'_>, mut status: SessionStatus, attempt: Attempt<'_>) -> SessionStatus {
    let end = attempt.end;
    let uid = uid(at);
    let (reason, pause) = match fate_of(end.reason) {
        Again::Never => return status::finished(at, status, Phase::Failed, end),
        Again::ByRetry => {
            status.failures = status.failures.saturating_add(1);
            let retry = at.session.spec.retry.as_ref();
            if retry.is_none_or(|retry| status.failures > retry.limit) {
                return status::finished(at, status, Phase::Failed, end);
            }
            let first = retry.and_then(|retry| retry.backoff).map_or(RETRY_BACKOFF, drover_api::Duration::as_std);
            (Reason::Retrying, backoff(first, status.failures, uid))
        }
        Again::AfterDisruption => {
            status.disruptions = status.disruptions.saturating_add(1);
            if status.disruptions > MAX_DISRUPTIONS {
                return status::finished(at, status, Phase::Failed, &too_many(end));
            }
            (Reason::Disrupted, backoff(DISRUPTION_BACKOFF, status.disruptions, uid))
        }
    };
    let next = after(end.finished_at.unwrap_or(at.now).min(at.now), pause);
    let next = safe_after(at, attempt).map_or(next, |safe| next.max(safe));
    let number = status.attempt.unwrap_or(1);
    let message = format!(
        "Attempt {number} ended ({}): {} Attempt {} follows.",
        end.reason,
        end.message,
        number.saturating_add(1)
    );
    status::again(at, status, reason, &message, next)
}

fn too_many(end: &Ending) -> Ending {
    let message = format!("The cluster cut {} attempts short, the last one so: {}", MAX_DISRUPTIONS + 1, end.message);
    Ending { reason: Reason::TooManyDisruptions, message, ..end.clone() }
}

/// Before when no other agent may start: one whose pod vanished may live on until nobody would let it.
fn safe_after(at: Moment<'_>, attempt: Attempt<'_>) -> Option<Timestamp> {
    attempt.pod.is_none().then(|| after(at.now, PRESUMED_DEAD))
}

fn uid(at: Moment<'_>) -> &str {
    at.session.metadata.uid.as_deref().unwrap_or_default()
}
