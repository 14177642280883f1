//! `kubectl drover cancel`, `suspend` and `resume`

use std::process::ExitCode;

use anyhow::bail;
use clap_complete::engine::ArgValueCompleter;
use drover_api::{Session, state::Phase};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    completion,
    edit::{Edited, edit},
    progress, shown, spelled,
    watch::wait,
};
use crate::{
    cluster::{Cluster, ClusterArgs},
    exit,
    output::{OutputArgs, Terminal},
};

/// End a Session for good
///
/// Stops the agent within seconds; the Session ends as Cancelled. Its log and what it handed back so far are kept. This
/// cannot be taken back. A Session that has ended already stays as it is, which is no error.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Stop an agent
  kubectl drover cancel tidy-docs

  # Go on when it is dead
  kubectl drover cancel tidy-docs --wait")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    target: Target,
}

/// Stop a Session's agent until it is resumed
///
/// Gives the pod back. Working directory, home and conversation are kept as they were at the end of the last turn; a turn
/// that is interrupted begins again on resumption. A Session that is suspended already stays so.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Let an agent rest over the weekend
  kubectl drover suspend tidy-docs

  # Go on when its pod is gone
  kubectl drover suspend tidy-docs --wait")]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    target: Target,
}

/// Let a suspended Session go on
///
/// A new attempt begins where the last turn ended. A Session that is not suspended stays as it is. One that rests because
/// nobody said anything goes on with the next message instead.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Let an agent go on
  kubectl drover resume tidy-docs

  # Return when it runs
  kubectl drover resume tidy-docs --wait")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    target: Target,
}

/// Which Session is meant, and what to do about it.
#[derive(clap::Args, Debug)]
struct Target {
    /// Name of the Session
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: String,
    /// Return when it has happened, not when it is asked for
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Cancels a Session.
pub(crate) async fn cancel(args: &CancelArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (target, cluster) = (&args.target, Cluster::open(cluster).await?);
    let by = by(&cluster).await;
    let mut edited = edit(&cluster, &target.name, |session| Ok(cancelling(session, &by))).await?;
    tell(target, &edited, "cancelled", unneeded_cancel, terminal)?;
    if target.wait && !phase(&edited.session).is_finished() {
        let finished = |session: &Session| phase(session).is_finished().then(|| session.clone());
        edited.session = wait(&cluster, &edited.session, terminal, finished).await?;
        terminal.note(&progress::line(&edited.session, terminal.err_palette()));
    }
    document(target, &edited, terminal)?;
    Ok(ExitCode::SUCCESS)
}

/// Suspends a Session.
pub(crate) async fn suspend(
    args: &SuspendArgs,
    cluster: &ClusterArgs,
    terminal: &Terminal,
) -> anyhow::Result<ExitCode> {
    let (target, cluster) = (&args.target, Cluster::open(cluster).await?);
    let by = by(&cluster).await;
    let mut edited = edit(&cluster, &target.name, |session| suspending(session, &by)).await?;
    tell(target, &edited, "suspended", |session| format!("{} is suspended already", named(session)), terminal)?;
    let mut code = ExitCode::SUCCESS;
    if target.wait {
        let settled = settled(&edited.session, |phase| phase == Phase::Suspended);
        edited.session = wait(&cluster, &edited.session, terminal, settled).await?;
        terminal.note(&progress::line(&edited.session, terminal.err_palette()));
        if phase(&edited.session) != Phase::Suspended {
            code = exit::FAILURE.into();
        }
    }
    document(target, &edited, terminal)?;
    Ok(code)
}

/// Resumes a Session.
pub(crate) async fn resume(args: &ResumeArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (target, cluster) = (&args.target, Cluster::open(cluster).await?);
    let name = spelled(&cluster, &target.name);
    let mut edited = edit(&cluster, &target.name, |session| resuming(session, &name)).await?;
    tell(target, &edited, "resumed", |session| format!("{} is not suspended", named(session)), terminal)?;
    let mut code = ExitCode::SUCCESS;
    if target.wait {
        let settled = settled(&edited.session, |phase| matches!(phase, Phase::Running | Phase::Waiting));
        edited.session = wait(&cluster, &edited.session, terminal, settled).await?;
        terminal.note(&progress::line(&edited.session, terminal.err_palette()));
        if phase(&edited.session).is_finished() {
            code = exit::of_session(&edited.session);
        }
    }
    document(target, &edited, terminal)?;
    Ok(code)
}

/// Who wrote a field, as the fields `by` have it.
async fn by(cluster: &Cluster) -> Value {
    match cluster.user().await {
        Some(user) => json!({ "by": user }),
        None => json!({}),
    }
}

fn cancelling(session: &Session, by: &Value) -> Vec<Value> {
    if phase(session).is_finished() || session.spec.cancel.is_some() {
        return Vec::new();
    }
    vec![json!({ "op": "add", "path": "/spec/cancel", "value": by })]
}

fn suspending(session: &Session, by: &Value) -> anyhow::Result<Vec<Value>> {
    refuse_ended(session, "suspended")?;
    if session.spec.suspend.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![json!({ "op": "add", "path": "/spec/suspend", "value": by })])
}

