//! Where a Session stands, a line for each change.

use drover_api::{
    Session, SessionStatus, names,
    state::{Phase, Reason},
};
use jiff::Timestamp;

use crate::output::{
    style::{Palette, Tone, one_line},
    units,
};

/// The line for a state; the same state has the same line.
pub(super) fn line(session: &Session, palette: Palette) -> String {
    let status = session.status.clone().unwrap_or_default();
    let tone = if is_stalled(&status) { Tone::Bad } else { Tone::from(status.phase) };
    let (word, rest) = match status.phase {
        Phase::Pending => ("pending", format!(": {}", message(&status, "waiting for the operator"))),
        Phase::Running => ("running", place(&status)),
        Phase::Succeeded => ("succeeded", took(&status)),
        Phase::Failed => ("failed", format!("{}: {}", took(&status), message(&status, "no reason is given"))),
    };
    format!("{}{}", palette.paint(tone, word), one_line(&rest))
}

/// Whether the Session goes no further unless its spec is changed.
pub(super) fn is_stalled(status: &SessionStatus) -> bool {
    let stalled = |c: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        c.type_ == names::condition::STALLED && c.status == "True"
    };
    !status.phase.is_finished() && status.conditions.iter().any(stalled)
}

fn message(status: &SessionStatus, otherwise: &str) -> String {
    let reason = status.reason.map(|reason: Reason| reason.to_string());
    status.message.clone().or(reason).unwrap_or_else(|| otherwise.to_owned())
}

fn place(status: &SessionStatus) -> String {
    let node = status.pod.as_ref().and_then(|pod| pod.node.as_deref());
    node.map(|node| format!(" on node {node}")).unwrap_or_default()
}

fn took(status: &SessionStatus) -> String {
    // A finished Session has its end, so the present time is never looked at.
    let ran = units::between(status.started_at.as_ref(), status.finished_at.as_ref(), Timestamp::UNIX_EPOCH);
    ran.map(|ran| format!(" after {}", units::duration(ran))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
