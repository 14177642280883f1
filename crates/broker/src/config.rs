//! What a broker is told by its environment.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use drover_api::runner::{self, env};
use reqwest::Url;

/// The places that a broker uses.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The folder that broker and agent share, with the socket.
    pub run_dir: PathBuf,
    /// The folder with the journal of the log, which only the broker sees.
    pub journal: PathBuf,
    /// The agent's working directory.
    pub workspace: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
    /// The folder with the state of the conversation, which only the broker sees and which survives the pod.
    pub state: PathBuf,
    /// The token for the gateway.
    pub token: PathBuf,
    /// The termination message of the broker's container.
    pub termination_log: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            run_dir: runner::RUN_DIR.into(),
            journal: runner::JOURNAL_DIR.into(),
            workspace: runner::WORKSPACE_DIR.into(),
            home: runner::HOME_DIR.into(),
            state: runner::STATE_DIR.into(),
            token: runner::TOKEN_FILE.into(),
            termination_log: runner::TERMINATION_LOG.into(),
        }
    }
}

impl Paths {
    /// Where the broker listens for `exec`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        let name = runner::BROKER_SOCKET.rsplit('/').next().unwrap_or(runner::BROKER_SOCKET);
        self.run_dir.join(name)
    }
}

/// How working directory, home and state survive the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptBy {
    /// They are stored at each turn's end.
    Checkpoint {
        /// How much a checkpoint may hold, in bytes.
        most: u64,
    },
    /// They are on a claim.
    Claim,
}

/// All that a broker is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The base URL of the gateway's runner port; always https.
    pub gateway: Url,
    /// The gateway's certificate authority, PEM; no other is trusted.
    pub ca: String,
    /// `spec.artifacts`.
    pub artifacts: Vec<String>,
    /// Which try of the Session the pod is, from 1.
    pub attempt: u32,
    /// How working directory, home and state survive the pod.
    pub kept_by: KeptBy,
    /// The attempt before was cut short in the middle of a turn.
    pub previous_interrupted: bool,
    /// How long the gateway may be unreachable before the agent is ended.
    pub reporting_patience: Duration,
    /// The places that the broker uses.
    pub paths: Paths,
}

/// What is wrong with a broker's environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable is missing.
    #[error("the variable {0} is not set")]
    Missing(&'static str),
    /// A variable says what cannot be.
    #[error("the variable {name} is not valid: {problem}")]
    Invalid {
        /// Which variable.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Config {
    /// Reads the environment, which `var` gives by name.
    ///
    /// # Errors
    /// When a variable is missing or not valid.
    pub fn from_env(paths: Paths, var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let required = |name| var(name).ok_or(ConfigError::Missing(name));
        let gateway: Url = required(env::GATEWAY_URL)?.parse().map_err(|e| invalid(env::GATEWAY_URL, e))?;
        if gateway.scheme() != "https" {
            return Err(invalid(env::GATEWAY_URL, "it must begin with https://"));
        }
        let artifacts = serde_json::from_str(&required(env::ARTIFACTS)?).map_err(|e| invalid(env::ARTIFACTS, e))?;
        let attempt = required(env::ATTEMPT)?.parse().map_err(|e| invalid(env::ATTEMPT, e))?;
        if attempt == 0 {
            return Err(invalid(env::ATTEMPT, "attempts are counted from 1"));
        }
        let kept_by = match required(env::KEPT_BY)?.as_str() {
            env::KEPT_BY_CHECKPOINT => KeptBy::Checkpoint { most: number(env::MAX_CHECKPOINT_BYTES, &required)? },
            env::KEPT_BY_CLAIM => KeptBy::Claim,
            other => return Err(invalid(env::KEPT_BY, format!("{other:?} is neither checkpoint nor claim"))),
        };
        let previous_interrupted = match var(env::PREVIOUS_INTERRUPTED).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(invalid(env::PREVIOUS_INTERRUPTED, format!("{other:?} is not true or false"))),
        };
        Ok(Self {
            gateway,
            ca: required(env::GATEWAY_CA)?,
            artifacts,
            attempt,
            kept_by,
            previous_interrupted,
            reporting_patience: Duration::from_secs(number(env::REPORTING_PATIENCE, &required)?),
            paths,
        })
    }
}

/// A number that is not 0.
fn number(
    name: &'static str,
    required: &impl Fn(&'static str) -> Result<String, ConfigError>,
) -> Result<u64, ConfigError> {
    let number: NonZeroU64 = required(name)?.parse().map_err(|e| invalid(name, e))?;
    Ok(number.get())
}

fn invalid(name: &'static str, problem: impl ToString) -> ConfigError {
    ConfigError::Invalid { name, problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
