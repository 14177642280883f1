//! `make bench`: the numbers to hold, measured on an API server of their own.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use drover_suite::bench;

/// Measures the operator against the load of the design: Sessions whose pods never run.
#[derive(Parser)]
struct Arguments {
    /// The operator's binary, a release build.
    #[arg(long)]
    operator: PathBuf,
    /// Where the results are written as JSON.
    #[arg(long)]
    json: PathBuf,
    /// A tenth of the load, to see that the benchmark itself works.
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let report = bench::run(&arguments.operator, if arguments.quick { 10 } else { 1 }).await?;
    std::fs::write(&arguments.json, serde_json::to_vec_pretty(&report)?)?;
    bench::print(&report, &mut std::io::stdout().lock())
}
