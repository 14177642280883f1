//! Whether a pod that already has the name is the one that was to be made.

use drover_api::names::{annotation, label};
use k8s_openapi::api::core::v1::Pod;

/// Whether `present` was made by the plan that made `wanted`: by Drover, for the same Session, attempt and plan.
#[must_use]
pub fn is_same_run(present: &Pod, wanted: &Pod) -> bool {
    let labels = |pod: &Pod| {
        [label::SESSION_UID, label::ATTEMPT, label::MANAGED_BY]
            .map(|name| pod.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned())
    };
    let plan = |pod: &Pod| pod.metadata.annotations.as_ref().and_then(|all| all.get(annotation::PLAN)).cloned();
    labels(present) == labels(wanted) && plan(present) == plan(wanted)
}
