//! Frameworks: how an agent is run, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One entry of the framework registry: a value of the ConfigMap
/// [`FRAMEWORKS_CONFIG_MAP`](crate::names::FRAMEWORKS_CONFIG_MAP), YAML, under the framework's name.
///
/// In the command lines `{promptFile}` stands for the path of a file that holds the message, `{prompt}` for the message
/// itself, and `{resumeId}` for the id under which the agent keeps the conversation. Each may stand within an
/// argument. Nothing else is expanded, and no shell is involved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Framework {
    /// The image of the agent's container.
    pub image: String,
    /// The agent's command line.
    pub command: Vec<String>,
    /// The command line once a turn before has told a resume id. Left out, `command` is run for every message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume_command: Vec<String>,
    /// What is put before a message whose turn was interrupted by the end of a pod. Left out, nothing is; the agent's
    /// variable `DROVER_INTERRUPTED` says `true` in any case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interrupted_notice: String,
    /// How the agent's standard output is read. Left out, it is plain text.
    #[serde(default, skip_serializing_if = "OutputFormat::is_text")]
    pub output: OutputFormat,
    /// Environment of the agent, beneath the Session's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The numeric user that the whole pod runs as. Left out, Drover's default user is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
}

/// How an agent's standard output is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum OutputFormat {
    /// Plain text: the last lines are the turn's result.
    #[default]
    Text,
    /// A JSON value on each line; a line that is none is plain output.
    JsonLines(JsonLines),
}

impl OutputFormat {
    fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// Where a JSON line says what: JSON pointers (RFC 6901). Of several lines that have a value there, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonLines {
    /// What the agent says, a string: shown in the log, and the last one is the turn's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A question to the user, a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The id under which the agent keeps the conversation, a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_id: Option<String>,
    /// The tokens of the turn, numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsagePointers>,
}

/// Where the numbers of tokens are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsagePointers {
    /// Read, without the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<String>,
    /// Written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<String>,
    /// Read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<String>,
    /// Written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<String>,
}

/// The part of a [`Framework`] that `exec` needs; it stands in the command line of the agent's container, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invocation {
    /// See [`Framework::command`].
    pub command: Vec<String>,
    /// See [`Framework::resume_command`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume_command: Vec<String>,
    /// See [`Framework::interrupted_notice`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interrupted_notice: String,
    /// See [`Framework::output`].
    #[serde(default, skip_serializing_if = "OutputFormat::is_text")]
    pub output: OutputFormat,
}

impl Framework {
    /// What `exec` needs of it.
    #[must_use]
    pub fn invocation(&self) -> Invocation {
        Invocation {
            command: self.command.clone(),
            resume_command: self.resume_command.clone(),
            interrupted_notice: self.interrupted_notice.clone(),
            output: self.output.clone(),
        }
    }
}
