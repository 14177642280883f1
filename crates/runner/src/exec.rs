//! Runs the agent: the main process of the agent's container.
//!
//! The image is the user's, so nothing is assumed of it, not even a shell. What holds:
//! - All that the agent writes reaches the broker, line by line, in bounded memory, whatever it writes.
//! - No process outlives its time, and none outlives the agent: as the container's first process `exec` ends and reaps
//!   all others.
//! - `exec` leaves its own reason, if it has one, as the container's termination message, and exits with the agent's
//!   code.
//! - After SIGTERM the agent is dead within [`process::GRACE`]; storing the rest is left to the broker, which outlives
//!   this container.

mod argv;
mod broker_client;
mod oom;
mod output;
mod process;
mod termination;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use drover_api::{
    log::{Kind, MAX_TEXT},
    runner::{self, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_TIMEOUT, Output, Termination},
    state::Reason,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use broker_client::{BrokerClient, Gone};
use oom::OomCounter;
use output::Pipes;
use process::{Ending, Exit, Signals, Spawned};
use termination::TerminationFile;

/// `exec` itself could not do its work.
const EXIT_RUNNER: i32 = 125;
/// How long the rest of the output and the artifacts are waited for.
const FINISH: Duration = Duration::from_secs(110);
/// How long the rest of the output is waited for after SIGTERM.
const FLUSH_WHEN_STOPPED: Duration = Duration::from_millis(1_500);
/// How long what the agent left running may go on writing.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// How many lines wait for the broker.
const LINES: usize = 32;

/// The longest time that can be asked for, a year; the Session allows far less.
const MAX_TIMEOUT: u64 = 366 * 24 * 3600;

/// What to run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// How long the agent may take, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=MAX_TIMEOUT))]
    timeout: u64,
    #[arg(long, hide = true, default_value = runner::BROKER_SOCKET)]
    socket: PathBuf,
    #[arg(long, hide = true, default_value = runner::WORKSPACE_DIR)]
    workspace: PathBuf,
    #[arg(long, hide = true, default_value = "/dev/termination-log")]
    termination_log: PathBuf,
    /// The agent's command line; `{prompt}` and `{promptFile}` are replaced.
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

/// How it went.
struct Verdict {
    /// The exit code.
    code: i32,
    /// Why, if the agent did not end by itself.
    termination: Option<Termination>,
    /// Somebody ends the pod: nothing is waited for that the broker can do alone.
    stopped: bool,
}

impl Verdict {
    fn new(code: i32, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, termination: Some(Termination { reason, message: message.into() }), stopped: false }
    }

    fn of(ending: &Ending, seconds: u64, out_of_memory: bool) -> Self {
        let Ending { exit, late, stopped } = *ending;
        let verdict = if late {
            let message = format!("the agent was stopped: its time of {seconds} s was over");
            Self::new(EXIT_TIMEOUT, Reason::DeadlineExceeded, message)
        } else if out_of_memory && exit.code() != 0 {
            let message = "a process of the agent was killed because the container had used all of its memory: \
                           set a larger limit in spec.pod.resources.limits.memory";
            Self::new(exit.code(), Reason::OutOfMemory, message)
        } else {
            Self { code: exit.code(), termination: None, stopped: false }
        };
        Self { stopped, ..verdict }
    }
}

/// An agent that has ended, with what is still to be read of it.
struct Ended {
    exit: Exit,
    pipes: Pipes,
}

