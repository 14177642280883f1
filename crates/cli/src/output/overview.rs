//! One Session as a tree: where it stands, its attempts, turns, question, conditions, artifacts and events.

use drover_api::{
    Session, SessionStatus, names,
    report::{Turn, Usage},
    session::Workspace,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Condition};
use kube::ResourceExt;

use super::{
    style::{Palette, Tone, one_line},
    table::{Cell, Table},
    tree::Tree,
    units,
};

/// How many characters of a text are shown in a line with other things.
const EXCERPT: usize = 60;

/// What is shown of a Session.
pub(crate) struct Overview<'a> {
    pub(crate) session: &'a Session,
    /// Its events and those of its pod, the newest last; or why they cannot be shown.
    pub(crate) events: Result<Vec<Event>, String>,
    /// What the user can do next.
    pub(crate) hint: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) palette: Palette,
}

impl Overview<'_> {
    /// The whole as text.
    pub(crate) fn render(&self) -> String {
        let status = self.session.status.clone().unwrap_or_default();
        let mut tree = Tree::new(self.headline(&status));
        if let Some(message) = &status.message {
            tree.line(one_line(message));
        }
        if let Some(hint) = &self.hint {
            tree.line(hint.as_str());
        }
        self.wishes(&mut tree);
        tree.branch(self.heading("Times").lines(&self.times(&status)));
        self.attempts(&status, &mut tree);
        tree.branch(self.heading("Turns").lines(&self.turns(&status)));
        tree.branch(self.heading("Messages that wait").lines(&self.waiting(&status)));
        tree.branch(self.question(&status));
        tree.branch(self.heading("Conditions").lines(&self.conditions(&status)));
        tree.branch(self.heading("Artifacts").lines(&self.artifacts(&status)));
        tree.branch(self.heading("Events").lines(&self.events()));
        tree.render()
    }

    fn heading(&self, text: &str) -> Tree {
        Tree::new(self.palette.paint(Tone::Heading, text))
    }

    fn headline(&self, status: &SessionStatus) -> String {
        let name = format!("{}/{}", self.session.namespace().unwrap_or_default(), self.session.name_any());
        let phase = self.palette.paint(status.phase.into(), &format!("{:?}", status.phase));
        let mut notes: Vec<String> = status.reason.iter().map(ToString::to_string).collect();
        notes.extend(status.exit_code.map(|code| format!("exit code {code}")));
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        format!("{} {phase}{notes}", self.palette.paint(Tone::Heading, &format!("Session {name}:")))
    }

    /// What was asked for, and by whom it was steered.
    fn wishes(&self, tree: &mut Tree) {
        let spec = &self.session.spec;
        let mut wishes = vec![format!("framework {}", spec.framework)];
        wishes.extend(spec.interactive.then(|| "interactive".to_owned()));
        wishes.extend(spec.timeout.map(|timeout| format!("timeout {timeout}")));
        wishes.extend(spec.retry.as_ref().map(|retry| format!("{} retries", retry.limit)));
        if let Some(Workspace { claim: Some(_), .. }) = spec.workspace {
            wishes.push("files on a claim".to_owned());
        }
        wishes.extend(spec.ttl_after_finished.map(|ttl| format!("kept {ttl} after its end")));
        tree.line(one_line(&wishes.join(", ")));
        let by = |by: &Option<String>| by.as_ref().map(|by| format!(" by {}", one_line(by))).unwrap_or_default();
        if let Some(suspend) = &spec.suspend {
            tree.line(format!("suspend requested{}", by(&suspend.by)));
        }
        if let Some(cancel) = &spec.cancel {
            tree.line(format!("cancel requested{}", by(&cancel.by)));
        }
    }

    fn times(&self, status: &SessionStatus) -> String {
        let ran = units::between(status.started_at.as_ref(), status.finished_at.as_ref(), self.now);
        let times = [
            ("created", self.session.metadata.creation_timestamp.as_ref()),
            ("started", status.started_at.as_ref()),
            ("waiting since", status.waiting_since.as_ref()),
            ("finished", status.finished_at.as_ref()),
        ];
        let mut table = Table::without_head();
        for (what, time) in times.into_iter().filter_map(|(what, time)| Some((what, time?))) {
            let after = ran.filter(|_| what == "finished").map(|ran| format!("after {}", units::duration(ran)));
            let ago = format!("{} ago", units::age(Some(time), self.now));
            table.row([what.into(), units::instant(time).into(), ago.into(), after.unwrap_or_default().into()]);
        }
        table.render(self.palette, "")
    }

    fn attempts(&self, status: &SessionStatus, tree: &mut Tree) {
        let mut facts = Vec::new();
        if let Some(pod) = &status.pod {
            let node = pod.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
            facts.push(format!("pod {}{node}", pod.name));
        }
        if status.failures > 0 {
            facts.push(format!("failed attempts: {}", status.failures));
        }
        if status.disruptions > 0 {
            facts.push(format!("attempts cut short by the cluster: {}", status.disruptions));
        }
        if let Some(next) = &status.next_attempt_at {
            let until = units::duration(next.0.duration_since(self.now));
            facts.push(format!("the next attempt begins in {until}"));
        }
        let attempt = status.attempt.map_or_else(|| "Attempts".to_owned(), |attempt| format!("Attempt {attempt}"));
        tree.branch(self.heading(&attempt).lines(&facts.join("\n")));
    }

    fn turns(&self, status: &SessionStatus) -> String {
        let mut table = Table::without_head();
        for Turn { message, attempt, started_at, finished_at, result, usage } in &status.turns {
            let took = units::between(Some(started_at), Some(finished_at), self.now);
            table.row([
                message.as_str().into(),
                format!("attempt {attempt}").into(),
                took.map(units::duration).unwrap_or_default().into(),
                usage.as_ref().map(tokens).unwrap_or_default().into(),
                excerpt(result).into(),
            ]);
        }
        table.render(self.palette, "")
    }

    /// Messages that were not dealt with.
    fn waiting(&self, status: &SessionStatus) -> String {
        let mut table = Table::without_head();
        let done = |id: &str| status.has_dealt_with(id) || status.turns.iter().any(|t| t.message == id);
        for message in self.session.spec.messages.iter().filter(|message| !done(&message.id)) {
            let by = message.by.as_ref().map(|by| format!("by {by}")).unwrap_or_default();
            table.row([message.id.as_str().into(), by.into(), excerpt(&message.text).into()]);
        }
        table.render(self.palette, "")
    }

    fn question(&self, status: &SessionStatus) -> Tree {
        let Some(question) = &status.question else { return Tree::default() };
        let age = units::age(Some(&question.asked_at), self.now);
        let text: Vec<_> = question.text.lines().map(one_line).collect();
        self.heading(&format!("Question, {age} ago, after message {}", question.message)).lines(&text.join("\n"))
    }

    /// Those that say what the phase does not.
    fn conditions(&self, status: &SessionStatus) -> String {
        let matters = |condition: &&Condition| match condition.type_.as_str() {
            names::condition::COMPLETE | names::condition::RECONCILING => false,
            // What failed is stalled for kstatus; the phase says so already.
            names::condition::STALLED => condition.status == "True" && !status.phase.is_finished(),
            _ => condition.status != "True",
        };
        let mut table = Table::without_head();
        for condition in status.conditions.iter().filter(matters) {
            table.row([
                Cell::toned(format!("{}={}", condition.type_, condition.status), Tone::Waiting),
                condition.reason.as_str().into(),
                format!("{} ago", units::age(Some(&condition.last_transition_time), self.now)).into(),
                condition.message.as_str().into(),
            ]);
        }
        table.render(self.palette, "")
    }

    fn artifacts(&self, status: &SessionStatus) -> String {
        let mut table = Table::without_head();
        for artifact in &status.artifacts {
            table.row([artifact.name.as_str().into(), units::size(artifact.size).into()]);
        }
        table.render(self.palette, "")
    }

    fn events(&self) -> String {
        let events = match &self.events {
            Ok(events) => events,
            Err(why) => return format!("cannot be shown: {}", one_line(why)),
        };
        let mut table = Table::without_head();
        for event in events {
            let warning = event.type_.as_deref() == Some("Warning");
            let object = &event.involved_object;
            let object = format!(
                "{}/{}",
                object.kind.as_deref().unwrap_or_default(),
                object.name.as_deref().unwrap_or_default()
            );
            table.row([
                format!("{} ago", units::age(units::happened(event).as_ref(), self.now)).into(),
                Cell::toned(event.reason.as_deref().unwrap_or_default(), if warning { Tone::Bad } else { Tone::Plain }),
                object.into(),
                event.message.as_deref().unwrap_or_default().into(),
            ]);
        }
        table.render(self.palette, "")
    }
}

fn tokens(usage: &Usage) -> String {
    let Usage { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = usage;
    let cached = cache_read_tokens + cache_write_tokens;
    let cached = if cached > 0 { format!(", {cached} cached") } else { String::new() };
    format!("{input_tokens} tokens in, {output_tokens} out{cached}")
}

/// The beginning of a text, in a line.
fn excerpt(text: &str) -> String {
    let line = one_line(text.trim());
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests;
