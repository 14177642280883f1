//! `cargo xtask`: the repository's own tasks.
//!
//! `generate` writes every file that is derived from the code; `check` and `check-chart` hold the repository and its
//! rendered chart against the rules of the house that no other tool knows.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks by printing")]

mod check;
mod endings;
mod generate;
mod reference;
mod repository;

use std::{
    io::{Read, stdin},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// The repository's own tasks.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the files that are derived from the code.
    Generate {
        /// Writes nothing; fails when a file is not as it would be written.
        #[arg(long)]
        check: bool,
    },
    /// Checks sizes, dependencies, the bounds of status and what no file may hold.
    Check,
    /// Checks the rights in a rendered chart, read from standard input.
    CheckChart,
}

fn main() -> anyhow::Result<ExitCode> {
    let root = repository::root()?;
    let problems = match Arguments::parse().task {
        Task::Generate { check: false } => {
            generate::write(&root)?;
            Vec::new()
        }
        Task::Generate { check: true } => generate::differences(&root)?,
        Task::Check => check::repository(&root)?,
        Task::CheckChart => {
            let mut manifests = String::new();
            stdin().read_to_string(&mut manifests)?;
            check::chart(&manifests)?
        }
    };
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
