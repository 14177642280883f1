//! What the cluster does to a run that is no fault of its own: another attempt goes on.

use anyhow::{Context, Result};
use drover_api::{
    SessionStatus,
    state::{Phase, Reason},
};
use drover_suite::installed::{Tenant, said, turns};
use k8s_openapi::api::{
    core::v1::{Node, Pod},
    scheduling::v1::PriorityClass,
};
use kube::{
    Api,
    api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// Works until it is disturbed; what it did by then it finds again.
const HALF: &str = "
    if [ \"$DROVER_INTERRUPTED\" = true ]; then cat half; exit; fi
    echo half > half
    echo ready
    sleep 1000";

/// The attempt that was disturbed counts as no failure, and the next one has its work.
async fn went_on(tenant: &Tenant, name: &str) -> Result<SessionStatus> {
    let ended = tenant.ended(name).await?;
    assert_eq!(turns(&ended), [("prompt", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Succeeded, Some(Reason::Completed)), "{status:?}");
    assert_eq!((status.attempt, status.disruptions, status.failures), (Some(2), 1, 0));
    assert_eq!(said(&tenant.log(name).await?), ["ready", "half"]);
    Ok(status)
}

/// As `kubectl drain` does it.
#[tokio::test]
async fn the_node_is_drained() -> Result<()> {
    let tenant = Tenant::new("drain").await?;
    tenant.create("moved", json!({ "prompt": HALF })).await?;
    tenant.running("moved").await?;
    tenant.heard("moved", "ready", None).await?;
    tenant.pods().evict(&tenant.pod_name("moved").await?, &EvictParams::default()).await?;
    let disrupted = tenant.stands("moved", Phase::Pending, Reason::Disrupted).await?;
    let message = disrupted.status.and_then(|status| status.message).unwrap_or_default();
    assert!(message.starts_with("Attempt 1 ended (Drained): The pod was evicted"), "{message}");
    went_on(&tenant, "moved").await?;
    Ok(())
}

/// Something of which the node has one.
const SEAT: &str = "drover.dev/suite-seat";

/// Sets how many seats the nodes have.
async fn set_seats(tenant: &Tenant, seats: Value) -> Result<()> {
    let nodes: Api<Node> = Api::all(tenant.client.clone());
    for node in nodes.list(&ListParams::default()).await? {
        let name = node.metadata.name.context("a node without a name")?;
        let patch = Patch::Merge(json!({ "status": { "capacity": { SEAT: seats }, "allocatable": { SEAT: seats } } }));
        nodes.patch_status(&name, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

/// A pod that wants the only seat, and goes before all others.
async fn intruder(tenant: &Tenant, class: &str) -> Result<()> {
    let container = json!({
        "name": "sit",
        "image": "drover.local/drover-shell:dev",
        "imagePullPolicy": "Never",
        "command": ["/bin/sleep", "3600"],
        "resources": { "limits": { SEAT: "1" } },
        "securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 65532,
            "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
        },
    });
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "intruder" },
        "spec": { "priorityClassName": class, "terminationGracePeriodSeconds": 0, "containers": [container] },
    }))?;
    tenant.pods().create(&PostParams::default(), &pod).await?;
    Ok(())
}

#[tokio::test]
async fn a_pod_of_higher_priority_takes_the_place() -> Result<()> {
    let tenant = Tenant::new("preempt").await?;
    let classes: Api<PriorityClass> = Api::all(tenant.client.clone());
    let class: PriorityClass =
        serde_json::from_value(json!({ "metadata": { "name": tenant.namespace }, "value": 1000 }))?;
    classes.create(&PostParams::default(), &class).await?;
    set_seats(&tenant, json!("1")).await?;
    let pod = json!({ "resources": { "requests": { SEAT: "1" }, "limits": { SEAT: "1" } } });
    tenant.create("seated", json!({ "prompt": HALF, "pod": pod })).await?;
    tenant.running("seated").await?;
    tenant.heard("seated", "ready", None).await?;

    intruder(&tenant, &tenant.namespace).await?;
    let disrupted = tenant.stands("seated", Phase::Pending, Reason::Disrupted).await?;
    let message = disrupted.status.and_then(|status| status.message).unwrap_or_default();
    let words = "Attempt 1 ended (Preempted): A pod of higher priority took the place";
    assert!(message.starts_with(words), "{message}");
    let homeless = tenant.stands("seated", Phase::Pending, Reason::Unschedulable).await?;
    let message = homeless.status.and_then(|status| status.message).unwrap_or_default();
    assert!(message.contains(&format!("Insufficient {SEAT}")), "{message}");
    tenant.pods().delete("intruder", &DeleteParams::default()).await?;
    went_on(&tenant, "seated").await?;

    classes.delete(&tenant.namespace, &DeleteParams::default()).await?;
    set_seats(&tenant, Value::Null).await
}
