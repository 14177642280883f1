//! Drover is restarted, upgraded and taken away while Sessions run. Each of these journeys is alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drover_api::{
    log::Event,
    names::annotation,
    state::{Phase, Reason},
};
use drover_suite::installed::{NAMESPACE, PATIENCE, Port, Role, Tenant, phase, said, until};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        coordination::v1::Lease,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use super::handing_back::without_gaps;

/// Counts until it is told to end, and leaves a file.
const COUNT: &str =
    "i=0; while [ ! -e go ]; do i=$((i+1)); echo \"line $i\"; sleep 0.02; done; echo $i > count; echo last";

/// Drover's lease lasts so long; whoever takes over does it in this time, and a bit.
const TAKE_OVER: Duration = Duration::from_secs(25);

fn of_drover(tenant: &Tenant) -> Api<Pod> {
    Api::namespaced(tenant.client.clone(), NAMESPACE)
}

async fn pods_of(tenant: &Tenant, component: &str) -> Result<Vec<Pod>> {
    let selected = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    Ok(of_drover(tenant).list(&selected).await?.items)
}

/// Kills the pods of a part of Drover, and waits until others serve in their place.
async fn kill(tenant: &Tenant, component: &str) -> Result<()> {
    for pod in pods_of(tenant, component).await? {
        of_drover(tenant).delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    let deployments: Api<Deployment> = Api::namespaced(tenant.client.clone(), NAMESPACE);
    let name = format!("drover-{component}");
    let counts = |deployment: Option<&Deployment>| {
        let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
        (status.ready_replicas.unwrap_or(0), status.replicas.unwrap_or(0), status.observed_generation)
    };
    until(&deployments, &name, |deployment| matches!(counts(deployment), (0, _, _))).await?;
    until(&deployments, &name, |deployment| matches!(counts(deployment), (ready, all, _) if ready > 0 && ready == all))
        .await?;
    Ok(())
}

/// The Session ended well, and its log and its artifact are whole.
async fn is_whole(tenant: &Tenant, name: &str) -> Result<Vec<Event>> {
    let status = tenant.ended(name).await?.status.context("no status")?;
    ensure!((status.phase, status.reason) == (Phase::Succeeded, Some(Reason::Completed)), "{status:?}");
    let log = tenant.log(name).await?;
    without_gaps(&log)?;
    let lines = said(&log);
    let count = lines.len() - 1;
    let expected: Vec<String> = (1..=count).map(|i| format!("line {i}")).chain(["last".to_owned()]).collect();
    ensure!(lines == expected, "lines are missing, twice or in another order: {lines:?}");
    let user = tenant.user(Role::View).await?;
    let file = user.drover(&["artifacts", "get", name, "count", "--to", "-"]).await?;
    ensure!(file.stdout.trim() == count.to_string(), "{file:?} and {count} lines");
    Ok(log)
}

async fn counting(tenant: &Tenant, name: &str) -> Result<()> {
    tenant.create(name, json!({ "prompt": COUNT, "artifacts": ["count"] })).await?;
    tenant.running(name).await?;
    Ok(())
}

#[tokio::test]
async fn the_operator_is_killed_while_a_session_runs() -> Result<()> {
    let tenant = Tenant::alone("operator").await?;
    counting(&tenant, "counts").await?;
    let uid = tenant.pod("counts").await?.uid();
    for pod in pods_of(&tenant, "operator").await? {
        of_drover(&tenant).delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    // The run ends while nobody looks, and one is asked for while nobody is there.
    tenant.touch("counts", "go").await?;
    tenant.create("meanwhile", json!({ "prompt": "true" })).await?;
    is_whole(&tenant, "counts").await?;
    assert_eq!(tenant.pod("counts").await?.uid(), uid, "it ran once");
    assert_eq!(phase(&tenant.ended("meanwhile").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn the_gateway_is_killed_while_a_session_runs() -> Result<()> {
    let tenant = Tenant::alone("gateway").await?;
    counting(&tenant, "counts").await?;
    let user = tenant.user(Role::View).await?;
    let gateway = tenant.gateway(Port::Api).await?;
    let mut stream = gateway.follow(&tenant.namespace, "counts", &user.token, None).await?;
    let mut seen = stream.up_to("line 10").await?;

    kill(&tenant, "gateway").await?;
    // What still arrives on the old connection counts as seen.
    while let Ok(Some(event)) = stream.next().await {
        seen.push(event);
    }
    let last = seen.last().and_then(|event| event.id.clone());
    let stream = gateway.follow(&tenant.namespace, "counts", &user.token, last.as_deref()).await?;
    tenant.touch("counts", "go").await?;
    seen.extend(stream.rest().await?);
    let log = is_whole(&tenant, "counts").await?;
    let ids: Vec<_> = seen.iter().filter_map(|event| event.id.clone()).collect();
    assert_eq!(
        ids,
        log.iter().map(|event| event.id.to_string()).collect::<Vec<_>>(),
        "resumed without gap or repetition"
    );
    Ok(())
}

/// One upgrade with changed values: two operators, and pods that are kept for a second.
#[tokio::test]
async fn an_upgrade_and_the_leaders_death_harm_no_session() -> Result<()> {
    let tenant = Tenant::alone("upgrade").await?;
    let before = tenant.installed.values().await?;
    counting(&tenant, "counts").await?;
    let mut values = before.clone();
    values["operator"] = json!({ "replicas": 2 });
    values["sessions"] = json!({ "podRetention": "1s" });
    values["gateway"] = json!({ "resources": { "requests": { "cpu": "51m" } } });
    tenant.installed.upgrade(&values).await?;
    assert_eq!(phase(&tenant.sessions().get("counts").await?), Phase::Running);

    let leases: Api<Lease> = Api::namespaced(tenant.client.clone(), NAMESPACE);
    let holder =
        |lease: Option<&Lease>| lease.and_then(|lease| lease.spec.clone()?.holder_identity).unwrap_or_default();
    let operators: Vec<String> = pods_of(&tenant, "operator").await?.iter().map(ResourceExt::name_any).collect();
    let lease = until(&leases, "drover-operator", |lease| operators.contains(&holder(lease))).await?;
    let leader = holder(lease.as_ref());
    of_drover(&tenant).delete(&leader, &DeleteParams::default().grace_period(0)).await?;
    tenant.touch("counts", "go").await?;
    let taken = until(&leases, "drover-operator", |lease| !["", &leader].contains(&holder(lease).as_str()));
    tokio::time::timeout(TAKE_OVER, taken).await.context("nobody took over")??;
    let ended =
        tokio::time::timeout(TAKE_OVER, tenant.ended("counts")).await.context("the successor did nothing")??;
    let outcome = tenant.until("counts", |session| session.annotations().contains_key(annotation::OUTCOME)).await?;
    assert_eq!(outcome.status, ended.status);
    tenant.until_no_pods().await?;
    is_whole(&tenant, "counts").await?;

    tenant.installed.upgrade(&before).await
}

#[tokio::test]
async fn uninstalling_takes_no_session_away() -> Result<()> {
    let tenant = Tenant::alone("uninstall").await?;
    tenant.run("before", json!({ "prompt": "echo last; echo 0 > count", "artifacts": ["count"] })).await?;
    let values = tenant.installed.values().await?;
    tenant.installed.helm(&["uninstall", "drover", "--wait", "--timeout=2m"], None).await?;

    let crds: Api<CustomResourceDefinition> = Api::all(tenant.client.clone());
    assert!(crds.get_opt("sessions.drover.dev").await?.is_some(), "the definition stays");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(tenant.client.clone(), NAMESPACE);
    assert!(claims.get_opt("drover-store").await?.is_some(), "logs and artifacts stay");
    assert_eq!(phase(&tenant.sessions().get("before").await?), Phase::Succeeded);
    assert!(pods_of(&tenant, "operator").await?.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()));

    tenant.create("during", json!({ "prompt": "true" })).await?;
    tenant.installed.upgrade(&values).await?;
    tokio::time::timeout(PATIENCE, is_whole(&tenant, "before")).await??;
    assert_eq!(phase(&tenant.ended("during").await?), Phase::Succeeded, "what was asked for meanwhile is done");
    Ok(())
}
