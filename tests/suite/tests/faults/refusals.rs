//! What the API server refuses, and what others put in the way.

use anyhow::Result;
use drover_api::{
    Session,
    names::RUNNER_SERVICE_ACCOUNT,
    state::{Phase, Reason},
};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{World, phase},
};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn reason(session: &Session) -> Option<Reason> {
    session.status.as_ref().and_then(|status| status.reason)
}

fn object<K: DeserializeOwned>(manifest: Value) -> K {
    serde_json::from_value(manifest).expect("a manifest")
}

#[tokio::test]
async fn a_full_quota_holds_a_session_until_there_is_room() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client.clone(), &world.namespace);
    let quota = object(json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } }));
    quotas.create(&PostParams::default(), &quota).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("held").await?;
    let held = world.until("held", |s| reason(s) == Some(Reason::PodRefused)).await?;
    assert_eq!(phase(&held), Phase::Pending);
    let message = held.status.and_then(|s| s.message).unwrap_or_default();
    assert!(message.contains("quota"), "{message}");
    quotas.delete("none", &DeleteParams::default()).await?;
    assert_eq!(phase(&world.ended("held").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn a_service_account_that_was_deleted_is_made_again() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("before").await?;
    world.ended("before").await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &world.namespace);
    accounts.delete(RUNNER_SERVICE_ACCOUNT, &DeleteParams::default()).await?;
    world.session("after").await?;
    assert_eq!(phase(&world.ended("after").await?), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn a_pod_of_somebody_else_is_not_taken_for_drovers() -> Result<()> {
    let world = World::new(Script { stuck: true, ..Script::default() }).await?;
    let session = world.session("taken").await?;
    let name = drover_plan::build::pod_name(&session, 1);
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &world.namespace);
    let account = object(json!({ "metadata": { "name": "default" } }));
    // The controller of service accounts may have been faster.
    accounts.create(&PostParams::default(), &account).await.ok();
    let foreign: Pod =
        object(json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i" }] } }));
    world.pods().create(&PostParams::default(), &foreign).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let taken = world.ended("taken").await?;
    assert_eq!((phase(&taken), reason(&taken)), (Phase::Failed, Some(Reason::PodNameTaken)));
    let still = world.pods().get(&name).await?;
    assert!(still.metadata.deletion_timestamp.is_none() && still.metadata.finalizers.is_none());
    Ok(())
}

#[tokio::test]
async fn a_pod_that_can_never_be_accepted_fails_its_session() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let spec = json!({ "prompt": "true", "pod": { "tolerations": [{ "operator": "Sometimes" }] } });
    let session = object::<Session>(json!({ "metadata": { "name": "invalid" }, "spec": spec }));
    world.sessions().create(&PostParams::default(), &session).await?;
    let invalid = world.ended("invalid").await?;
    assert_eq!((phase(&invalid), reason(&invalid)), (Phase::Failed, Some(Reason::InvalidPod)));
    let message = invalid.status.and_then(|s| s.message).unwrap_or_default();
    assert!(message.contains("tolerations"), "{message}");
    world
        .until("invalid", |s| s.metadata.annotations.as_ref().is_some_and(|a| a.contains_key("drover.dev/outcome")))
        .await?;
    Ok(())
}
