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
    signal::unix::{Signal as Stream, SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};

/// How long the agent has between being asked to end and being ended.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// How long killed processes are waited for.
const REAP: Duration = Duration::from_secs(1);

/// The signals that `exec` acts on. Installed before anything is started, so that none is missed.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    child: Stream,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// Over when somebody wants an end.
    pub(super) async fn stop(&mut self) -> Signal {
        either(&mut self.terminate, &mut self.interrupt).await
    }
}

async fn either(terminate: &mut Stream, interrupt: &mut Stream) -> Signal {
    tokio::select! {
        _ = terminate.recv() => Signal::SIGTERM,
        _ = interrupt.recv() => Signal::SIGINT,
    }
}

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
    #[error("the command {command} cannot be run: {source}")]
    Other { command: String, source: io::Error },
}

impl SpawnError {
    pub(super) const fn is_not_found(&self) -> bool {
        match self {
            Self::NotInPath { .. } | Self::NoSuchFile(_) => true,
            Self::NoInterpreter(_) | Self::NoWorkspace(_) | Self::Other { .. } => false,
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
            _ => Self::Other { command, source },
        }
    }
}

/// Starts the agent in a process group of its own, with the container's environment but for Drover's own variables.
pub(super) fn spawn(argv: &[String], workspace: &Path) -> Result<Spawned, SpawnError> {
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) exit: Exit,
    /// Its time was over, and that ended it.
    pub(super) late: bool,
    /// Somebody asked for the end.
    pub(super) stopped: bool,
}

/// Waits for the agent's end, and brings it about at the deadline or when a signal asks for it.
pub(super) async fn supervise(pid: Pid, signals: &mut Signals, deadline: Instant) -> Ending {
    let (mut late, mut stopped) = (false, false);
    let mut kill_at: Option<Instant> = None;
    loop {
        // Before the first wait as well: the agent may have ended before the signals were looked at.
        if let Reaped::Agent(exit) = reap(pid) {
            return Ending { exit, late, stopped };
        }
        let wake_at = kill_at.unwrap_or(deadline);
        let signal = tokio::select! {
            _ = signals.child.recv() => continue,
            signal = either(&mut signals.terminate, &mut signals.interrupt) => {
                stopped = true;
                signal
            }
            () = sleep_until(wake_at), if kill_at.is_none() => {
                late = true;
                Signal::SIGTERM
            }
            () = sleep_until(wake_at), if kill_at.is_some() => {
                // Again after a while, should a process have been started just then.
                kill_at = Some(Instant::now() + REAP);
                Signal::SIGKILL
            }
        };
        signal_all(pid, signal);
        kill_at = kill_at.or(Some(Instant::now() + GRACE));
    }
}

/// Kills all that the agent left running and reaps it, as far as that takes no longer than [`REAP`].
pub(super) async fn end_rest(pid: Pid, signals: &mut Signals) {
    let reaping = async {
        loop {
            signal_all(pid, Signal::SIGKILL);
            if reap(pid) == Reaped::All {
                return;
            }
            // A process that was started meanwhile is found after a moment, whether or not another one ended.
            let _ = timeout(Duration::from_millis(50), signals.child.recv()).await;
        }
    };
    if timeout(REAP, reaping).await.is_err() {
        tracing::warn!("not all processes of the agent have ended");
    }
}

/// What one round of reaping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaped {
    /// The agent, among others.
    Agent(Exit),
    /// There are children that live.
    Some,
    /// There are no children.
    All,
}

/// Takes the status of every child that ended.
fn reap(agent: Pid) -> Reaped {
    let mut found = None;
    loop {
        let ended = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal)),
            Ok(WaitStatus::StillAlive) => return found.map_or(Reaped::Some, Reaped::Agent),
            Err(Errno::ECHILD) => return found.map_or(Reaped::All, Reaped::Agent),
            Ok(_) | Err(_) => continue,
        };
        if ended.0 == agent {
            found = Some(ended.1);
        }
    }
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
