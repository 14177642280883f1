//! The commands, a module each.

pub(crate) mod artifacts;
pub(crate) mod completion;
mod edit;
pub(crate) mod logs;
pub(crate) mod message;
mod progress;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod steer;
mod text;
mod watch;

use std::process::ExitCode;

use kube::ResourceExt;

use crate::{
    args::{Cli, Command},
    cluster::Cluster,
    exit,
    output::Terminal,
};

/// The field manager of the plugin's writes.
const MANAGER: &str = "kubectl-drover";

/// Carries out what the command line says. The exit code is that of the process.
pub(crate) async fn run(cli: &Cli, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = &cli.cluster;
    match &cli.command {
        Command::Run(args) => run::run(args, cluster, terminal).await,
        Command::Message(args) => unless_interrupted(message::run(args, cluster, terminal)).await,
        Command::Status(args) => unless_interrupted(done(Box::pin(status::run(args, cluster, terminal)))).await,
        Command::Logs(args) => unless_interrupted(done(Box::pin(logs::run(args, cluster, terminal)))).await,
        Command::Artifacts(args) => unless_interrupted(done(Box::pin(artifacts::run(args, cluster, terminal)))).await,
        Command::Suspend(args) => unless_interrupted(steer::suspend(args, cluster, terminal)).await,
        Command::Resume(args) => unless_interrupted(steer::resume(args, cluster, terminal)).await,
        Command::Cancel(args) => unless_interrupted(steer::cancel(args, cluster, terminal)).await,
        Command::Completion(args) => completion::run(args, terminal).map(|()| ExitCode::SUCCESS),
    }
}

/// A command that has no exit code of its own.
async fn done(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    command.await.map(|()| ExitCode::SUCCESS)
}

/// Drops `command` on Ctrl-C, so that it cleans up after itself.
async fn unless_interrupted(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = command => result,
        _ = tokio::signal::ctrl_c() => Ok(exit::INTERRUPTED.into()),
    }
}

/// An object as it is shown, without the bookkeeping of field managers.
fn shown<K: kube::Resource + Clone>(object: &K) -> K {
    let mut object = object.clone();
    object.managed_fields_mut().clear();
    object.meta_mut().managed_fields = None;
    object
}

/// How to name the Session `name` on another command line.
fn spelled(cluster: &Cluster, name: &str) -> String {
    format!("{name} -n {}", cluster.namespace)
}
