//! Frameworks: how an agent is run, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One entry of the framework registry: a value of the ConfigMap
/// [`FRAMEWORKS_CONFIG_MAP`](crate::names::FRAMEWORKS_CONFIG_MAP), YAML, under the framework's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Framework {
    /// The image of the agent's container.
    pub image: String,
    /// The agent's command line. `{promptFile}` stands for the path of a file that holds the prompt, `{prompt}` for
    /// the prompt itself; both may stand within an argument. Nothing else is expanded, and no shell is involved.
    pub command: Vec<String>,
    /// Environment of the agent, beneath the Session's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The numeric user that the whole pod runs as. Left out, Drover's default user is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
}
