//! Logs: one event a line on standard error, JSON for machines, readable on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError};

/// The environment variable that says what is logged, for instance `debug` or `info,drover_gateway=debug`.
pub const FILTER_ENV: &str = "DROVER_LOG";

/// What is logged when [`FILTER_ENV`] is not set.
const DEFAULT_FILTER: &str = "info";

/// What holds unless [`FILTER_ENV`] says otherwise of the same target: the Kubernetes client logs each failed request as
/// an error, and whoever made the request says so again, with what it means.
const ALWAYS: &str = "kube_client=off";

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// [`FILTER_ENV`] cannot be read.
    #[error("{FILTER_ENV}={value:?} is not a log filter; write for instance info, or info,drover_gateway=debug")]
    Filter {
        /// What it is set to.
        value: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Logs were set up before.
    #[error("logs are set up already")]
    AlreadySet(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends the logs of this process to standard error, as [`FILTER_ENV`] says.
///
/// # Errors
/// When the filter cannot be read, or logs were set up before.
pub fn init() -> Result<(), LogsError> {
    let value = std::env::var(FILTER_ENV).ok().filter(|value| !value.trim().is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter(value)?).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
    set.map_err(LogsError::AlreadySet)
}

fn filter(value: Option<String>) -> Result<EnvFilter, LogsError> {
    let value = value.unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    EnvFilter::try_new(format!("{ALWAYS},{value}")).map_err(|source| LogsError::Filter { value, source })
}

#[cfg(test)]
mod tests;
