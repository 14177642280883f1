//! What a run's broker says of its run. It travels as an annotation on the pod.

use serde::{Deserialize, Serialize};

/// The largest encoded [`Report`], in bytes; the gateway refuses more.
pub const MAX_BYTES: usize = 32 * 1024;
/// How many artifacts one run stores at most.
pub const MAX_ARTIFACTS: usize = 64;
/// The longest name of an artifact, in bytes.
pub const MAX_ARTIFACT_NAME: usize = 200;

/// A broker's report. Each replaces the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Counts the reports of one pod from 1; the gateway writes a report only over its predecessor.
    pub sequence: u64,
    /// Nothing follows: logs and artifacts are stored.
    #[serde(default)]
    pub last: bool,
    /// What was stored of `spec.artifacts`, in the order of their names.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// What could not be stored, each a sentence for the user; at most 8 of at most 256 bytes.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// A file that a run handed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The file's path beneath the workspace.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Its length in bytes.
    pub size: i64,
    /// Its SHA-256 checksum in lower-case hexadecimal.
    #[schemars(length(max = 64))]
    pub sha256: String,
}
