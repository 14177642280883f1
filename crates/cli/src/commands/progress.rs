//! Where a Session stands, a line for each change, and what can be done about it.

use drover_api::{
    Session, SessionStatus, names,
    state::{Phase, Reason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::output::{
    Terminal,
    style::{Palette, Tone, one_line},
    units,
};

/// Tells how a Session goes on standard error; what was told last is not told again.
pub(crate) struct Progress<'a> {
    terminal: &'a Terminal,
    told: String,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, told: String::new() }
    }

    /// Tells where `session` stands, and what can be done; `name` is how other command lines spell it.
    pub(crate) fn stands(&mut self, session: &Session, name: &str) {
        let mut text = line(session, self.terminal.err_palette());
        if let Some(hint) = hint(session, name) {
            text = format!("{text}\n  {hint}");
        }
        self.tell(text);
    }

    /// Tells something else.
    pub(crate) fn tell(&mut self, text: String) {
        if text != self.told {
            self.terminal.note(&text);
            self.told = text;
        }
    }
}

/// The line for a state; the same state has the same line.
pub(crate) fn line(session: &Session, palette: Palette) -> String {
    let status = session.status.clone().unwrap_or_default();
    let tone = if is_stalled(&status) { Tone::Bad } else { Tone::from(status.phase) };
    let (word, rest) = match status.phase {
        Phase::Pending => ("pending", format!(": {}", message(&status, "waiting for the operator"))),
        Phase::Running => ("running", place(&status)),
        Phase::Waiting => match &status.question {
            Some(question) => ("waiting for an answer", format!(": {}", question.text)),
            None => ("waiting for a message", String::new()),
        },
        Phase::Suspended => ("suspended", format!(": {}", message(&status, "somebody wants it to rest"))),
        Phase::Succeeded => ("succeeded", took(&status)),
        Phase::Failed => ("failed", format!("{}: {}", took(&status), message(&status, "no reason is given"))),
        Phase::Cancelled => ("cancelled", format!("{}: {}", took(&status), message(&status, "no reason is given"))),
    };
    format!("{}{}", palette.paint(tone, word), one_line(&rest))
}

/// What the user can do where the Session waits for somebody.
pub(crate) fn hint(session: &Session, name: &str) -> Option<String> {
    let status = session.status.as_ref()?;
    match status.phase {
        Phase::Waiting if status.question.is_some() => {
            Some(format!("answer with: kubectl drover message {name} 'TEXT'"))
        }
        Phase::Waiting => Some(format!("go on with: kubectl drover message {name} 'TEXT'")),
        Phase::Suspended if session.spec.suspend.is_some() => Some(format!("go on with: kubectl drover resume {name}")),
        Phase::Suspended => Some(format!("go on with: kubectl drover message {name} 'TEXT'")),
        Phase::Pending | Phase::Running | Phase::Succeeded | Phase::Failed | Phase::Cancelled => None,
    }
}

/// Whether the Session goes no further unless its spec is changed.
pub(crate) fn is_stalled(status: &SessionStatus) -> bool {
    let stalled = |c: &Condition| c.type_ == names::condition::STALLED && c.status == "True";
    !status.phase.is_finished() && status.conditions.iter().any(stalled)
}

fn message(status: &SessionStatus, otherwise: &str) -> String {
    let reason = status.reason.map(|reason: Reason| reason.to_string());
    status.message.clone().or(reason).unwrap_or_else(|| otherwise.to_owned())
}

fn place(status: &SessionStatus) -> String {
    let node = status.pod.as_ref().and_then(|pod| pod.node.as_deref());
    let node = node.map(|node| format!(" on node {node}")).unwrap_or_default();
    match status.attempt {
        Some(attempt) if attempt > 1 => format!("{node}, attempt {attempt}"),
        _ => node,
    }
}

fn took(status: &SessionStatus) -> String {
    // A finished Session has its end, so the present time is never looked at.
    let ran = units::between(status.started_at.as_ref(), status.finished_at.as_ref(), Timestamp::UNIX_EPOCH);
    ran.map(|ran| format!(" after {}", units::duration(ran))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
