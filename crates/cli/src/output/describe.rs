//! Sessions and artifacts as tables.

use drover_api::{Session, report::Artifact, state::Phase};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    style::Palette,
    table::{Cell, Table},
    units,
};

/// Sessions as a table, with their namespaces if `namespaces`.
pub(crate) fn sessions(sessions: &[Session], namespaces: bool, now: Timestamp, palette: Palette) -> String {
    let mut table = Table::new(["NAME", "PHASE", "REASON", "FRAMEWORK", "EXIT", "DURATION", "AGE"]);
    for session in sessions {
        let status = session.status.clone().unwrap_or_default();
        let ran = units::between(status.started_at.as_ref(), status.finished_at.as_ref(), now);
        table.row([
            session.name_any().into(),
            phase_cell(status.phase),
            status.reason.map(|reason| reason.to_string()).unwrap_or_default().into(),
            session.spec.framework.clone().into(),
            status.exit_code.map(|code| code.to_string()).unwrap_or_default().into(),
            ran.map(units::duration).unwrap_or_default().into(),
            units::age(session.metadata.creation_timestamp.as_ref(), now).into(),
        ]);
    }
    if namespaces {
        table.prepend("NAMESPACE", sessions.iter().map(|s| s.namespace().unwrap_or_default()));
    }
    table.render(palette, "")
}

/// Artifacts as a table.
pub(crate) fn artifacts(artifacts: &[Artifact], palette: Palette, indent: &str) -> String {
    let mut table = Table::new(["NAME", "SIZE", "SHA256"]);
    for artifact in artifacts {
        table.row([artifact.name.as_str().into(), units::size(artifact.size).into(), artifact.sha256.as_str().into()]);
    }
    table.render(palette, indent)
}

fn phase_cell(phase: Phase) -> Cell {
    Cell::toned(format!("{phase:?}"), phase.into())
}

#[cfg(test)]
mod tests;
