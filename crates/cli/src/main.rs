//! `kubectl-drover`, a kubectl plugin: run Sessions, speak with them, steer them, and see their logs, artifacts and state.

mod args;
mod cluster;
mod commands;
mod exit;
mod files;
mod gateway;
mod output;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::{
    args::Cli,
    commands::completion,
    output::{Closed, Terminal},
};

fn main() -> ExitCode {
    let terminal = Terminal::of_process();
    match act(&terminal) {
        Ok(code) => code,
        Err(error) if error.is::<Closed>() => exit::CLOSED.into(),
        Err(error) => {
            terminal.note(&format!("error: {}", output::style::one_line(&cluster::chain(error.as_ref()))));
            exit::FAILURE.into()
        }
    }
}

fn act(terminal: &Terminal) -> anyhow::Result<ExitCode> {
    // Only fails when a provider is installed already, which is then this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Shells ask before there is a command line to parse, and wait for names of Sessions in a runtime of their own.
    if completion::answered(terminal)? {
        return Ok(ExitCode::SUCCESS);
    }
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().context("no threads to run on")?;
    let result = runtime.block_on(commands::run(&cli, terminal));
    // A read of standard input that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    result
}