/// Runs the agent and returns its exit code.
///
/// # Errors
/// When signals cannot be received, which means that nothing works.
pub(crate) async fn run(args: ExecArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::install()?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let termination = TerminationFile::new(args.termination_log.clone());
    let mut broker = BrokerClient::new(args.socket.clone());

    let verdict = match prompt(&mut broker, &mut signals, deadline, args.timeout).await {
        Ok(prompt) => {
            let (lines, taken) = mpsc::channel(LINES);
            let sender = tokio::spawn(broker_client::send_all(broker, taken));
            let (verdict, ended) = match run_agent(&args, &prompt, &lines, &mut signals, deadline).await {
                Ok((verdict, ended)) => (verdict, Some(ended)),
                Err(verdict) => (verdict, None),
            };
            // At once: whatever happens while the rest is stored, the reason is known.
            termination.write(verdict.termination.as_ref());
            store(&verdict, ended, lines, sender, &mut signals).await;
            verdict
        }
        Err(verdict) => {
            termination.write(verdict.termination.as_ref());
            verdict
        }
    };
    Ok(u8::try_from(verdict.code & 0xff).unwrap_or(u8::MAX))
}

/// The prompt, or why there is no use in waiting for it any longer.
async fn prompt(
    broker: &mut BrokerClient,
    signals: &mut Signals,
    deadline: Instant,
    seconds: u64,
) -> Result<String, Verdict> {
    tokio::select! {
        prompt = broker.prompt() => prompt.map_err(|Gone| {
            let message = "the broker beside the agent did not answer; the log of its container says why";
            Verdict::new(EXIT_RUNNER, Reason::PodFailed, message)
        }),
        signal = signals.stop() => Err(Verdict { code: 128 + signal as i32, termination: None, stopped: true }),
        () = sleep_until(deadline) => {
            let message = format!("the agent was not started: the gateway gave no prompt within {seconds} s");
            Err(Verdict::new(EXIT_TIMEOUT, Reason::DeadlineExceeded, message))
        }
    }
}

/// Runs the agent until neither it nor anything that it started lives.
async fn run_agent(
    args: &ExecArgs,
    prompt: &str,
    lines: &mpsc::Sender<Output>,
    signals: &mut Signals,
    deadline: Instant,
) -> Result<(Verdict, Ended), Verdict> {
    let command = argv::expand(&args.argv, prompt).map_err(|error| {
        let message = format!("the prompt cannot be written to a temporary file: {error}");
        Verdict::new(EXIT_RUNNER, Reason::PodFailed, message)
    })?;
    let oom = OomCounter::start();
    let Spawned { pid, stdout, stderr } = process::spawn(&command.argv, &args.workspace).map_err(|error| {
        let code = if error.is_not_found() { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
        Verdict::new(code, Reason::CommandNotFound, error.to_string())
    })?;
    // The first line, so there is room for it.
    say(lines, Kind::System, "agent started").await;
    let mut pipes = match Pipes::read(stdout, stderr, lines) {
        Ok(pipes) => pipes,
        Err(error) => {
            process::end_rest(pid, signals).await;
            let message = format!("the agent's output cannot be read: {error}");
            return Err(Verdict::new(EXIT_RUNNER, Reason::PodFailed, message));
        }
    };
    let ending = process::supervise(pid, signals, deadline).await;
    let verdict = Verdict::of(&ending, args.timeout, oom.rose());
    // What the agent left running may still say something; only then is it ended.
    let _ = timeout(LEFTOVERS, pipes.ended()).await;
    process::end_rest(pid, signals).await;
    pipes.stop_when_empty();
    Ok((verdict, Ended { exit: ending.exit, pipes }))
}

/// Waits until the broker has stored all, or will never.
async fn store(
    verdict: &Verdict,
    ended: Option<Ended>,
    lines: mpsc::Sender<Output>,
    sender: JoinHandle<BrokerClient>,
    signals: &mut Signals,
) {
    let storing = async {
        if let Some(Ended { exit, mut pipes }) = ended {
            pipes.ended().await;
            say(&lines, Kind::System, &format!("agent {exit}")).await;
        }
        if let Some(Termination { message, .. }) = &verdict.termination {
            say(&lines, Kind::Error, message).await;
        }
        drop(lines);
        if let (Ok(mut broker), false) = (sender.await, verdict.stopped) {
            broker.finish().await;
        }
    };
    let patience = async {
        if !verdict.stopped {
            let _ = timeout(FINISH, signals.stop()).await;
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
