//! The commands, a module each.

pub(crate) mod artifacts;
pub(crate) mod logs;
pub(crate) mod run;
pub(crate) mod status;

use std::process::ExitCode;

use kube::ResourceExt;

use crate::{
    args::{Cli, Command},
    cluster::Cluster,
    exit,
    output::Terminal,
};

/// Carries out what the command line says. The exit code is that of the process.
pub(crate) async fn run(cli: &Cli, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Run(args) => run::run(args, &cli.cluster, terminal).await,
        Command::Logs(args) => unless_interrupted(logs::run(args, &cli.cluster, terminal)).await,
        Command::Artifacts(args) => unless_interrupted(artifacts::run(args, &cli.cluster, terminal)).await,
        Command::Status(args) => unless_interrupted(status::run(args, &cli.cluster, terminal)).await,
    }
}

/// Drops `command` on Ctrl-C, so that it cleans up after itself.
async fn unless_interrupted(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = command => result.map(|()| ExitCode::SUCCESS),
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
