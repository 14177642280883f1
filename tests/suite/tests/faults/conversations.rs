//! Conversations: every message once and in its order, whatever happens to operator and pod.

use std::time::Duration;

use anyhow::{Result, ensure};
use drover_api::state::{Phase, Reason};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{World, phase},
};
use serde_json::json;

fn interactive() -> serde_json::Value {
    json!({ "prompt": "true", "interactive": true })
}

fn delivered(world: &World) -> Vec<String> {
    world.kubelet.deliveries().into_iter().map(|delivery| delivery.message).collect()
}

async fn until_turns(world: &World, turns: usize) -> Result<drover_api::Session> {
    let done = |s: &drover_api::Session| s.status.as_ref().is_some_and(|s| s.consumed.len() == turns);
    world.until("talk", |s| done(s) && phase(s) == Phase::Waiting).await
}

#[tokio::test]
async fn a_burst_is_dealt_with_in_its_order() -> Result<()> {
    let world = World::new(Script::talks()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session_with("talk", interactive()).await?;
    let ids: Vec<String> = (0..30).map(|number| format!("m{number}")).collect();
    let burst: Vec<_> = ids.iter().map(|id| json!({ "id": id, "text": "go on" })).collect();
    world.change("talk", json!({ "messages": burst })).await?;
    let session = until_turns(&world, 31).await?;
    let status = session.status.unwrap_or_default();
    ensure!(status.turns.len() == 20 && status.turns[19].message == "m29", "{:?}", status.turns);
    ensure!(delivered(&world)[1..] == ids, "{:?}", delivered(&world));
    Ok(())
}

#[tokio::test]
async fn messages_come_through_while_the_operator_is_down_and_while_suspended() -> Result<()> {
    let world = World::new(Script::talks()).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session_with("talk", interactive()).await?;
    until_turns(&world, 1).await?;
    operator.kill().await;
    world.say("talk", "one").await?;
    world.say("talk", "two").await?;
    let _operator = world.operator("one", Fault::None).await?;
    until_turns(&world, 3).await?;
    world.change("talk", json!({ "suspend": {} })).await?;
    world.until("talk", |s| phase(s) == Phase::Suspended).await?;
    world.say("talk", "three").await?;
    world.change("talk", json!({ "suspend": null })).await?;
    let session = until_turns(&world, 4).await?;
    ensure!(session.status.and_then(|s| s.attempt) == Some(2));
    ensure!(delivered(&world) == ["prompt", "one", "two", "three"], "{:?}", delivered(&world));
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_removed_and_added_again_is_not_dealt_with_again() -> Result<()> {
    let world = World::new(Script::talks()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session_with("talk", interactive()).await?;
    world.change("talk", json!({ "messages": [{ "id": "one", "text": "go on" }] })).await?;
    until_turns(&world, 2).await?;
    world.change("talk", json!({ "messages": null })).await?;
    world
        .change("talk", json!({ "messages": [{ "id": "one", "text": "again" }, { "id": "two", "text": "go on" }] }))
        .await?;
    until_turns(&world, 3).await?;
    ensure!(delivered(&world) == ["prompt", "one", "two"], "{:?}", delivered(&world));
    Ok(())
}

#[tokio::test]
async fn an_idle_conversation_is_suspended_and_wakes_with_a_message_and_ends_in_the_end() -> Result<()> {
    let world = World::at_speed(vec![Script::talks()], 1).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let idle = json!({ "suspendAfter": "1h", "deleteAfter": "24h" });
    world.session_with("talk", json!({ "prompt": "true", "interactive": true, "idle": idle })).await?;
    until_turns(&world, 1).await?;
    world.time.advance(Duration::from_secs(3600));
    world.until("talk", |s| s.status.as_ref().is_some_and(|s| s.phase == Phase::Suspended)).await?;
    world.say("talk", "wake").await?;
    // Its agent waits since a time that is long ago for the world's clock, so that it is soon suspended again.
    let awake = world.until("talk", |s| s.status.as_ref().is_some_and(|s| s.consumed.len() == 2)).await?;
    ensure!(awake.status.and_then(|s| s.attempt) == Some(2));
    world.time.advance(Duration::from_secs(24 * 3600));
    let status = world.ended("talk").await?.status.unwrap_or_default();
    ensure!((status.phase, status.reason) == (Phase::Succeeded, Some(Reason::IdleExpired)), "{status:?}");
    world.reclaimed("talk").await
}

#[tokio::test]
async fn a_waiting_conversation_writes_nothing_and_neither_does_a_restart() -> Result<()> {
    let world = World::at_speed(vec![Script::talks()], 1).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session_with("talk", interactive()).await?;
    until_turns(&world, 1).await?;
    operator.stop().await?;
    let again = world.operator("one", Fault::None).await?;
    world.time.advance(Duration::from_secs(600));
    world.session_with("sentinel", json!({ "prompt": "true" })).await?;
    world.until("sentinel", |s| phase(s).is_finished()).await?;
    let about = again.faults.writes().into_iter().filter(|write| write.contains("talk")).collect::<Vec<_>>();
    ensure!(about.is_empty(), "{about:?}");
    Ok(())
}

#[tokio::test]
async fn the_same_manifest_again_changes_nothing() -> Result<()> {
    let world = World::new(Script::talks()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let manifest = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session", "metadata": { "name": "talk" }, "spec": interactive(),
    });
    let apply = || async {
        let params = kube::api::PatchParams::apply("git");
        anyhow::Ok(world.sessions().patch("talk", &params, &kube::api::Patch::Apply(&manifest)).await?)
    };
    apply().await?;
    until_turns(&world, 1).await?;
    world.say("talk", "one").await?;
    let before = until_turns(&world, 2).await?;
    let after = apply().await?;
    ensure!(before.metadata.resource_version == after.metadata.resource_version, "{before:#?} {after:#?}");
    ensure!(after.spec.messages.len() == 1, "the message belongs to somebody else");
    Ok(())
}
