//! `drover-runner`: the three commands of a runner pod.
//!
//! - `install` (init container) puts this binary where the other containers find it, so that any agent image works.
//! - `broker` (sidecar) speaks to the gateway and holds the pod's token.
//! - `exec` (the agent's container, any image) runs the agent, bounds its time and hands its output to the broker.

mod exec;
mod install;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use drover_api::runner;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The runner of Drover's pods.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies this binary into a folder.
    Install {
        /// The folder.
        #[arg(long, default_value = runner::BIN_DIR)]
        to: PathBuf,
    },
    /// Serves the agent's container and speaks to the gateway.
    Broker(BrokerArgs),
    /// Runs the agent.
    Exec(Box<exec::ExecArgs>),
}

/// Other places than in a pod, for tests.
#[derive(Debug, Args)]
struct BrokerArgs {
    #[arg(long, hide = true, default_value = runner::RUN_DIR)]
    run_dir: PathBuf,
    #[arg(long, hide = true, default_value = runner::JOURNAL_DIR)]
    journal: PathBuf,
    #[arg(long, hide = true, default_value = runner::WORKSPACE_DIR)]
    workspace: PathBuf,
    #[arg(long, hide = true, default_value = runner::HOME_DIR)]
    home: PathBuf,
    #[arg(long, hide = true, default_value = runner::STATE_DIR)]
    state: PathBuf,
    #[arg(long, hide = true, default_value = runner::TOKEN_FILE)]
    token: PathBuf,
    #[arg(long, hide = true, default_value = runner::TERMINATION_LOG)]
    termination_log: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    drover_service::logs::init()?;
    Ok(run(cli.command).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    }))
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Install { to } => install::install(&to).map(|()| ExitCode::SUCCESS),
        Command::Broker(args) => block_on(broker(args))?.map(|()| ExitCode::SUCCESS),
        Command::Exec(args) => block_on(exec::run(*args))?.map(ExitCode::from),
    }
}

/// Runs a command on one thread, which is enough for a pod and costs least.
fn block_on<T>(command: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().context("the runtime cannot be started")?;
    let result = runtime.block_on(command);
    // Not to wait for a thread that still reads a file: the command knows when it is over.
    runtime.shutdown_background();
    Ok(result)
}

async fn broker(args: BrokerArgs) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be received")?;
    let BrokerArgs { run_dir, journal, workspace, home, state, token, termination_log } = args;
    let paths = drover_broker::Paths { run_dir, journal, workspace, home, state, token, termination_log };
    let config = drover_broker::Config::from_env(paths, |name| std::env::var(name).ok())?;
    let terminated = async {
        terminate.recv().await;
    };
    Ok(drover_broker::run(config, terminated).await?)
}
