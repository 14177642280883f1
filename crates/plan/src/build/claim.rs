//! The claim that holds a Session's workspace.

use drover_api::{
    Session,
    names::label,
    session::{Claim, Workspace},
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::pod::run_name;

/// The claim that a Session asks for; it is deleted with the Session.
#[must_use]
pub fn claim(session: &Session) -> Option<PersistentVolumeClaim> {
    let wanted = wanted(session)?;
    let meta = &session.metadata;
    let labels = [
        (label::SESSION, meta.name.clone().unwrap_or_default()),
        (label::SESSION_UID, meta.uid.clone().unwrap_or_default()),
        (label::MANAGED_BY, label::DROVER.to_owned()),
    ];
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(run_name(session)),
            namespace: meta.namespace.clone(),
            labels: Some(labels.map(|(k, v)| (k.to_owned(), v)).into()),
            owner_references: session.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), wanted.size.to_core())].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: wanted.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}

/// What a Session asks for, where it asks for a claim.
pub(super) fn wanted(session: &Session) -> Option<&Claim> {
    session.spec.workspace.as_ref().and_then(|workspace: &Workspace| workspace.claim.as_ref())
}
