//! Where the agent's files are.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{self, Amount};

/// Where the agent's working directory and home are. Both survive suspension, eviction and the loss of a node: those of
/// an emptyDir are stored at each turn's end and put back by the next attempt, those of a claim stay where they are.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.emptyDir) != has(self.claim)")
    .message("workspace is either emptyDir or claim: write exactly one of them"))]
pub struct Workspace {
    /// On the node, for as long as the pod lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// On a PersistentVolumeClaim that Drover makes for the Session and deletes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// A directory on the node.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// How much working directory and home may hold each, for instance `2Gi`. An agent that writes more is evicted, and
    /// the attempt fails with the reason DiskExceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity::amount_schema")]
    pub size_limit: Option<Amount>,
}

/// A claim that Drover makes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// How much the claim asks for, for instance `10Gi`.
    #[schemars(schema_with = "quantity::amount_schema")]
    pub size: Amount,
    /// The StorageClass. Left out, the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl EmptyDir {
    /// The limit as the core API's type holds it.
    #[must_use]
    pub fn to_core_limit(&self) -> Option<Quantity> {
        self.size_limit.as_ref().map(Amount::to_core)
    }
}
