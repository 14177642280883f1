//! How the attempt ends: the exit code, and the reason when the agent did not end by itself.

use std::time::Duration;

use drover_api::{
    runner::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_TIMEOUT, Termination},
    state::Reason,
};

use super::{
    argv::ExpandError,
    broker_client::Refused,
    outside::Cause,
    process::{Exit, SpawnError},
};

/// `exec` itself could not do its work.
const EXIT_RUNNER: i32 = 125;
/// Somebody asked for the end, and no agent ran that could have had a code: that of SIGTERM, as a shell says it.
const EXIT_STOPPED: i32 = 143;

/// How it went.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The exit code; not 0 when there is a termination.
    pub(super) code: i32,
    /// Why, if the agent did not end by itself.
    pub(super) termination: Option<Termination>,
    /// What is still waited for.
    pub(super) rest: Rest,
}

/// What is still to be done when the agent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Everything: the broker is to confirm that output, artifacts and the last report are stored.
    Finish,
    /// Somebody wants an end: only the output goes to the broker, which can do all else alone.
    Flush,
    /// Nothing was begun.
    Nothing,
}

impl Verdict {
    fn new(code: i32, reason: Reason, message: impl Into<String>) -> Self {
        let termination = Termination { reason, message: message.into() };
        Self { code, termination: Some(termination), rest: Rest::Finish }
    }

    /// All messages are dealt with.
    pub(super) const fn completed() -> Self {
        Self { code: 0, termination: None, rest: Rest::Finish }
    }

    /// The agent ended by itself, but not with exit code 0.
    pub(super) fn failed(exit: Exit, out_of_memory: bool) -> Self {
        if out_of_memory {
            return Self::new(exit.code(), Reason::OutOfMemory, OUT_OF_MEMORY);
        }
        Self { code: exit.code(), termination: None, rest: Rest::Finish }
    }

    /// The end came from outside, while an agent ran or between two. `seconds` is the time of this attempt.
    pub(super) fn ended(cause: Cause, exit: Option<Exit>, seconds: u64) -> Self {
        let code = exit.map(Exit::code).filter(|code| *code != 0).unwrap_or(EXIT_STOPPED);
        match cause {
            Cause::Deadline => {
                let what = if exit.is_some() { "was stopped" } else { "is given no more messages" };
                let message = format!(
                    "the agent {what}: the Session's time, which spec.timeout sets, was over; this attempt had \
                     {seconds} s of it"
                );
                Self::new(EXIT_TIMEOUT, Reason::DeadlineExceeded, message)
            }
            Cause::Signal => {
                let verdict = Self::new(code, Reason::PodDeleted, "the pod was asked to stop");
                Self { rest: Rest::Flush, ..verdict }
            }
            Cause::Broker(termination) => Self { code, termination: Some(termination), rest: Rest::Flush },
        }
    }

    /// The end came before the first message did.
    pub(super) fn not_begun(cause: Cause, seconds: u64) -> Self {
        let verdict = match cause {
            Cause::Deadline => {
                let message = format!("the agent was not started: the gateway gave no message within {seconds} s");
                Self::new(EXIT_TIMEOUT, Reason::DeadlineExceeded, message)
            }
            Cause::Signal | Cause::Broker(_) => Self::ended(cause, None, seconds),
        };
        Self { rest: Rest::Nothing, ..verdict }
    }

    /// There was nobody to talk to for too long.
    pub(super) fn broker_lost(away: Duration) -> Termination {
        let message = format!(
            "the broker beside the agent did not answer for {} s; the log of the container broker says why",
            away.as_secs()
        );
        Termination { reason: Reason::BrokerLost, message }
    }
}

/// What is said of a process that the kernel killed.
pub(super) const OUT_OF_MEMORY: &str = "a process of the agent was killed because the container had used all of its \
                                        memory: set a larger limit in spec.pod.resources.limits.memory";

impl From<SpawnError> for Verdict {
    fn from(error: SpawnError) -> Self {
        let code = if error.is_not_found() { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
        Self::new(code, Reason::CommandNotFound, error.to_string())
    }
}

impl From<ExpandError> for Verdict {
    fn from(error: ExpandError) -> Self {
        Self::new(EXIT_RUNNER, Reason::PodFailed, error.to_string())
    }
}

impl From<Refused> for Verdict {
    fn from(refused: Refused) -> Self {
        Self::new(EXIT_RUNNER, Reason::PodFailed, refused.to_string())
    }
}

impl From<std::io::Error> for Verdict {
    fn from(error: std::io::Error) -> Self {
        let message = format!("the agent's output cannot be read: {error}");
        Self::new(EXIT_RUNNER, Reason::PodFailed, message)
    }
}

#[cfg(test)]
mod tests;
