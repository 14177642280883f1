//! What a Session changes of its pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{self, Quantities};

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
