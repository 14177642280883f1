//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    cluster::ClusterArgs,
    commands::{artifacts::ArtifactsArgs, logs::LogsArgs, run::RunArgs, status::StatusArgs},
};

/// Run AI agents on Kubernetes with Drover.
///
/// A Session is one piece of work of an agent. It runs in a pod of its namespace and hands back a log and artifacts.
#[derive(Parser, Debug)]
#[command(
    name = "kubectl-drover",
    bin_name = "kubectl drover",
    version,
    after_help = "EXAMPLES:
  # Run a script in a Session and follow it
  kubectl drover run --prompt 'uname -a'

  # See all Sessions of the namespace
  kubectl drover status"
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
    Logs(LogsArgs),
    Artifacts(ArtifactsArgs),
    Status(StatusArgs),
}

#[cfg(test)]
mod tests;
