//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    cluster::ClusterArgs,
    commands::{
        artifacts::ArtifactsArgs,
        completion::CompletionArgs,
        logs::LogsArgs,
        message::MessageArgs,
        run::RunArgs,
        status::StatusArgs,
        steer::{CancelArgs, ResumeArgs, SuspendArgs},
    },
};

/// Run AI agents on Kubernetes with Drover.
///
/// A Session is a conversation or a piece of work with an agent. The agent runs in a pod of the Session's namespace, and
/// hands back a log and artifacts.
#[derive(Parser, Debug)]
#[command(
    name = "kubectl-drover",
    bin_name = "kubectl drover",
    version,
    after_help = "EXAMPLES:
  # Run a script in a Session and follow it
  kubectl drover run --prompt 'uname -a'

  # Begin a conversation, say something, and end it
  kubectl drover run tidy --interactive --prompt 'ls' --detach
  kubectl drover message tidy 'du -sh *' --wait
  kubectl drover cancel tidy

  # See all Sessions of the namespace
  kubectl drover status

EXIT CODES:
  0    done
  1    something went wrong, which is told on standard error
  2    the command line is wrong
  130  ended by Ctrl-C
  141  the reader of the output is gone
  run, and message and resume with --wait, end with the agent's own exit code when the Session ends otherwise than well."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    Message(MessageArgs),
    Status(StatusArgs),
    Logs(LogsArgs),
    Artifacts(ArtifactsArgs),
    Suspend(SuspendArgs),
    Resume(ResumeArgs),
    Cancel(CancelArgs),
    Completion(CompletionArgs),
}

#[cfg(test)]
mod tests;
