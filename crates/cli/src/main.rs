//! `kubectl-drover`, a kubectl plugin: run Sessions, and see their logs, artifacts and state.

mod args;
mod cluster;
mod commands;
mod exit;
mod files;
mod gateway;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::Cli,
    output::{Closed, Terminal},
};

#[tokio::main]
async fn main() -> ExitCode {
    // Only fails when a provider is installed already, which is then this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let terminal = Terminal::of_process();
    match commands::run(&cli, &terminal).await {
        Ok(code) => code,
        Err(error) if error.is::<Closed>() => exit::CLOSED.into(),
        Err(error) => {
            terminal.note(&format!("error: {}", output::style::one_line(&cluster::chain(error.as_ref()))));
            exit::FAILURE.into()
        }
    }
}
