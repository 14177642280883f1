//! Sessions and artifacts as text.

use drover_api::{Session, SessionStatus, report::Artifact, state::Phase};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::{
    style::{Palette, Tone, one_line},
    table::{Cell, Table},
    units,
};

/// The width of the labels in a description.
const LABEL: usize = 13;

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

/// One Session, all that is known of it.
pub(crate) fn session(session: &Session, now: Timestamp, palette: Palette) -> String {
    let status = session.status.clone().unwrap_or_default();
    let mut text = Description { text: String::new(), palette };
    text.field("Name", &session.name_any());
    text.field("Namespace", &session.namespace().unwrap_or_default());
    text.toned("Phase", &format!("{:?}", status.phase), status.phase.into());
    text.optional("Reason", status.reason.map(|reason| reason.to_string()));
    text.optional("Message", status.message.clone());
    text.optional("Exit code", status.exit_code.map(|code| code.to_string()));
    text.field("Framework", &session.spec.framework);
    text.optional("Timeout", session.spec.timeout.map(|timeout| timeout.to_string()));
    text.optional("Pod", pod(&status));
    text.optional("Attempt", status.attempt.map(|attempt| attempt.to_string()));
    times(&mut text, session, &status, now);
    if !status.artifacts.is_empty() {
        text.section("Artifacts", &artifacts(&status.artifacts, palette, "  "));
    }
    if !status.conditions.is_empty() {
        text.section("Conditions", &conditions(&status.conditions, now, palette));
    }
    text.text
}

fn pod(status: &SessionStatus) -> Option<String> {
    let pod = status.pod.as_ref()?;
    Some(match &pod.node {
        Some(node) => format!("{} on node {node}", pod.name),
        None => pod.name.clone(),
    })
}

fn times(text: &mut Description, session: &Session, status: &SessionStatus, now: Timestamp) {
    let created = session.metadata.creation_timestamp.as_ref();
    let (started, finished) = (status.started_at.as_ref(), status.finished_at.as_ref());
    let ago = |time| format!("{} ({} ago)", units::instant(time), units::age(Some(time), now));
    text.optional("Created", created.map(ago));
    text.optional("Started", started.map(ago));
    text.optional("Finished", finished.map(ago));
    // Waiting ends with the start, or with the end of what never started.
    let waited = units::between(created, started.or(finished), now);
    text.optional("Waited", waited.map(units::duration));
    text.optional("Ran", units::between(started, finished, now).map(units::duration));
}

fn conditions(conditions: &[Condition], now: Timestamp, palette: Palette) -> String {
    let mut table = Table::new(["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in conditions {
        table.row([
            condition.type_.as_str().into(),
            condition.status.as_str().into(),
            condition.reason.as_str().into(),
            units::age(Some(&condition.last_transition_time), now).into(),
            condition.message.as_str().into(),
        ]);
    }
    table.render(palette, "  ")
}

fn phase_cell(phase: Phase) -> Cell {
    Cell::toned(format!("{phase:?}"), phase.into())
}

/// A description as it grows.
struct Description {
    text: String,
    palette: Palette,
}

impl Description {
    fn field(&mut self, label: &str, value: &str) {
        self.toned(label, value, Tone::Plain);
    }

    fn toned(&mut self, label: &str, value: &str, tone: Tone) {
        let label = format!("{:LABEL$}", format!("{label}:"));
        let value = self.palette.paint(tone, &one_line(value));
        self.text.push_str(&format!("{}{value}\n", self.palette.paint(Tone::Heading, &label)));
    }

    fn optional(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.field(label, &value);
        }
    }

    fn section(&mut self, label: &str, body: &str) {
        self.text.push_str(&format!("{}\n{body}", self.palette.paint(Tone::Heading, &format!("{label}:"))));
    }
}

#[cfg(test)]
mod tests;
