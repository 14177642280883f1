//! What a report says about files, as conditions.

use std::collections::HashSet;

use drover_api::{
    SessionStatus,
    names::condition,
    report::{Artifact, MAX_ARTIFACT_NAME, MAX_ARTIFACTS, Report},
};

use super::conditions as of;
use crate::{conditions::Is, session::Moment};

/// Takes the artifacts of an attempt that is over into the status.
pub(in crate::session) fn artifacts(at: Moment<'_>, status: &mut SessionStatus, report: Option<&Report>) {
    if let Some(report) = report.filter(|report| report.last || !report.artifacts.is_empty()) {
        status.artifacts = writable(&report.artifacts);
    }
    if at.session.spec.artifacts.is_empty() {
        return;
    }
    let stored = status.artifacts.len();
    let mut conditions = of(at, status);
    match report.filter(|report| report.last) {
        Some(report) if report.problems.is_empty() && stored == report.artifacts.len() => {
            let message = match stored {
                1 => "1 file was stored.".to_owned(),
                count => format!("{count} files were stored."),
            };
            conditions.set(condition::ARTIFACTS_STORED, Is::True, "Stored", &message)
        }
        Some(report) => {
            let left_out = match report.artifacts.len() - stored {
                0 => String::new(),
                count => format!("{count} files were stored and cannot be named here."),
            };
            let message = [report.problems.join(" "), left_out].join(" ");
            conditions.set(condition::ARTIFACTS_STORED, Is::False, "Incomplete", message.trim())
        }
        None => {
            let message = "The attempt ended without its last report: what was stored by then is kept.";
            conditions.set(condition::ARTIFACTS_STORED, Is::Unknown, "ReportMissing", message)
        }
    };
}

/// The files that status can hold, each name once. The gateway lets no others through; one of another version may.
fn writable(artifacts: &[Artifact]) -> Vec<Artifact> {
    let is_checksum = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut names = HashSet::new();
    let fits = |file: &&Artifact| file.name.len() <= MAX_ARTIFACT_NAME && is_checksum(&file.sha256);
    let once = artifacts.iter().filter(fits).filter(|file| names.insert(file.name.as_str()));
    once.take(MAX_ARTIFACTS).cloned().collect()
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
