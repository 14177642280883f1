//! Runs the agent: the main process of the agent's container.
//!
//! The image is the user's, so nothing is assumed of it, not even a shell. What holds:
//! - The broker says which message comes next, one at a time; for each the agent's command is run once. A message counts
//!   as dealt with when the command ended with exit code 0 and the broker took that; any other end is the end of the
//!   attempt.
//! - All that the agent writes reaches the broker, line by line, in bounded memory, whatever it writes.
//! - No process outlives its time, and none outlives its turn: as the container's first process `exec` ends and reaps
//!   all others.
//! - The end is brought about by the deadline, by a signal, by the broker, or by the want of one, whatever `exec` is
//!   waiting for. Then the agent is dead within [`process::GRACE`]; storing the rest is left to the broker, which
//!   outlives this container.
//! - `exec` leaves its own reason, if it has one, as the container's termination message, and exits with the agent's
//!   code; with a reason never with 0.

mod argv;
mod broker_client;
mod conversation;
mod oom;
mod output;
mod outside;
mod process;
mod stop;
mod termination;
mod verdict;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use drover_api::{
    framework::Invocation,
    log::{Kind, MAX_TEXT},
    runner::{self, Output, TERMINATION_LOG, Termination},
    state::Reason,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

use broker_client::BrokerClient;
use conversation::{Conversation, Unread};
use outside::Outside;
use process::Reaper;
use termination::TerminationFile;
use verdict::{Rest, Verdict};

/// How long the rest of the output and the artifacts are waited for.
const FINISH: Duration = Duration::from_secs(110);
/// How long the rest of the output is waited for when the end was asked for.
const FLUSH_WHEN_STOPPED: Duration = Duration::from_millis(1_500);
/// How many lines wait for the broker.
const LINES: usize = 32;

/// The longest time that can be asked for, a year; the Session allows far less.
const MAX_TIMEOUT: u64 = 366 * 24 * 3600;

/// What to run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// How long the agent may take for all its turns, the waiting for messages included, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=MAX_TIMEOUT))]
    timeout: u64,
    /// How the agent is run: command lines and the format of its output.
    #[arg(long, value_name = "JSON", value_parser = invocation)]
    framework: Invocation,
    #[arg(long, hide = true, default_value = runner::BROKER_SOCKET)]
    socket: PathBuf,
    #[arg(long, hide = true, default_value = runner::WORKSPACE_DIR)]
    workspace: PathBuf,
    #[arg(long, hide = true, default_value = TERMINATION_LOG)]
    termination_log: PathBuf,
    /// How long the broker may be away, in seconds.
    #[arg(long, hide = true, default_value_t = 120)]
    away: u64,
}

fn invocation(json: &str) -> Result<Invocation, String> {
    let invocation: Invocation = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if invocation.command.is_empty() { Err("the command is empty".to_owned()) } else { Ok(invocation) }
}

/// Has the agent deal with its messages and returns the exit code.
///
/// # Errors
/// When signals cannot be received, which means that nothing works.
pub(crate) async fn run(args: ExecArgs) -> anyhow::Result<u8> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let reaper = Reaper::install()?;
    let broker_stop = stop::watch(args.socket.clone(), Duration::from_secs(args.away));
    let outside = Outside::new(broker_stop, deadline)?;
    let (lines, taken) = mpsc::channel(LINES);
    let sender = tokio::spawn(broker_client::send_all(BrokerClient::new(args.socket.clone()), taken));
    let mut conversation = Conversation {
        framework: args.framework,
        workspace: args.workspace,
        seconds: args.timeout,
        broker: BrokerClient::new(args.socket),
        lines,
        reaper,
        outside,
        unread: None,
    };
    let verdict = conversation.run().await;
    // At once: whatever happens while the rest is stored, the reason is known.
    TerminationFile::new(args.termination_log).write(verdict.termination.as_ref());
    store(&verdict, conversation, sender).await;
    Ok(u8::try_from(verdict.code & 0xff).unwrap_or(u8::MAX))
}

/// Waits until the broker has stored all, or will never.
async fn store(verdict: &Verdict, conversation: Conversation, sender: JoinHandle<()>) {
    if verdict.rest == Rest::Nothing {
        return;
    }
    let Conversation { lines, mut broker, mut outside, unread, .. } = conversation;
    let storing = async {
        if let Some(Unread { mut pipes, last_words }) = unread {
            pipes.ended().await;
            say(&lines, Kind::System, &last_words).await;
        }
        if let Some(Termination { reason, message }) = &verdict.termination {
            // A pod that somebody wants back is nothing that went wrong.
            let kind = if *reason == Reason::PodDeleted { Kind::System } else { Kind::Error };
            say(&lines, kind, message).await;
        }
        drop(lines);
        if sender.await.is_ok() && verdict.rest == Rest::Finish {
            broker.finish().await;
        }
    };
    let patience = async {
        if verdict.rest == Rest::Finish {
            let _ = timeout(FINISH, outside.stopped()).await;
        }
        tokio::time::sleep(FLUSH_WHEN_STOPPED).await;
    };
    tokio::select! {
        biased;
        () = storing => {}
        () = patience => tracing::warn!("the broker did not confirm in time that all is stored"),
    }
}

/// Adds a line of `exec`'s own to the log.
async fn say(lines: &mpsc::Sender<Output>, kind: Kind, text: &str) {
    let text = text[..text.floor_char_boundary(MAX_TEXT)].to_owned();
    // The receiver is gone only when the sender's task was.
    let _ = lines.send(Output { kind, stream: None, text, partial: false }).await;
}
