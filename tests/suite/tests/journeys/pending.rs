//! Sessions that cannot run yet say why, and run once they can.

use anyhow::{Context, Result};
use drover_api::{
    Session,
    state::{Phase, Reason},
};
use drover_suite::installed::{REFUSED_IMAGE, Tenant, apply, phase, until};
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
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

/// What the registry says to every request.
const REFUSAL: &str = "403 agents/coder has no pulls left this month";

/// A registry on the node itself, which containerd may ask without TLS.
async fn registry(tenant: &Tenant) -> Result<Api<Pod>> {
    let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), "default");
    let port = REFUSED_IMAGE.split([':', '/']).nth(1).context("no port")?;
    let answer = format!(
        "while read -r line && [ ${{#line}} -gt 1 ]; do :; done
        printf 'HTTP/1.1 {REFUSAL}\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n'"
    );
    let container = json!({
        "name": "registry",
        "image": "drover.local/drover-shell:dev",
        "imagePullPolicy": "Never",
        "command": ["/bin/nc", "-ll", "-p", port, "-e", "/bin/sh", "-c", answer],
        "readinessProbe": { "tcpSocket": { "port": port.parse::<u16>()? }, "periodSeconds": 1 },
    });
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": REGISTRY },
        "spec": { "hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [container] },
    }))?;
    // A run before this one may have left its own.
    let _ = pods.delete(REGISTRY, &DeleteParams::default()).await;
    until(&pods, REGISTRY, |pod| pod.is_none()).await?;
    pods.create(&PostParams::default(), &pod).await?;
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
    };
    until(&pods, REGISTRY, |pod| pod.is_some_and(is_ready)).await?;
    Ok(pods)
}

const REGISTRY: &str = "drover-suite-registry";

#[tokio::test]
async fn the_registry_refuses_an_image() -> Result<()> {
    let tenant = Tenant::new("image").await?;
    let registry = registry(&tenant).await?;
    let spec = json!({ "framework": "refused-image", "prompt": "hello" });
    let message = pending(&tenant, "refused-image", spec, Reason::ImagePullFailed).await?;
    assert!(message.starts_with("An image of the pod cannot be fetched ("), "{message}");
    assert!(message.contains(REFUSED_IMAGE) && message.contains(REFUSAL), "{message}");
    withdraw(&tenant, "refused-image").await?;
    registry.delete(REGISTRY, &DeleteParams::default()).await?;
    Ok(())
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
async fn a_limit_range_has_no_room_for_the_pod() -> Result<()> {
    let tenant = Tenant::new("limits").await?;
    let limits = json!({ "limits": [{ "type": "Container", "max": { "memory": "64Mi" } }] });
    let range = json!({ "metadata": { "name": "small" }, "spec": limits });
    apply::<LimitRange>(&tenant.client, &tenant.namespace, range).await?;
    let message = pending(&tenant, "large", json!({ "prompt": "true" }), Reason::PodRefused).await?;
    assert!(message.starts_with("The API server refuses the Session's pod for now; it is tried again: "), "{message}");
    assert!(message.contains("maximum memory usage per Container is 64Mi, but limit is 128Mi"), "{message}");
    withdraw(&tenant, "large").await
}

/// Drover makes the account that its pods need; where it may not, nothing runs, and the quota's words say why.
#[tokio::test]
async fn there_is_no_room_for_the_service_account() -> Result<()> {
    let tenant = Tenant::new("account").await?;
    let hard = json!({ "hard": { "count/serviceaccounts": "0" } });
    let quota = json!({ "metadata": { "name": "accounts" }, "spec": hard });
    apply::<ResourceQuota>(&tenant.client, &tenant.namespace, quota).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let counts = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    until(&quotas, "accounts", |quota| quota.is_some_and(counts)).await?;
    let message = pending(&tenant, "unknown", json!({ "prompt": "true" }), Reason::PodRefused).await?;
    assert!(message.contains("exceeded quota: accounts, requested: count/serviceaccounts=1"), "{message}");
    withdraw(&tenant, "unknown").await
}

#[tokio::test]
async fn the_pod_is_not_valid_as_it_is_written() -> Result<()> {
    let tenant = Tenant::new("invalid").await?;
    let tolerations = json!([{ "key": "example.com/agents", "operator": "Sometimes" }]);
    let session = tenant.run("odd", json!({ "prompt": "true", "pod": { "tolerations": tolerations } })).await?;
    let status = session.status.context("no status")?;
    assert_eq!((status.phase, status.reason, status.attempt), (Phase::Failed, Some(Reason::InvalidPod), None));
    let message = status.message.unwrap_or_default();
    assert!(message.starts_with("The API server refuses the Session's pod as it is written: "), "{message}");
    assert!(message.contains("spec.tolerations[0].operator") && message.contains("Sometimes"), "{message}");
    Ok(())
}

#[tokio::test]
async fn nobody_knows_the_framework() -> Result<()> {
    let tenant = Tenant::new("framework").await?;
    let spec = json!({ "framework": "nobody", "prompt": "true" });
    let message = pending(&tenant, "mistaken", spec, Reason::UnknownFramework).await?;
    assert!(message.contains("bare, missing, no-image, refused-image, say, scripted, shell, someone"), "{message}");
    let patch = Patch::Merge(json!({ "spec": { "framework": "shell" } }));
    tenant.sessions().patch("mistaken", &PatchParams::default(), &patch).await?;
    assert_eq!(phase(&tenant.ended("mistaken").await?), Phase::Succeeded);
    Ok(())
}
