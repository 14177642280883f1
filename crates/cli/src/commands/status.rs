//! `kubectl drover status`

mod events;

use anyhow::anyhow;
use clap_complete::engine::ArgValueCompleter;
use drover_api::Session;
use jiff::Timestamp;
use kube::{Api, api::ListParams};
use serde_json::json;

use super::{completion, progress, shown, spelled};
use crate::{
    cluster::{Cluster, ClusterArgs, explain},
    output::{OutputArgs, Terminal, describe, overview::Overview},
};

/// How many Sessions are asked for at once.
const PAGE: u32 = 500;

/// Show where Sessions stand
///
/// Without a name, lists the Sessions of the namespace. With a name, shows that Session as a tree: where it stands and
/// what can be done about it, its attempt and pod, its turns and what they used, messages that wait, what the agent asks,
/// conditions that matter, artifacts, and the last events of Session and pod.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # All Sessions of the namespace
  kubectl drover status

  # All Sessions of the cluster
  kubectl drover status -A

  # Everything about one Session
  kubectl drover status tidy-docs

  # The phase of one Session, for a script
  kubectl drover status tidy-docs -o json | jq -r .status.phase")]
pub(crate) struct StatusArgs {
    /// Name of the Session; without it, all are listed
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: Option<String>,
    /// List the Sessions of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows one Session or a list.
pub(crate) async fn run(args: &StatusArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let cluster = Cluster::open(cluster).await?;
    match &args.name {
        Some(name) => one(args, &cluster, name, terminal).await,
        None => list(args, &cluster, terminal).await,
    }
}

async fn one(args: &StatusArgs, cluster: &Cluster, name: &str, terminal: &Terminal) -> anyhow::Result<()> {
    let session = cluster.session(name).await?;
    if let Some(format) = args.output.format() {
        return terminal.document(format, &shown(&session));
    }
    let overview = Overview {
        session: &session,
        events: events::of(cluster, &session).await,
        hint: progress::hint(&session, &spelled(cluster, name)),
        now: Timestamp::now(),
        palette: terminal.out_palette(),
    };
    terminal.print(&overview.render())
}

async fn list(args: &StatusArgs, cluster: &Cluster, terminal: &Terminal) -> anyhow::Result<()> {
    let api: Api<Session> = if args.all_namespaces { Api::all(cluster.client.clone()) } else { cluster.sessions() };
    let sessions = all(&api).await.map_err(|error| anyhow!(explain(&error)))?;
    if let Some(format) = args.output.format() {
        let items: Vec<Session> = sessions.iter().map(shown).collect();
        return terminal.document(format, &json!({ "apiVersion": "v1", "kind": "List", "items": items }));
    }
    if sessions.is_empty() {
        let place =
            if args.all_namespaces { "the cluster".to_owned() } else { format!("namespace {}", cluster.namespace) };
        terminal.note(&format!("No Sessions in {place}."));
        return Ok(());
    }
    terminal.print(&describe::sessions(&sessions, args.all_namespaces, Timestamp::now(), terminal.out_palette()))
}

/// The whole list, page by page.
async fn all(api: &Api<Session>) -> kube::Result<Vec<Session>> {
    let mut params = ListParams::default().limit(PAGE);
    let mut sessions = Vec::new();
    loop {
        let page = api.list(&params).await?;
        sessions.extend(page.items);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(sessions),
        }
    }
}
