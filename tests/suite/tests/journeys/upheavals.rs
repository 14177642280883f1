//! Drover is restarted, upgraded and taken away while Sessions run. Each of these journeys is alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drover_api::{
    log::Event,
    names::{annotation, container},
    state::{Phase, Reason},
};
use drover_suite::installed::{NAMESPACE, PATIENCE, Port, Role, Tenant, phase, said, turns, until};
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
    api::{DeleteParams, ListParams, Patch, PatchParams},
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

/// Kills the pods of a part of Drover.
async fn strike(tenant: &Tenant, component: &str) -> Result<()> {
    for pod in pods_of(tenant, component).await? {
        of_drover(tenant).delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}

/// Kills the pods of a part of Drover, and waits until others serve in their place.
async fn kill(tenant: &Tenant, component: &str) -> Result<()> {
    strike(tenant, component).await?;
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
    ensure!(status.attempt == Some(1), "it ran once: {status:?}");
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
    strike(&tenant, "operator").await?;
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

#[tokio::test]
async fn a_conversation_loses_no_message_when_drover_is_killed() -> Result<()> {
    let tenant = Tenant::alone("talk").await?;
    tenant.create("talk", json!({ "prompt": "echo prompt", "interactive": true })).await?;
    tenant.dealt_with("talk", "prompt").await?;
    strike(&tenant, "gateway").await?;
    tenant.say("talk", "one", "echo one").await?;
    tenant.say("talk", "two", "echo two").await?;
    tenant.dealt_with("talk", "two").await?;
    strike(&tenant, "operator").await?;
    tenant.say("talk", "three", "echo three").await?;
    tenant.dealt_with("talk", "three").await?;
    strike(&tenant, "operator").await?;
    let meanwhile = async {
        tenant.say("talk", "four", "echo four").await?;
        tenant.change("talk", json!({ "interactive": false })).await
    };
    tokio::try_join!(kill(&tenant, "gateway"), meanwhile)?;

    let ended = tenant.ended("talk").await?;
    assert_eq!(turns(&ended), ["prompt", "one", "two", "three", "four"].map(|id| (id, 1)), "each once, in one pod");
    assert_eq!(phase(&ended), Phase::Succeeded);
    let log = tenant.log("talk").await?;
    without_gaps(&log)?;
    assert_eq!(said(&log), ["prompt", "one", "two", "three", "four"]);
    Ok(())
}

async fn scale(tenant: &Tenant, component: &str, replicas: u32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(tenant.client.clone(), NAMESPACE);
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    deployments.patch_scale(&format!("drover-{component}"), &PatchParams::default(), &patch).await?;
    Ok(())
}

/// The agent's exit code, once it has ended.
fn exit_code(pod: &Pod) -> Option<i32> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let agent = statuses.iter().find(|status| status.name == container::AGENT)?;
    Some(agent.state.as_ref()?.terminated.as_ref()?.exit_code)
}

/// Takes the operator away while an agent runs, and waits for the agent's end.
async fn outlast(tenant: &Tenant, name: &str) -> Result<()> {
    scale(tenant, "operator", 0).await?;
    for pod in pods_of(tenant, "operator").await? {
        until(&of_drover(tenant), &pod.name_any(), |pod| pod.is_none()).await?;
    }
    let pod = tenant.pod_name(name).await?;
    let ended = until(&tenant.pods(), &pod, |pod| pod.is_some_and(|pod| exit_code(pod).is_some())).await?;
    ensure!(ended.as_ref().and_then(exit_code) == Some(124), "{ended:?}");
    ensure!(phase(&tenant.sessions().get(name).await?) == Phase::Running, "nobody was there to tell");
    Ok(())
}

#[tokio::test]
async fn the_time_is_up_while_no_operator_is_there() -> Result<()> {
    let tenant = Tenant::alone("timeout").await?;
    tenant.create("late", json!({ "prompt": "echo begun; while :; do sleep 60; done", "timeout": "8s" })).await?;
    tenant.running("late").await?;
    let outlasted = outlast(&tenant, "late").await;
    scale(&tenant, "operator", 1).await?;
    outlasted?;
    let status = tenant.ended("late").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::DeadlineExceeded)), "{status:?}");
    let took = status.finished_at.context("an end")?.0.duration_since(status.started_at.context("a start")?.0);
    assert!((8..=18).contains(&took.as_secs()), "it took {took}");
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
