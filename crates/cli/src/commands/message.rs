//! `kubectl drover message`

mod id;

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap_complete::engine::ArgValueCompleter;
use drover_api::{
    Session,
    report::Turn,
    session::{Question, SessionMessage},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    completion,
    edit::{Edited, edit},
    progress, spelled,
    text::Text,
    watch::wait,
};
use crate::{
    cluster::{Cluster, ClusterArgs},
    exit,
    output::{
        OutputArgs, Terminal,
        style::{many_lines, one_line},
    },
};

/// The most messages that a Session holds.
const MAX_MESSAGES: usize = 64;
const TEXT: Text = Text { what: "message", empty: "say what the agent is to know or to do", longest: 8 * 1024 };

/// Say something to a Session's agent
///
/// Adds a message, which is delivered once, after those before it, when the agent's present turn has ended. With the
/// framework shell it is a script. Prints the message's id.
///
/// With --wait, waits until the agent has dealt with it, prints the end of what it said, and on standard error what it
/// asks. Ctrl-C ends the waiting with exit code 130; the message stays.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Answer a question, and see what becomes of it
  kubectl drover message tidy-docs 'Use the main branch' --wait

  # Say something longer
  git diff | kubectl drover message tidy-docs -

  # Say the last thing: the Session ends when the agent has dealt with it
  kubectl drover message tidy-docs 'Thank you, write the summary' --last

EXIT CODES:
  With --wait: 0 when the agent has dealt with the message; when the Session ended before that, the agent's exit code,
  or 1 where that is 0 or unknown.")]
