//! Sessions that cannot run yet say why, and run once they can.

use anyhow::{Context, Result};
use drover_api::{
    Session,
    state::{Phase, Reason},
};
use drover_suite::installed::{Tenant, apply, phase};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

/// Creates a Session and waits until it is Pending for that reason; returns what it says.
async fn pending(tenant: &Tenant, name: &str, spec: Value, reason: Reason) -> Result<String> {
    tenant.create(name, spec).await?;
    let is_so = |session: &Session| session.status.as_ref().is_some_and(|status| status.reason == Some(reason));
    let session = tenant.until(name, is_so).await?;
    assert_eq!(phase(&session), Phase::Pending);
    session.status.and_then(|status| status.message).context("no message")
}

async fn withdraw(tenant: &Tenant, name: &str) -> Result<()> {
    tenant.sessions().delete(name, &DeleteParams::default()).await?;
    tenant.until_no_pods().await
}

#[tokio::test]
async fn an_image_does_not_exist() -> Result<()> {
    let tenant = Tenant::new("image").await?;
    let spec = json!({ "framework": "no-image", "prompt": "hello" });
    let message = pending(&tenant, "no-image", spec, Reason::ImagePullFailed).await?;
    assert!(message.contains("drover.local/no-such-image:1"), "{message}");
    withdraw(&tenant, "no-image").await
}

#[tokio::test]
async fn no_node_fits() -> Result<()> {
    let tenant = Tenant::new("node").await?;
    let spec = json!({ "prompt": "true", "pod": { "nodeSelector": { "example.com/disk": "none-has-this" } } });
    let message = pending(&tenant, "nowhere", spec, Reason::Unschedulable).await?;
    assert!(message.starts_with("No node can take the pod: 0/"), "{message}");
    assert!(message.contains("didn't match Pod's node affinity/selector"), "{message}");
    withdraw(&tenant, "nowhere").await
}

#[tokio::test]
async fn the_quota_is_used_up_and_then_raised() -> Result<()> {
    let tenant = Tenant::new("quota").await?;
    let quota = |pods: &str| json!({ "metadata": { "name": "pods" }, "spec": { "hard": { "pods": pods } } });
    apply::<ResourceQuota>(&tenant.client, &tenant.namespace, quota("0")).await?;
    let message = pending(&tenant, "patient", json!({ "prompt": "true" }), Reason::PodRefused).await?;
    assert!(message.contains("exceeded quota: pods"), "{message}");
    apply::<ResourceQuota>(&tenant.client, &tenant.namespace, quota("1")).await?;
    assert_eq!(phase(&tenant.ended("patient").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn nobody_knows_the_framework() -> Result<()> {
    let tenant = Tenant::new("framework").await?;
    let spec = json!({ "framework": "nobody", "prompt": "true" });
    let message = pending(&tenant, "mistaken", spec, Reason::UnknownFramework).await?;
    assert!(message.contains("bare, missing, no-image, say, shell, someone"), "{message}");
    let patch = Patch::Merge(json!({ "spec": { "framework": "shell" } }));
    tenant.sessions().patch("mistaken", &PatchParams::default(), &patch).await?;
    assert_eq!(phase(&tenant.ended("mistaken").await?), Phase::Succeeded);
    Ok(())
}
