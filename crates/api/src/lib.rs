//! The custom resources of `drover.dev/v1alpha1`, and every name that Drover's parts share about them: labels,
//! annotations, condition types, reasons, and the messages that a run's pod and the gateway exchange.
//!
//! No I/O happens here: the crate holds types, their schemas and their bounds.

mod duration;
pub mod framework;
pub mod log;
pub mod names;
mod quantity;
pub mod report;
pub mod runner;
pub mod session;
pub mod state;

pub use duration::{Duration, InvalidDuration};
pub use quantity::Amount;
pub use session::{Session, SessionSpec, SessionStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

/// The API group of all of Drover's resources.
pub const GROUP: &str = "drover.dev";

/// The definitions to install, with the defaults that a derive cannot express.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let session = with_status_default(Session::crd(), &json!({ "observedGeneration": -1, "phase": "Pending" }));
    vec![with_flowing_descriptions(with_bounded_conditions(session))]
}

/// Gives the texts of a condition the bounds that the core API's type lacks, so that status is bounded as a whole.
fn with_bounded_conditions(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let conditions = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
            .and_then(|s| s.properties.as_mut()?.get_mut("status")?.properties.as_mut()?.get_mut("conditions"));
        let Some(JSONSchemaPropsOrArray::Schema(condition)) = conditions.and_then(|c| c.items.as_mut()) else {
            continue;
        };
        for (name, most) in [("type", 64), ("status", 7), ("reason", 64), ("message", 384)] {
            if let Some(text) = condition.properties.as_mut().and_then(|p| p.get_mut(name)) {
                text.max_length = Some(most);
            }
        }
    }
    crd
}

/// Makes one line of each paragraph of the descriptions: `kubectl explain` breaks lines itself, and keeps those that it
/// finds.
fn with_flowing_descriptions(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(flow);
    crd
}

fn flow(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    schema.properties.iter_mut().flatten().for_each(|(_, property)| flow(property));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => flow(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(flow),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        flow(values);
    }
}

/// Gives `status` a default, so that an object nobody has looked at yet is not taken for a settled one.
fn with_status_default(mut crd: CustomResourceDefinition, default: &serde_json::Value) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
            .and_then(|s| s.properties.as_mut())
            .and_then(|p| p.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(default.clone()));
            status.nullable = None;
        }
    }
    crd
}

#[cfg(test)]
mod tests;
