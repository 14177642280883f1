//! What a broker is told by its environment.

use std::path::PathBuf;

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
    /// The token for the gateway.
    pub token: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            run_dir: runner::RUN_DIR.into(),
            journal: runner::JOURNAL_DIR.into(),
            workspace: runner::WORKSPACE_DIR.into(),
            token: runner::TOKEN_FILE.into(),
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
        Ok(Self { gateway, ca: required(env::GATEWAY_CA)?, artifacts, attempt, paths })
    }
}

fn invalid(name: &'static str, problem: impl ToString) -> ConfigError {
    ConfigError::Invalid { name, problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
