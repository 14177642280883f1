//! The agent's process and all that it starts.
//!
//! The reaper here is the only one in the process: as the container's first process `exec` inherits every orphan, and
//! whoever waits for any child would take the agent's status away from whoever waits for the agent.

use std::{
    fmt, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ChildStderr, ChildStdout, Command, Stdio},
    time::Duration,
};

use drover_api::runner::env;
use nix::{
    errno::Errno,
    sys::{
        signal::{self, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use tokio::{
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};

use super::outside::{Cause, Outside};

/// How long the agent has between being asked to end and being ended.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long killed processes are waited for.
const REAP: Duration = Duration::from_secs(1);
/// How many processes are reaped before anything else is looked at: an agent can end processes without a pause.
const ROUND: usize = 256;

/// An agent that was started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: Pid,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Why the agent could not be started, for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("the command {command} was not found in the image; PATH is {path}")]
    NotInPath { command: String, path: String },
    #[error("the command {0} does not exist in the image")]
    NoSuchFile(String),
    #[error("the command {0} cannot be run: the interpreter that it names does not exist in the image")]
    NoInterpreter(String),
    #[error("the working directory {0} does not exist")]
    NoWorkspace(PathBuf),
    #[error(
        "the message holds a NUL character, which no argument can; let the framework's command name {{promptFile}}"
    )]
    Nul,
    #[error("the command {command} cannot be run: {source}")]
    Other { command: String, source: io::Error },
}

impl SpawnError {
    pub(super) const fn is_not_found(&self) -> bool {
        match self {
            Self::NotInPath { .. } | Self::NoSuchFile(_) => true,
            Self::NoInterpreter(_) | Self::NoWorkspace(_) | Self::Nul | Self::Other { .. } => false,
        }
    }

    fn of(command: &str, workspace: &Path, source: io::Error) -> Self {
        let command = command.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound if !workspace.is_dir() => Self::NoWorkspace(workspace.to_owned()),
            io::ErrorKind::NotFound if !command.contains('/') => {
                Self::NotInPath { command, path: std::env::var("PATH").unwrap_or_else(|_| "not set".to_owned()) }
            }
            io::ErrorKind::NotFound if workspace.join(&command).exists() => Self::NoInterpreter(command),
            io::ErrorKind::NotFound => Self::NoSuchFile(command),
            io::ErrorKind::InvalidInput => Self::Nul,
            _ => Self::Other { command, source },
        }
    }
}

/// Starts the agent in a process group of its own, with the container's environment but for Drover's own variables. Only
/// of an interruption it is told.
pub(super) fn spawn(argv: &[String], workspace: &Path, interrupted: bool) -> Result<Spawned, SpawnError> {
    let program = argv.first().map_or("", String::as_str);
    let mut command = Command::new(program);
    command
        .args(argv.iter().skip(1))
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(env::RESERVED_PREFIX) {
            command.env_remove(name);
        }
    }
    if interrupted {
        command.env(env::INTERRUPTED, "true");
    }
    let failed = |source| SpawnError::of(program, workspace, source);
    let mut child = command.spawn().map_err(failed)?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|e| failed(io::Error::other(e)))?;
    match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok(Spawned { pid, stdout, stderr }),
        _ => Err(failed(io::Error::other("it has no pipes"))),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(Signal),
}

impl Exit {
    /// As a shell says it.
    pub(super) const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal as i32,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "was ended by {signal}"),
        }
    }
}

/// How the agent ended.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) exit: Exit,
    /// What brought the end about, if not the agent itself.
    pub(super) cause: Option<Cause>,
}

/// Takes the status of children that end.
#[derive(Debug)]
pub(super) struct Reaper {
    ended: Signals,
}

impl Reaper {
    /// Made before anything is started, so that no end is missed.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self { ended: signal(SignalKind::child())? })
    }

    /// Waits until the agent ends by itself; or ends it, and with it all that it started, once it has to end.
    pub(super) async fn supervise(&mut self, agent: Pid, outside: &mut Outside) -> Ending {
        loop {
            // Before the first wait as well: the agent may have ended before the signal was looked at.
            let reaped = reap(agent);
            if let Some(exit) = reaped.agent {
                return Ending { exit, cause: None };
            }
            tokio::select! {
                () = self.more(reaped) => {}
                cause = outside.end() => {
                    return Ending { exit: self.end(agent).await, cause: Some(cause) };
                }
            }
        }
    }

    /// Asks all to end. Over when the agent has ended and either all others have, too, or [`GRACE`] is over.
    async fn end(&mut self, agent: Pid) -> Exit {
        signal_all(agent, Signal::SIGTERM);
        let mut kill_at = Instant::now() + GRACE;
        let mut agents_exit = None;
        loop {
            let reaped = reap(agent);
            agents_exit = agents_exit.or(reaped.agent);
            match agents_exit {
                Some(exit) if reaped.left == Left::None || Instant::now() >= kill_at => return exit,
                _ => {}
            }
            tokio::select! {
                () = self.more(reaped) => {}
                () = sleep_until(kill_at) => {
                    signal_all(agent, Signal::SIGKILL);
                    // Again after a while, should a process have been started just then.
                    kill_at = Instant::now() + REAP;
                }
            }
        }
    }

    /// Kills all that the agent left running and reaps it, as far as that takes no longer than [`REAP`].
    pub(super) async fn end_rest(&mut self, agent: Pid) {
        let reaping = async {
            loop {
                signal_all(agent, Signal::SIGKILL);
                let reaped = reap(agent);
                if reaped.left == Left::None {
                    return;
                }
                // A process that was started meanwhile is found after a moment, whether or not another one ended.
                let _ = timeout(Duration::from_millis(50), self.more(reaped)).await;
            }
        };
        if timeout(REAP, reaping).await.is_err() {
            tracing::warn!("not all processes of the agent have ended");
        }
    }

    /// Over when it is worth while to reap again.
    async fn more(&mut self, reaped: Reaped) {
        if reaped.left == Left::Ended {
            tokio::task::yield_now().await;
        } else {
            self.ended.recv().await;
        }
    }
}

/// What one round of reaping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reaped {
    /// The agent, among others.
    agent: Option<Exit>,
    left: Left,
}

/// The children that are left after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Some that have ended, perhaps.
    Ended,
    /// Only such that live.
    Alive,
    None,
}

/// Takes the status of children that ended, [`ROUND`] at most.
fn reap(agent: Pid) -> Reaped {
    let mut agents_exit = None;
    for _ in 0..ROUND {
        let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal)),
            Ok(WaitStatus::StillAlive) => return Reaped { agent: agents_exit, left: Left::Alive },
            Err(Errno::ECHILD) => return Reaped { agent: agents_exit, left: Left::None },
            Ok(_) | Err(_) => continue,
        };
        if pid == agent {
            agents_exit = Some(exit);
        }
    }
    Reaped { agent: agents_exit, left: Left::Ended }
}

/// Sends a signal to the agent and all that it started: as the container's first process to every other process, else
/// to the agent's group.
fn signal_all(agent: Pid, signal: Signal) {
    let sent = if getpid() == Pid::from_raw(1) {
        signal::kill(Pid::from_raw(-1), signal)
    } else {
        signal::killpg(agent, signal)
    };
    if let Err(error) = sent
        && error != Errno::ESRCH
    {
        tracing::warn!(%error, %signal, "the agent's processes cannot be signalled");
    }
}
