//! `kubectl drover run`

mod attend;
mod spec;

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use clap::ValueEnum;
use drover_api::{Duration, Session, SessionStatus, names};
use kube::{ResourceExt, api::PostParams};

use super::{MANAGER, shown, spelled};
use crate::{
    cluster::{Cluster, ClusterArgs, explain},
    exit,
    output::{OutputArgs, Terminal, describe},
};
use attend::Ending;
use spec::{Quantity, Variable};

/// Run a Session and follow it to its end
///
/// Creates a Session, prints its log while it runs, lists its artifacts and exits with its exit code. What the agent
/// writes to standard output and standard error goes to the same here; progress is told on standard error.
///
/// With --interactive the agent waits for a message when it has dealt with all; the command tells what it asks, and how
/// to answer from another terminal.
///
/// Ctrl-C detaches, with exit code 130. The Session goes on.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Run a script, with the framework shell
  kubectl drover run --prompt 'uname -a'

  # Run a script from a file under a name of your own, and keep what it makes
  kubectl drover run build-site --prompt-file build.sh --artifact 'site/**' --timeout 30m

  # Give an agent its task from standard input, and do not wait
  echo 'Write a haiku to haiku.txt' | kubectl drover run --framework aider --prompt-file - --artifact haiku.txt --detach

  # Begin a conversation that rests when nobody says anything for half an hour
  kubectl drover run tidy-docs --framework aider --prompt 'Tidy the docs' --interactive --suspend-after 30m

  # Keep the files on a volume of their own, try twice more when an attempt fails, and clean up a day after the end
  kubectl drover run nightly --prompt-file build.sh --workspace-claim 10Gi --retry 2 --ttl 24h --detach

  # Write a manifest instead of running it
  kubectl drover run tidy-docs --prompt 'make tidy' --dry-run client -o yaml > session.yaml

EXIT CODES:
  0 when the Session succeeded, or was made with --detach; the agent's exit code when it did not end well, or 1 where
  that is unknown; 130 after Ctrl-C.")]
pub(crate) struct RunArgs {
    /// Name of the Session; one is made up if left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What the agent is asked to do; a script for the framework shell
    #[arg(short, long, value_name = "TEXT", required_unless_present = "prompt_file", conflicts_with = "prompt_file")]
    prompt: Option<String>,
    /// File with the prompt; - reads standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Framework that runs the prompt
    #[arg(long, value_name = "NAME", default_value = "shell")]
    framework: String,
    /// How long the run may take, for instance 1h30m; the platform's default if left out
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// Let the agent wait for messages when it has dealt with all
    #[arg(short, long)]
    interactive: bool,
    /// Suspend the agent when nobody has said anything for so long, for instance 30m
    #[arg(long, value_name = "DURATION", requires = "interactive")]
    suspend_after: Option<Duration>,
    /// Keep working directory and home on a volume of this size, for instance 10Gi, instead of the node's disk
    #[arg(long, value_name = "SIZE")]
    workspace_claim: Option<String>,
    /// How often an attempt that failed is followed by another
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(..=10))]
    retry: Option<u32>,
    /// How long after the end to keep pod, volume, log and artifacts, for instance 24h
    #[arg(long, value_name = "DURATION")]
    ttl: Option<Duration>,
    /// Files to keep, a pattern beneath the working directory such as 'out/**'; may be repeated
    #[arg(long = "artifact", value_name = "GLOB")]
    artifacts: Vec<String>,
    /// Variable of the agent's environment, in plain text; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<Variable>,
    /// What the node must have free, for instance cpu=500m,memory=1Gi
    #[arg(long, value_name = "RESOURCE=QUANTITY,...", value_delimiter = ',')]
    requests: Vec<Quantity>,
    /// What the agent may use at most, for instance cpu=2,memory=4Gi
    #[arg(long, value_name = "RESOURCE=QUANTITY,...", value_delimiter = ',')]
    limits: Vec<Quantity>,
    /// Create the Session and do not wait for it
    #[arg(short, long, conflicts_with = "dry_run")]
    detach: bool,
    /// Only show what would be created; with `server`, after the API server has checked it
    #[arg(long, value_name = "MODE", value_enum)]
    dry_run: Option<DryRun>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How far a dry run goes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum DryRun {
    /// Send nothing
    Client,
    /// Let the API server check it
    Server,
}

