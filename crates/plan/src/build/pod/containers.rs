//! The containers of a runner pod.

use std::collections::BTreeMap;

use drover_api::{
    names::container,
    runner::{BIN, BIN_DIR, HOME_DIR, WORKSPACE_DIR, env},
    session::{EnvVar, Resources},
};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar as CoreEnvVar, ResourceRequirements, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Recipe, volumes};
use crate::build::claim::wanted;

/// Puts the runner's binary where any agent image finds it.
pub(super) fn install(recipe: Recipe<'_>) -> Container {
    Container {
        name: container::INSTALL.to_owned(),
        image: Some(recipe.settings.runner_image.clone()),
        image_pull_policy: Some(recipe.settings.image_pull_policy.clone()),
        args: Some(words(&["install", "--to", BIN_DIR])),
        resources: Some(own_resources()),
        security_context: Some(security_context()),
        volume_mounts: Some(volumes::for_install()),
        ..Container::default()
    }
}

/// The sidecar that speaks to the gateway.
pub(super) fn broker(recipe: Recipe<'_>) -> Container {
    let settings = recipe.settings;
    let artifacts = serde_json::to_string(&recipe.session.spec.artifacts).unwrap_or_default();
    let kept_by = if wanted(recipe.session).is_some() { env::KEPT_BY_CLAIM } else { env::KEPT_BY_CHECKPOINT };
    let variables = [
        (env::GATEWAY_URL, settings.gateway_runner_url.clone()),
        (env::GATEWAY_CA, settings.gateway_ca.clone()),
        (env::ARTIFACTS, artifacts),
        (env::ATTEMPT, recipe.attempt.to_string()),
        (env::PREVIOUS_INTERRUPTED, recipe.interrupted.to_string()),
        (env::KEPT_BY, kept_by.to_owned()),
        (env::MAX_CHECKPOINT_BYTES, settings.max_checkpoint_bytes.to_string()),
        (env::REPORTING_PATIENCE, settings.reporting_patience.as_secs().to_string()),
    ];
    Container {
        name: container::BROKER.to_owned(),
        image: Some(settings.runner_image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(words(&["broker"])),
        env: Some(variables.map(|(name, value)| variable(name, &value)).into()),
        restart_policy: Some("Always".to_owned()),
        resources: Some(own_resources()),
        security_context: Some(security_context()),
        volume_mounts: Some(volumes::for_broker(recipe.session)),
        ..Container::default()
    }
}

/// The container in which the agent runs.
pub(super) fn agent(recipe: Recipe<'_>, overrides: Vec<EnvVar>, resources: Option<&Resources>) -> Container {
    let invocation = serde_json::to_string(&recipe.framework.invocation()).unwrap_or_default();
    let timeout = recipe.timeout.as_secs().to_string();
    let command = words(&[BIN, "exec", "--timeout", &timeout, "--framework", &literal(&invocation)]);
    Container {
        name: container::AGENT.to_owned(),
        image: Some(recipe.framework.image.clone()),
        image_pull_policy: Some(recipe.settings.image_pull_policy.clone()),
        command: Some(command),
        env: Some(agent_environment(&recipe.framework.env, overrides)),
        resources: resources.map(Resources::to_core),
        security_context: Some(security_context()),
        volume_mounts: Some(volumes::for_agent(recipe.session)),
        working_dir: Some(WORKSPACE_DIR.to_owned()),
        ..Container::default()
    }
}

/// The framework's variables beneath the Session's.
fn agent_environment(framework: &BTreeMap<String, String>, overrides: Vec<EnvVar>) -> Vec<CoreEnvVar> {
    let mut merged = BTreeMap::from([("HOME".to_owned(), HOME_DIR.to_owned())]);
    merged.extend(framework.iter().map(|(name, value)| (name.clone(), value.clone())));
    merged.extend(overrides.into_iter().map(|v| (v.name, v.value)));
    merged.iter().map(|(name, value)| variable(name, value)).collect()
}

fn variable(name: &str, value: &str) -> CoreEnvVar {
    CoreEnvVar { name: name.to_owned(), value: Some(literal(value)), value_from: None }
}

/// Escapes what the kubelet would take for a reference to a variable.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn own_resources() -> ResourceRequirements {
    let quantities = |cpu: Option<&str>, memory: &str| {
        let cpu = cpu.map(|cpu| ("cpu".to_owned(), Quantity(cpu.to_owned())));
        cpu.into_iter().chain([("memory".to_owned(), Quantity(memory.to_owned()))]).collect()
    };
    ResourceRequirements {
        requests: Some(quantities(Some("10m"), "16Mi")),
        limits: Some(quantities(None, "128Mi")),
        claims: None,
    }
}

fn security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}