pub(crate) struct MessageArgs {
    /// Name of the Session
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: String,
    /// What the agent is told; - reads standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    text: Option<String>,
    /// File with the text; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Id of the message, unique within the Session; made from the text if left out
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Wait until the agent has dealt with it
    #[arg(short, long)]
    wait: bool,
    /// End an interactive Session when all its messages are dealt with
    #[arg(long)]
    last: bool,
    /// Take away messages that were dealt with, which makes room for others
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Adds a message, and waits for its turn where that is asked.
pub(crate) async fn run(args: &MessageArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (text, file) = (args.text.clone(), args.file.clone());
    // On a thread of its own: Ctrl-C has to be heard while somebody types.
    let text = tokio::task::spawn_blocking(move || match text.as_deref() {
        Some("-") => TEXT.read(None, Some("-".as_ref())),
        text => TEXT.read(text, file.as_deref()),
    });
    let text = text.await??;
    let cluster = Cluster::open(cluster).await?;
    let id = args.id.clone().unwrap_or_else(|| id::of(&text));
    let message = SessionMessage { id, text, by: cluster.user().await };
    let edited = edit(&cluster, &args.name, |session| adding(session, &message, args)).await?;
    let name = spelled(&cluster, &args.name);
    tell(args, &edited, &message, &name, terminal)?;
    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let answer = wait(&cluster, &edited.session, terminal, |session| answer(session, &message.id)).await?;
    conclude(args, answer, &name, terminal)
}

/// The change that adds `message`.
fn adding(session: &Session, message: &SessionMessage, args: &MessageArgs) -> anyhow::Result<Vec<Value>> {
    let (name, id) = (session.name_any(), &message.id);
    let status = session.status.clone().unwrap_or_default();
    if status.phase.is_finished() {
        bail!(
            "Session {name} has ended ({:?}) and takes no more messages: start another one with kubectl drover run",
            status.phase
        );
    }
    if session.spec.cancel.is_some() {
        bail!("Session {name} is being cancelled and takes no more messages");
    }
    match session.spec.messages.iter().find(|other| other.id == *id) {
        Some(other) if other.text == message.text => return Ok(ending(session, args).into_iter().collect()),
        Some(_) => bail!("Session {name} has another message with the id {id}: choose another --id"),
        None => {}
    }
    if status.has_dealt_with(id) {
        bail!("Session {name} has dealt with a message with the id {id}, and takes it once only: choose another --id");
    }
    let done = |message: &SessionMessage| args.prune && status.has_dealt_with(&message.id);
    let messages = &session.spec.messages;
    // From the end, so that no removal moves what is removed next.
    let places = messages.iter().enumerate().rev().filter(|(_, message)| done(message)).map(|(place, _)| place);
    let mut operations: Vec<Value> =
        places.map(|place| json!({ "op": "remove", "path": format!("/spec/messages/{place}") })).collect();
    if messages.len() - operations.len() >= MAX_MESSAGES {
        bail!(
            "Session {name} has {MAX_MESSAGES} messages, and no room for another: take away those that were dealt with, \
             with --prune"
        );
    }
    operations.push(if messages.is_empty() {
        json!({ "op": "add", "path": "/spec/messages", "value": [message] })
    } else {
        json!({ "op": "add", "path": "/spec/messages/-", "value": message })
    });
    operations.extend(ending(session, args));
    Ok(operations)
}

/// The change that ends the conversation after its messages, where that is asked and not so yet.
fn ending(session: &Session, args: &MessageArgs) -> Option<Value> {
    let operation = json!({ "op": "replace", "path": "/spec/interactive", "value": false });
    (args.last && session.spec.interactive).then_some(operation)
}

/// Says which message was added, and what it waits for.
fn tell(
    args: &MessageArgs,
    edited: &Edited,
    message: &SessionMessage,
    name: &str,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let (id, session) = (&message.id, edited.session.name_any());
    let done = if edited.changed { "added to" } else { "is already in" };
    let line = format!("message {id} {done} session.drover.dev/{session}");
    match args.output.format() {
        _ if args.wait => terminal.note(&line),
        Some(format) => terminal.document(format, message)?,
        None => terminal.print(&format!("{line}\n"))?,
    }
    if edited.session.spec.suspend.is_some() {
        terminal.note(&format!("the Session is suspended; to have it delivered: kubectl drover resume {name}"));
    }
    Ok(())
}

/// What became of a message.
#[derive(Debug)]
enum Answer {
    /// The agent's turn, and what it asked at its end.
    Turn(Box<Turn>, Option<Question>),
    /// It was dealt with so long ago that its turn is not in the status any more.
    Past,
    /// The Session goes no further, and the message was not dealt with.
    Ended(Box<Session>),
}

/// What became of the message `id`, once that is known.
fn answer(session: &Session, id: &str) -> Option<Answer> {
    let status = session.status.as_ref()?;
    if let Some(turn) = status.turns.iter().rev().find(|turn| turn.message == id) {
        let question = status.question.clone().filter(|question| question.message == id);
        return Some(Answer::Turn(Box::new(turn.clone()), question));
    }
    if status.has_dealt_with(id) {
        return Some(Answer::Past);
    }
    (status.phase.is_finished() || progress::is_stalled(status)).then(|| Answer::Ended(Box::new(session.clone())))
}

/// Prints what the agent said, and gives the exit code.
fn conclude(args: &MessageArgs, answer: Answer, name: &str, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match answer {
        Answer::Turn(turn, question) => {
            match args.output.format() {
                Some(format) => terminal.document(format, &json!({ "turn": turn, "question": question }))?,
                None if turn.result.is_empty() => {
                    terminal.note(&format!("the agent is done and said nothing; its log: kubectl drover logs {name}"));
                }
                None => terminal.print(&format!("{}\n", many_lines(turn.result.trim_end())))?,
            }
            if let Some(question) = question {
                terminal.note(&format!(
                    "the agent asks: {}\n  answer with: kubectl drover message {name} 'TEXT'",
                    one_line(&question.text)
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Answer::Past => {
            terminal.note(&format!("the agent has dealt with it; what it said: kubectl drover logs {name}"));
            Ok(ExitCode::SUCCESS)
        }
        Answer::Ended(session) => {
            terminal.note(&progress::line(&session, terminal.err_palette()));
            terminal.note("the message was not dealt with");
            Ok(exit::of_unfinished(&session))
        }
    }
}

#[cfg(test)]
mod tests;
