//! Watches that break or fall behind, and operators that meet.

use anyhow::Result;
use drover_api::state::{Phase, Reason};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{Running, SHORT_LEASE, World, phase},
};
use kube::{ResourceExt, api::DeleteParams};

#[tokio::test]
async fn watches_that_are_cut_come_back() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("cut").await?;
    world.until("cut", |s| phase(s) == Phase::Running).await?;
    operator.faults.cut_watches();
    world.kubelet.end_agents();
    let session = world.ended("cut").await?;
    assert_eq!(phase(&session), Phase::Succeeded);
    Ok(())
}

/// How many pods the operator tried to make, and how many endings it tried to record.
fn tries(operator: &Running) -> (usize, usize) {
    let writes = operator.faults.writes();
    let count = |start: &str, end: &str| writes.iter().filter(|w| w.starts_with(start) && w.ends_with(end)).count();
    (count("POST", "/pods"), count("PATCH", "/status"))
}

#[tokio::test]
async fn a_stale_cache_of_sessions_runs_nothing_twice() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("stale").await?;
    world.until("stale", |s| phase(s) == Phase::Running).await?;
    operator.faults.hold_watches(Some("sessions"));
    world.kubelet.end_agents();
    // Decided on a Session that has changed since: the write is refused, and planned again from what is read.
    let session = world.ended("stale").await?;
    assert_eq!((phase(&session), session.status.and_then(|s| s.attempt)), (Phase::Succeeded, Some(1)));
    world.until_pods(|pods| pods.len() == 1 && pods[0].metadata.finalizers.is_none()).await?;
    operator.faults.hold_watches(None);
    world.reclaimed("stale").await?;
    assert_eq!(tries(&operator).0, 1, "{:#?}", operator.faults.writes());
    Ok(())
}

#[tokio::test]
async fn a_stale_cache_of_pods_runs_nothing_twice() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("warm").await?;
    world.ended("warm").await?;
    operator.faults.hold_watches(Some("pods"));
    world.session("stale").await?;
    world
        .until_pods(|pods| pods.iter().filter(|pod| pod.labels()["drover.dev/session"] == "stale").count() == 1)
        .await?;
    // What the framework's change makes of every unfinished Session is decided without the pod's news.
    world.frameworks(&[("shell", "{image: other, command: [a]}")]).await?;
    operator.faults.hold_watches(None);
    let session = world.ended("stale").await?;
    assert_eq!(session.status.and_then(|s| s.attempt), Some(1));
    assert_eq!(tries(&operator).0, 2, "one for each Session: {:#?}", operator.faults.writes());
    Ok(())
}

#[tokio::test]
async fn a_pod_deleted_while_the_operator_is_down_is_recorded() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("deleted").await?;
    let running = world.until("deleted", |s| phase(s) == Phase::Running).await?;
    operator.kill().await;
    let pod = running.status.and_then(|s| s.pod).map(|p| p.name).unwrap_or_default();
    world.pods().delete(&pod, &DeleteParams::default()).await?;
    world
        .until_pods(|pods| pods.iter().all(|p| p.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Failed"))))
        .await?;
    let _operator = world.operator("one", Fault::None).await?;
    let status = world.ended("deleted").await?.status.unwrap_or_default();
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::PodDeleted)));
    world.reclaimed("deleted").await
}

#[tokio::test]
async fn a_pod_forced_away_while_the_operator_is_down_is_not_run_again() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("forced").await?;
    let running = world.until("forced", |s| phase(s) == Phase::Running).await?;
    operator.kill().await;
    let pod = running.status.and_then(|s| s.pod).map(|p| p.name).unwrap_or_default();
    let none = serde_json::json!({ "metadata": { "finalizers": null } });
    world.pods().patch(&pod, &Default::default(), &kube::api::Patch::Merge(none)).await?;
    world.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
    world.until_pods(<[_]>::is_empty).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let status = world.ended("forced").await?.status.unwrap_or_default();
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::PodDeleted)));
    Ok(())
}

#[tokio::test]
async fn of_two_operators_one_works_and_the_other_takes_over() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let first = world.operator_with_lease("one", Fault::None, SHORT_LEASE).await?;
    world.session("two").await?;
    world.until("two", |s| phase(s) == Phase::Running).await?;
    let second = world.operator_with_lease("two", Fault::None, SHORT_LEASE).await?;
    world.session("three").await?;
    world.until("three", |s| phase(s) == Phase::Running).await?;
    assert!(second.faults.writes().is_empty(), "who stands by writes nothing");
    first.kill().await;
    world.kubelet.end_agents();
    assert_eq!(phase(&world.ended("two").await?), Phase::Succeeded);
    world.reclaimed("two").await?;
    second.stop().await
}

#[tokio::test]
async fn an_operator_that_cannot_renew_its_lease_ends_and_another_goes_on() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let first = world.operator_with_lease("one", Fault::None, SHORT_LEASE).await?;
    world.session("overlap").await?;
    world.until("overlap", |s| phase(s) == Phase::Running).await?;
    let second = world.operator_with_lease("two", Fault::None, SHORT_LEASE).await?;
    first.faults.hold_leases();
    world.kubelet.end_agents();
    assert!(matches!(first.ends().await?, Err(drover_operator::Error::LeaseLost)));
    assert_eq!(phase(&world.ended("overlap").await?), Phase::Succeeded);
    world.reclaimed("overlap").await?;
    assert_eq!(tries(&second).0, 0, "the second made no pod");
    second.stop().await
}

#[tokio::test]
async fn an_operator_that_lost_its_lease_ends() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let first = world.operator_with_lease("one", Fault::None, SHORT_LEASE).await?;
    world.session("lost").await?;
    world.until("lost", |s| phase(s) == Phase::Running).await?;
    let stolen = serde_json::json!({ "spec": { "holderIdentity": "two", "leaseDurationSeconds": 1 } });
    let leases =
        kube::Api::<k8s_openapi::api::coordination::v1::Lease>::namespaced(world.client.clone(), &world.namespace);
    leases.patch("drover-operator", &Default::default(), &kube::api::Patch::Merge(stolen)).await?;
    assert!(matches!(first.ends().await?, Err(drover_operator::Error::LeaseLost)));
    let _second = world.operator_with_lease("two", Fault::None, SHORT_LEASE).await?;
    world.kubelet.end_agents();
    assert_eq!(phase(&world.ended("lost").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn the_gateways_certificate_is_made_again_and_a_new_authority_ends_the_operator() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("first").await?;
    world.ended("first").await?;
    let secrets = kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(world.client.clone(), &world.namespace);
    secrets.delete("drover-gateway-tls", &DeleteParams::default()).await?;
    kube::runtime::wait::await_condition(secrets.clone(), "drover-gateway-tls", |s: Option<&_>| s.is_some()).await?;
    secrets.delete("drover-ca", &DeleteParams::default()).await?;
    assert!(matches!(operator.ends().await?, Err(drover_operator::Error::AuthorityReplaced)));
    let _next = world.operator("one", Fault::None).await?;
    world.session("second").await?;
    assert_eq!(phase(&world.ended("second").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn a_lost_report_is_not_waited_for_without_end() -> Result<()> {
    let world = World::new(Script { report: None, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("unreported").await?;
    let status = world.ended("unreported").await?.status.unwrap_or_default();
    let stored = status.conditions.iter().find(|c| c.type_ == "ArtifactsStored").map(|c| c.status.as_str());
    assert_eq!((status.phase, stored), (Phase::Succeeded, Some("Unknown")));
    Ok(())
}
