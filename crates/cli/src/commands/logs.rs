//! `kubectl drover logs`

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::engine::ArgValueCompleter;
use drover_api::log::{Event, EventId, Kind};

use super::completion;
use crate::{
    cluster::{Cluster, ClusterArgs},
    gateway::{Follow, Gateway, Step, client::SessionRef},
    output::{
        Terminal,
        log::{Layout, LogPrinter},
    },
};

/// Print the log of a Session
///
/// Prints what the agent wrote, in all attempts, and between it, after "drover:", what Drover did. The log is kept when
/// the pod is gone. With -f, waits for more until the Session has ended, through suspensions and from one attempt to the
/// next; an interrupted connection is taken up where it broke.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # The log so far
  kubectl drover logs tidy-docs

  # Follow the log to its end
  kubectl drover logs tidy-docs -f

  # Only what went wrong, with times
  kubectl drover logs tidy-docs --type error --timestamps

  # Events as lines of JSON, after one that was seen before
  kubectl drover logs tidy-docs -o json --after 1-42")]
pub(crate) struct LogsArgs {
    /// Name of the Session
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::sessions))]
    name: String,
    /// Wait for more until the Session has ended
    #[arg(short, long)]
    follow: bool,
    /// Print the time in front of each line
    #[arg(long)]
    timestamps: bool,
    /// Print only events of these types
    #[arg(
        long = "type",
        value_name = "TYPE,...",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(["agent", "tool", "hook", "system", "error"]).map(kind)
    )]
    types: Vec<Kind>,
    /// Begin after the event with this id, which stands in the JSON output
    #[arg(long, value_name = "ID")]
    after: Option<EventId>,
    /// Print events for programs instead of text, a line each
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<LineFormat>,
}

/// The formats in which an event is a line.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum LineFormat {
    /// JSON
    Json,
}

// The parser lets only these names through.
#[expect(clippy::needless_pass_by_value, reason = "the parser hands out values")]
fn kind(name: String) -> Kind {
    match name.as_str() {
        "agent" => Kind::Agent,
        "tool" => Kind::Tool,
        "hook" => Kind::Hook,
        "system" => Kind::System,
        _ => Kind::Error,
    }
}

/// Prints the log as far as it is written, or to its end.
pub(crate) async fn run(args: &LogsArgs, cluster: &ClusterArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let cluster = Cluster::open(cluster).await?;
    let gateway = Gateway::open(&cluster).await?;
    let session = SessionRef { namespace: &cluster.namespace, name: &args.name };
    let after = args.after.unwrap_or(EventId::START);
    let mut printer = LogPrinter::new(terminal, Layout::Together, args.timestamps);
    let mut print = |mut events: Vec<Event>| {
        events.retain(|event| args.types.is_empty() || args.types.contains(&event.kind));
        if args.output.is_some() { print_json(terminal, &events) } else { printer.print(&events) }
    };
    if args.follow {
        return follow(&gateway, session, after, terminal, print).await;
    }
    let mut after = after;
    loop {
        let page = gateway.events(session, after).await?;
        let last = page.complete || page.next <= after;
        after = page.next;
        print(page.events)?;
        if last {
            return Ok(());
        }
    }
}

/// Hands all events after `after` to `print` until the log is complete. Interruptions are told on standard error.
pub(super) async fn follow(
    gateway: &Gateway,
    session: SessionRef<'_>,
    after: EventId,
    terminal: &Terminal,
    mut print: impl FnMut(Vec<Event>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut follow = Follow::new(gateway, session, after);
    loop {
        match follow.next().await? {
            Step::Events(events) => print(events)?,
            Step::Interrupted(error) => terminal.note(&format!("the log is interrupted, trying again: {error}")),
            Step::End { complete: true } => return Ok(()),
            Step::End { complete: false } => {
                terminal.note("the log ends here: the Session was deleted");
                return Ok(());
            }
        }
    }
}

fn print_json(terminal: &Terminal, events: &[Event]) -> anyhow::Result<()> {
    for event in events {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        terminal.out(&line)?;
    }
    terminal.flush()
}