/// `name` is how other command lines spell the Session.
fn resuming(session: &Session, name: &str) -> anyhow::Result<Vec<Value>> {
    refuse_ended(session, "resumed")?;
    if session.spec.suspend.is_some() {
        return Ok(vec![json!({ "op": "remove", "path": "/spec/suspend" })]);
    }
    if phase(session) == Phase::Suspended {
        bail!(
            "{} rests because nobody said anything; it goes on with the next message: kubectl drover message {name} 'TEXT'",
            named(session)
        );
    }
    Ok(Vec::new())
}

fn refuse_ended(session: &Session, what: &str) -> anyhow::Result<()> {
    if phase(session).is_finished() {
        bail!("{} has ended already ({:?}) and cannot be {what}", named(session), phase(session));
    }
    if session.spec.cancel.is_some() {
        bail!("{} is being cancelled and cannot be {what}", named(session));
    }
    Ok(())
}

fn unneeded_cancel(session: &Session) -> String {
    if phase(session).is_finished() {
        return format!("{} has ended already: {:?}", named(session), phase(session));
    }
    let by = session.spec.cancel.as_ref().and_then(|cancel| cancel.by.as_deref());
    let by = by.map(|by| format!(", by {by}")).unwrap_or_default();
    format!("{} is being cancelled already{by}", named(session))
}

/// What [`wait`] ends with: the Session in a phase that was wanted, as seen after the change, or unable to go there.
fn settled(changed: &Session, wanted: impl Fn(Phase) -> bool) -> impl Fn(&Session) -> Option<Session> {
    let generation = changed.metadata.generation;
    move |session| {
        let status = session.status.as_ref()?;
        let seen = status.observed_generation >= generation;
        let over = status.phase.is_finished() || progress::is_stalled(status);
        (over || seen && wanted(status.phase)).then(|| session.clone())
    }
}

/// Says what was done, or why nothing was.
fn tell(
    target: &Target,
    edited: &Edited,
    done: &str,
    unneeded: impl Fn(&Session) -> String,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let session = &edited.session;
    let line = if edited.changed { format!("{} {done}", named(session)) } else { unneeded(session) };
    match target.output.format() {
        Some(_) => terminal.note(&line),
        None => terminal.print(&format!("{line}\n"))?,
    }
    Ok(())
}

fn document(target: &Target, edited: &Edited, terminal: &Terminal) -> anyhow::Result<()> {
    match target.output.format() {
        Some(format) => terminal.document(format, &shown(&edited.session)),
        None => Ok(()),
    }
}

fn named(session: &Session) -> String {
    format!("session.drover.dev/{}", session.name_any())
}

fn phase(session: &Session) -> Phase {
    session.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

#[cfg(test)]
mod tests;
