//! `make bench`: the numbers to hold, measured on an API server and a node of their own.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use drover_suite::bench::{self, Options, Part};

/// Measures the operator against the load of the design, and on a real node what people wait for.
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
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    parts: Vec<Part>,
    /// Not what needs a node.
    #[arg(long)]
    no_node: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { operator, json, quick, mut parts, no_node } = Arguments::parse();
    parts.retain(|part| !(no_node && *part == Part::Node));
    let report = bench::run(Options { operator, divide: if quick { 10 } else { 1 }, parts }).await?;
    std::fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    bench::print(&report, &mut std::io::stdout().lock())
}
