//! What the plugin's exit code says.

use std::process::ExitCode;

use drover_api::{Session, state::Phase};

/// Something went wrong. A wrong use of the command line is 2, which its parser decides.
pub(crate) const FAILURE: u8 = 1;
/// The user pressed Ctrl-C: 128 and the number of the signal, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;
/// The reader of standard output is gone: 128 and the number of SIGPIPE.
pub(crate) const CLOSED: u8 = 141;

/// The exit code for a Session that has ended: 0 when it succeeded, else the agent's own, else [`FAILURE`].
pub(crate) fn of_session(session: &Session) -> ExitCode {
    ExitCode::from(code_of_session(session))
}

/// The exit code for a Session that goes no further although something was still wanted of it: never 0.
pub(crate) fn of_unfinished(session: &Session) -> ExitCode {
    ExitCode::from(code_of_session(session).max(FAILURE))
}

fn code_of_session(session: &Session) -> u8 {
    let Some(status) = &session.status else { return FAILURE };
    match (status.phase, status.exit_code) {
        (Phase::Succeeded, _) => 0,
        (_, Some(code)) => u8::try_from(code).ok().filter(|code| *code != 0).unwrap_or(FAILURE),
        (_, None) => FAILURE,
    }
}

#[cfg(test)]
mod tests;
