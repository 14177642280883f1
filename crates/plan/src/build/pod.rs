//! The runner pod.

mod containers;
mod volumes;

use std::collections::BTreeMap;

use drover_api::{
    Session,
    framework::Framework,
    names::{POD_FINALIZER, POD_PREFIX, RUNNER_SERVICE_ACCOUNT, annotation, label},
};
use k8s_openapi::api::core::v1::{Pod, PodSecurityContext, PodSpec, SeccompProfile, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::settings::{DEADLINE_MARGIN, DEFAULT_USER, GRACE_SECONDS, NODE_PATIENCE_SECONDS, Settings};

/// What a pod is made from.
#[derive(Clone, Copy)]
pub struct Recipe<'a> {
    /// The Session to run.
    pub session: &'a Session,
    /// The framework that runs it.
    pub framework: &'a Framework,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long the agent may still run.
    pub timeout: drover_api::Duration,
    /// Whether the attempt before was stopped in the middle of a turn.
    pub interrupted: bool,
    /// The platform's settings.
    pub settings: &'a Settings,
}

/// The name of the pod of one attempt. The same attempt always has the same name, so that no crash makes a second pod,
/// and a Session that was made anew under the same name has another.
#[must_use]
pub fn pod_name(session: &Session, attempt: u32) -> String {
    named(session, &format!("-{attempt}"))
}

/// The name of what all attempts of a Session share.
#[must_use]
pub fn run_name(session: &Session) -> String {
    named(session, "")
}

fn named(session: &Session, tail: &str) -> String {
    const HASH: usize = 10;
    let uid = session.metadata.uid.as_deref().unwrap_or_default();
    let name = session.metadata.name.as_deref().unwrap_or_default();
    let hash: String = Sha256::digest(uid).iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
    let tail = format!("-{hash}{tail}");
    let room = 63 - POD_PREFIX.len() - tail.len();
    let head = name.get(..room.min(name.len())).unwrap_or_default().replace('.', "-");
    format!("{POD_PREFIX}{}{tail}", head.trim_end_matches('-'))
}

/// A hash of the part of a Session's spec that its pods are made from: what may be changed only before the Session is
/// accepted. The prompt is not in it, nor in any pod.
#[must_use]
pub fn plan_hash(session: &Session) -> String {
    let spec = &session.spec;
    let part = json!([spec.framework, spec.timeout, spec.artifacts, spec.workspace, spec.pod]);
    Sha256::digest(part.to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The pod of one attempt.
#[must_use]
pub fn pod(recipe: Recipe<'_>) -> Pod {
    Pod { metadata: metadata(recipe), spec: Some(spec(recipe)), status: None }
}

fn metadata(recipe: Recipe<'_>) -> ObjectMeta {
    let meta = &recipe.session.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let labels = [
        (label::SESSION, name),
        (label::SESSION_UID, meta.uid.clone().unwrap_or_default()),
        (label::ATTEMPT, recipe.attempt.to_string()),
        (label::MANAGED_BY, label::DROVER.to_owned()),
    ];
    ObjectMeta {
        name: Some(pod_name(recipe.session, recipe.attempt)),
        namespace: meta.namespace.clone(),
        labels: Some(labels.map(|(k, v)| (k.to_owned(), v)).into()),
        annotations: Some([(annotation::PLAN.to_owned(), plan_hash(recipe.session))].into()),
        owner_references: recipe.session.controller_owner_ref(&()).map(|owner| vec![owner]),
        finalizers: Some(vec![POD_FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    }
}

fn spec(recipe: Recipe<'_>) -> PodSpec {
    let overrides = recipe.session.spec.pod.clone().unwrap_or_default();
    PodSpec {
        service_account_name: Some(RUNNER_SERVICE_ACCOUNT.to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        active_deadline_seconds: Some(deadline(recipe)),
        security_context: Some(security_context(recipe.framework.run_as_user.unwrap_or(DEFAULT_USER))),
        node_selector: none_if_empty(overrides.node_selector),
        tolerations: Some(tolerations(overrides.tolerations)),
        volumes: Some(volumes::all(recipe.session)),
        init_containers: Some(vec![containers::install(recipe), containers::broker(recipe)]),
        containers: vec![containers::agent(recipe, overrides.env, overrides.resources.as_ref())],
        ..PodSpec::default()
    }
}

/// The kubelet's own deadline in seconds: a backstop should `exec` not keep its.
fn deadline(recipe: Recipe<'_>) -> i64 {
    let margin = recipe.settings.start_timeout.as_secs() + DEADLINE_MARGIN.as_secs();
    i64::try_from(recipe.timeout.as_secs() + margin).unwrap_or(i64::MAX)
}

fn security_context(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// The user's tolerations, and a bounded patience with a node that does not answer.
fn tolerations(mut wanted: Vec<Toleration>) -> Vec<Toleration> {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if wanted.iter().any(|t| t.key.as_deref() == Some(key)) {
            continue;
        }
        wanted.push(Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            toleration_seconds: Some(NODE_PATIENCE_SECONDS),
            value: None,
        });
    }
    wanted
}

fn none_if_empty(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests;
