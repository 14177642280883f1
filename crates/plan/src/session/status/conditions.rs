//! What a report says about files, as conditions.

use drover_api::{SessionStatus, names::condition, report::Report};

use super::conditions as of;
use crate::{conditions::Is, session::Moment};

/// Takes the artifacts of an attempt that is over into the status.
pub(in crate::session) fn artifacts(at: Moment<'_>, status: &mut SessionStatus, report: Option<&Report>) {
    if let Some(report) = report.filter(|report| report.last || !report.artifacts.is_empty()) {
        status.artifacts.clone_from(&report.artifacts);
    }
    if at.session.spec.artifacts.is_empty() {
        return;
    }
    let mut conditions = of(at, status);
    match report.filter(|report| report.last) {
        Some(report) if report.problems.is_empty() => {
            let message = match report.artifacts.len() {
                1 => "1 file was stored.".to_owned(),
                count => format!("{count} files were stored."),
            };
            conditions.set(condition::ARTIFACTS_STORED, Is::True, "Stored", &message)
        }
        Some(report) => {
            conditions.set(condition::ARTIFACTS_STORED, Is::False, "Incomplete", &report.problems.join(" "))
        }
        None => {
            let message = "The attempt ended without its last report: what was stored by then is kept.";
            conditions.set(condition::ARTIFACTS_STORED, Is::Unknown, "ReportMissing", message)
        }
    };
}

/// Says whether all of workspace and home could be kept, once there was something to keep.
pub(in crate::session) fn workspace_kept(at: Moment<'_>, status: &mut SessionStatus, report: &Report) {
    match &report.not_kept {
        Some(why) => {
            of(at, status).set(condition::WORKSPACE_KEPT, Is::False, "Incomplete", why);
        }
        None if status.conditions.iter().any(|c| c.type_ == condition::WORKSPACE_KEPT) => {
            let message = "Working directory and home were kept whole.";
            of(at, status).set(condition::WORKSPACE_KEPT, Is::True, "Kept", message);
        }
        None => {}
    }
}