/// Creates a Session and attends it. The exit code is that of the Session.
pub(crate) async fn run(args: &RunArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::open(cluster).await?;
    let prompt = spec::PROMPT.read(args.prompt.as_deref(), args.prompt_file.as_deref())?;
    let session = spec::session(args, &cluster.namespace, prompt);
    if args.dry_run == Some(DryRun::Client) {
        report(&session, " (dry run)", args.output, terminal)?;
        return Ok(ExitCode::SUCCESS);
    }
    let dry_run = args.dry_run == Some(DryRun::Server);
    let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
    let created = cluster.sessions().create(&params, &session).await;
    let session = created.map_err(|error| anyhow!(explain(&error)))?;
    if dry_run || args.detach {
        report(&session, if dry_run { " (server dry run)" } else { "" }, args.output, terminal)?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal.note(&format!("session {} created in namespace {}", session.name_any(), cluster.namespace));
    tokio::select! {
        ending = attend::attend(&cluster, &session, args.output, terminal) => conclude(ending?, &cluster, args.output, terminal),
        _ = tokio::signal::ctrl_c() => {
            terminal.note(&detached(&session, &cluster));
            Ok(exit::INTERRUPTED.into())
        }
    }
}

/// What to know after Ctrl-C.
fn detached(session: &Session, cluster: &Cluster) -> String {
    let name = spelled(cluster, &session.name_any());
    let speak = if session.spec.interactive {
        format!("\n  speak with it: kubectl drover message {name} 'TEXT' --wait")
    } else {
        String::new()
    };
    format!(
        "\ndetached; the Session goes on\n  follow it:     kubectl drover logs -f {name}{speak}\n  \
         stop it:       kubectl drover cancel {name}"
    )
}

/// Says what was created, or would be.
fn report(session: &Session, how: &str, output: OutputArgs, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(format) = output.format() {
        return terminal.document(format, &shown(session));
    }
    let name = session.metadata.name.clone().unwrap_or_else(|| format!("{}…", spec::NAME_PREFIX));
    terminal.print(&format!("session.drover.dev/{name} created{how}\n"))
}

/// Says what is left to say, and gives the exit code.
fn conclude(ending: Ending, cluster: &Cluster, output: OutputArgs, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (session, code) = match ending {
        Ending::Finished(session) => {
            let code = exit::of_session(&session);
            hand_back(&session, cluster, terminal);
            (session, code)
        }
        Ending::Stalled(session) => {
            let name = spelled(cluster, &session.name_any());
            terminal.note(&format!(
                "the Session waits for a change of its spec; to remove it: kubectl delete session {name}"
            ));
            (session, exit::FAILURE.into())
        }
        Ending::Deleted => anyhow::bail!("the Session was deleted before it ended"),
    };
    if let Some(format) = output.format() {
        terminal.document(format, &shown(&*session))?;
    }
    Ok(code)
}

/// Lists what the Session handed back.
fn hand_back(session: &Session, cluster: &Cluster, terminal: &Terminal) {
    let Some(status) = &session.status else { return };
    if let Some(problem) = missing_artifacts(status) {
        terminal.note(&format!("artifacts: {problem}"));
    }
    if !status.artifacts.is_empty() {
        let name = spelled(cluster, &session.name_any());
        terminal.note(&format!("artifacts, to be fetched with: kubectl drover artifacts get {name}"));
        terminal.err(describe::artifacts(&status.artifacts, terminal.err_palette(), "  ").as_bytes());
    }
}

/// What the condition says of artifacts that were not stored.
fn missing_artifacts(status: &SessionStatus) -> Option<&str> {
    let condition = status.conditions.iter().find(|c| c.type_ == names::condition::ARTIFACTS_STORED)?;
    (condition.status == "False").then_some(condition.message.as_str())
}
