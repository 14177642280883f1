//! `kubectl drover artifacts`

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use clap_complete::engine::ArgValueCompleter;
use drover_api::report::Artifact;
use serde::Serialize;
use serde_json::json;

use super::{completion, spelled};
use crate::{
    cluster::{Cluster, ClusterArgs},
    files::{Checksum, Folder},
    gateway::{Gateway, body, client::SessionRef},
    output::{OutputArgs, Terminal, describe, units},
};

/// List and fetch the files that a Session handed back
///
/// Artifacts are the files that spec.artifacts names. They are stored when the agent has ended, and stay when the pod
/// is gone.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Which files there are
  kubectl drover artifacts list tidy-docs

  # Fetch them all into a folder
  kubectl drover artifacts get tidy-docs --to ./out")]
pub(crate) struct ArtifactsArgs {
    #[command(subcommand)]
    command: ArtifactsCommand,
}

#[derive(Subcommand, Debug)]
enum ArtifactsCommand {
    List(ListArgs),
    Get(GetArgs),
}

/// List the artifacts of a Session
///
/// Shows the name, the size and the SHA-256 checksum of each.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # As a table
  kubectl drover artifacts list tidy-docs

  # As a document, with sizes in bytes
  kubectl drover artifacts list tidy-docs -o json")]
struct ListArgs {
    /// Name of the Session
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Fetch artifacts of a Session
///
/// Fetches the named artifacts, or all of them, into a folder, under their own names. The checksum of each is verified
/// before it appears. Nothing is overwritten without --force, and nothing is written outside the folder.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # All artifacts into the working directory
  kubectl drover artifacts get tidy-docs

  # Two of them into a folder
  kubectl drover artifacts get tidy-docs report.md out/data.json --to ./results

  # One of them to standard output
  kubectl drover artifacts get tidy-docs report.md --to - | less")]
struct GetArgs {
    /// Name of the Session
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: String,
    /// Artifacts to fetch, by the names that `list` shows; without any, all
    #[arg(value_name = "ARTIFACT")]
    artifacts: Vec<String>,
    /// Folder to write to, made if it does not exist; - writes a single artifact to standard output
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Overwrite files that exist
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// An artifact that was fetched.
#[derive(Serialize)]
struct Fetched<'a> {
    #[serde(flatten)]
    artifact: &'a Artifact,
    /// Where it is.
    path: PathBuf,
}

/// Lists or fetches.
pub(crate) async fn run(args: &ArtifactsArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let cluster = Cluster::open(cluster).await?;
    let gateway = Gateway::open(&cluster).await?;
    match &args.command {
        ArtifactsCommand::List(args) => list(args, &cluster, &gateway, terminal).await,
        ArtifactsCommand::Get(args) => get(args, &cluster, &gateway, terminal).await,
    }
}

async fn list(args: &ListArgs, cluster: &Cluster, gateway: &Gateway, terminal: &Terminal) -> anyhow::Result<()> {
    let session = SessionRef { namespace: &cluster.namespace, name: &args.name };
    let artifacts = gateway.artifacts(session).await?;
    if let Some(format) = args.output.format() {
        return terminal.document(format, &json!({ "artifacts": artifacts }));
    }
    if artifacts.is_empty() {
        terminal.note(&format!("Session {} has no artifacts.", args.name));
        return Ok(());
    }
    terminal.print(&describe::artifacts(&artifacts, terminal.out_palette(), ""))
}

async fn get(args: &GetArgs, cluster: &Cluster, gateway: &Gateway, terminal: &Terminal) -> anyhow::Result<()> {
    let session = SessionRef { namespace: &cluster.namespace, name: &args.name };
    let stored = gateway.artifacts(session).await?;
    let wanted = choose(&stored, &args.artifacts, &spelled(cluster, &args.name))?;
    if args.to.as_os_str() == "-" {
        ensure!(
            args.output.format().is_none(),
            "standard output cannot take both the artifact and a document: leave out -o or --to -"
        );
        let [artifact] = wanted[..] else {
            bail!("standard output takes one artifact, not {}: name the one to write", wanted.len());
        };
        return print(gateway, session, artifact, terminal).await;
    }
    let folder = Folder::open(&args.to)?;
    let mut fetched = Vec::new();
    for artifact in wanted {
        let path = save(gateway, session, artifact, &folder, args.force).await?;
        if args.output.format().is_none() {
            terminal.note(&format!("{} ({})", path.display(), units::size(artifact.size)));
        }
        fetched.push(Fetched { artifact, path });
    }
    match args.output.format() {
        Some(format) => terminal.document(format, &json!({ "artifacts": fetched })),
        None => Ok(()),
    }
}

/// The artifacts that are meant: those of the given names, or all.
fn choose<'a>(stored: &'a [Artifact], names: &[String], session: &str) -> anyhow::Result<Vec<&'a Artifact>> {
    if names.is_empty() {
        ensure!(!stored.is_empty(), "there are no artifacts to fetch: see kubectl drover status {session}");
        return Ok(stored.iter().collect());
    }
    let find = |name: &String| {
        let found = stored.iter().find(|artifact| artifact.name == *name);
        found.with_context(|| format!("there is no artifact {name:?}: see kubectl drover artifacts list {session}"))
    };
    names.iter().map(find).collect()
}

async fn save(
    gateway: &Gateway,
    session: SessionRef<'_>,
    artifact: &Artifact,
    folder: &Folder,
    force: bool,
) -> anyhow::Result<PathBuf> {
    let mut part = folder.create(&artifact.name, force)?;
    let mut body = gateway.artifact(session, &artifact.name).await?;
    while let Some(bytes) = body::chunk(&mut body).await? {
        part.write(&bytes)?;
    }
    Ok(part.keep(artifact)?)
}

async fn print(
    gateway: &Gateway,
    session: SessionRef<'_>,
    artifact: &Artifact,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut checksum = Checksum::default();
    let mut body = gateway.artifact(session, &artifact.name).await?;
    while let Some(bytes) = body::chunk(&mut body).await? {
        checksum.update(&bytes);
        terminal.out(&bytes)?;
    }
    terminal.flush()?;
    Ok(checksum.check(artifact)?)
}

#[cfg(test)]
mod tests;
