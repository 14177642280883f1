//! `Session`: a piece of work with an agent.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    quantity::{self, Quantities},
    report::Artifact,
    state::{self, Phase},
};

/// A piece of work with an agent: a prompt, the framework that runs it, and what it is to hand back.
///
/// Drover runs it once, in a pod of its namespace. What was asked cannot be changed while or after it runs: to run
/// it again, create a Session with another name.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "drover.dev",
    version = "v1alpha1",
    kind = "Session",
    plural = "sessions",
    shortname = "ses",
    category = "drover",
    namespaced,
    status = "SessionStatus",
    derive = "PartialEq",
    doc = "A piece of work with an agent: a prompt, the framework that runs it, and what it is to hand back. Drover runs it once, in a pod of its namespace. What was asked cannot be changed while or after it runs: to run it again, create a Session with another name.",
    selectable = ".status.phase",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Framework", type_ = "string", json_path = ".spec.framework"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.pod.name", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    validation = Rule::new(
        "self.spec == oldSelf.spec || (self.status.phase == 'Pending' && has(self.status.conditions) && self.status.conditions.exists(c, c.type == 'Accepted' && c.status == 'False'))"
    )
    .message("spec cannot be changed once the Session was accepted: create a Session with another name to run something else"),
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must have at most 63 characters, because it becomes a label of the pod"),
)]
#[serde(rename_all = "camelCase")]
pub struct SessionSpec {
    /// What the agent is asked to do, at most 32 KiB. With the framework `shell` it is a script.
    #[schemars(length(min = 1, max = 32768))]
    pub prompt: String,

    /// Which framework runs the prompt: a key of the registry that the platform admin keeps. A name that the
    /// registry does not know is reported in the condition Accepted, with the names that it knows.
    #[serde(default = "default_framework")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub framework: String,

    /// How long the run may take, counted from the start of the agent, for instance `1h30m`. When it is over the agent
    /// is stopped and the Session fails with the reason DeadlineExceeded; artifacts that exist by then are kept.
    /// From 1s to 744h; left out, the platform's default holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,

    /// Which files to keep when the agent has ended: paths beneath the working directory with `*` (within a name),
    /// `**` (across folders), `?`, `[…]` and `{a,b}`. Regular files only; links are not followed. At most 64 files
    /// are kept; what was left out stands in the condition ArtifactsStored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(
        merge_strategy = kube::core::ListMerge::Set,
        validation = Rule::new("self.all(p, !p.startsWith('/') && !p.matches('(^|/)[.][.](/|$)'))")
            .message("artifacts are paths beneath the working directory: write them without a leading / and without ..")
    )]
    pub artifacts: Vec<String>,

    /// Changes to the pod in which the agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
}

fn default_framework() -> String {
    "shell".to_owned()
}

/// Changes to the pod in which the agent runs.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOverrides {
    /// CPU, memory and other resources of the agent's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Environment of the agent's container, in plain text: everyone who may read the Session reads it. At most 64
    /// variables, whose values have at most 32,768 characters in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(
        merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.map(v, has(v.value) ? size(v.value) : 0).sum() <= 32768")
            .message("the values of env may have at most 32768 characters in all: put more into a file of the repository or image")
    )]
    pub env: Vec<EnvVar>,

    /// Labels that a node must have for the pod to run there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "node_selector")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that the pod bears.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
}

fn node_selector(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 63 },
    })
}

/// CPU, memory and other resources of a container.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
pub struct Resources {
    /// What the node must have free, by resource name, for instance `cpu: 500m`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub requests: Quantities,
    /// What the container may use at most, by resource name, for instance `memory: 2Gi`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub limits: Quantities,
}

impl Resources {
    /// The same as the core API's type holds it.
    #[must_use]
    pub fn to_core(&self) -> ResourceRequirements {
        let some = |quantities: &Quantities| (!quantities.is_empty()).then(|| quantity::to_core(quantities));
        ResourceRequirements { claims: None, requests: some(&self.requests), limits: some(&self.limits) }
    }
}

/// A variable of the agent's environment.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
pub struct EnvVar {
    /// The variable's name: letters, digits and `_`, not beginning with a digit. Names that begin with `DROVER_`
    /// belong to Drover.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[x_kube(validation = Rule::new("!self.startsWith('DROVER_')")
        .message("names that begin with DROVER_ belong to Drover: choose another name"))]
    pub name: String,
    /// The variable's value, at most 4 KiB, taken as it is: `$(NAME)` is not expanded.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// What Drover knows of a Session.
///
/// Bounded: at most 64 artifacts, 8 conditions and messages of at most 1,024 bytes, so far below 64 KiB.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The generation that this status speaks of; -1 until Drover has seen the Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the Session stands, for people: Pending, Running, Succeeded or Failed.
    #[serde(default)]
    pub phase: Phase,

    /// Why it stands there, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<state::Reason>,

    /// Why it stands there and what can be done, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,

    /// Which try runs or ran, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int32"))]
    pub attempt: Option<u32>,

    /// The pod of this try. It is deleted some time after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodReference>,

    /// When the agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,

    /// When the Session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,

    /// The agent's exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,

    /// The files that were kept; fetch them with `kubectl drover artifacts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub artifacts: Vec<Artifact>,

    /// The state for machines: Accepted, Admitted, Complete, ArtifactsStored and, where they hold, Reconciling and
    /// Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The pod of a try.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct PodReference {
    /// The pod's name, in the Session's namespace.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The pod's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// The node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
}
