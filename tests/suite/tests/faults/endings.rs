//! Every ending that a node and the cluster can bring about, and what follows it.

use std::time::Duration;

use anyhow::{Result, ensure};
use drover_api::state::{Phase, Reason};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{START_TIMEOUT, World, phase},
};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch},
};
use serde_json::json;

/// How an attempt ends, and what becomes of a Session that allows one more attempt.
fn rows() -> Vec<(Script, Reason, Follows)> {
    vec![
        (exits(3), Reason::NonZeroExit, Follows::Retry),
        (said(127, "CommandNotFound"), Reason::CommandNotFound, Follows::Nothing),
        (said(124, "DeadlineExceeded"), Reason::DeadlineExceeded, Follows::Nothing),
        (said(137, "OutOfMemory"), Reason::OutOfMemory, Follows::Retry),
        (Script { reason: "OOMKilled", ..exits(137) }, Reason::OutOfMemory, Follows::Retry),
        (said(125, "BrokerLost"), Reason::BrokerLost, Follows::Retry),
        (said(125, "RestoreFailed"), Reason::RestoreFailed, Follows::Retry),
        (Script { broker_said: Some("ReportingLost"), ..exits(143) }, Reason::ReportingLost, Follows::Resumption),
        (Script { pod_reason: Some("Evicted"), ..exits(137) }, Reason::DiskExceeded, Follows::Retry),
        (disrupted("TerminationByKubelet"), Reason::Evicted, Follows::Resumption),
        (disrupted("EvictionByEvictionAPI"), Reason::Drained, Follows::Resumption),
        (disrupted("PreemptionByScheduler"), Reason::Preempted, Follows::Resumption),
        (disrupted("DeletionByTaintManager"), Reason::NodeLost, Follows::Resumption),
        (disrupted("DeletionByPodGC"), Reason::NodeLost, Follows::Resumption),
    ]
}

/// What follows an ending.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Follows {
    Nothing,
    Retry,
    Resumption,
}

fn exits(exit_code: i32) -> Script {
    Script { report: None, ..Script::exits(exit_code) }
}

fn said(exit_code: i32, reason: &'static str) -> Script {
    Script { said: Some(reason), ..exits(exit_code) }
}

fn disrupted(reason: &'static str) -> Script {
    Script { disruption: Some(reason), ..exits(143) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_is_told_and_followed_as_the_table_says() -> Result<()> {
    stream::iter(rows()).map(row).buffer_unordered(8).try_for_each(|()| async { Ok(()) }).await
}

async fn row((script, reason, follows): (Script, Reason, Follows)) -> Result<()> {
    let world = World::of_attempts(vec![script, Script::default()]).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("once").await?;
    world.session_with("again", json!({ "prompt": "true", "retry": { "limit": 1, "backoff": "1s" } })).await?;
    let once = world.ended("once").await?.status.unwrap_or_default();
    let again = world.ended("again").await?.status.unwrap_or_default();
    let second = (Phase::Succeeded, Some(Reason::Completed), Some(2));
    let first = (Phase::Failed, Some(reason), Some(1));
    let expected = match follows {
        Follows::Nothing => (first, first),
        Follows::Retry => (first, second),
        Follows::Resumption => (second, second),
    };
    let seen = [&once, &again].map(|status| (status.phase, status.reason, status.attempt));
    ensure!(seen == [expected.0, expected.1], "{reason}: {seen:?}");
    let told = again.transitions.iter().filter_map(|transition| transition.reason).collect::<Vec<_>>();
    match follows {
        Follows::Nothing => ensure!(once.failures == 0, "{reason}: {once:?}"),
        Follows::Retry => ensure!(again.failures == 1 && told.contains(&Reason::Retrying), "{reason}: {told:?}"),
        Follows::Resumption => {
            ensure!(
                (once.failures, once.disruptions) == (0, 1) && told.contains(&Reason::Disrupted),
                "{reason}: {told:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_nodes_session_goes_on_elsewhere_but_not_at_once() -> Result<()> {
    let lost = Script { lost: true, ..Script::endless() };
    let world = World::at_speed(vec![lost, Script::default()], 1).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("lost").await?;
    let running = world.until("lost", |s| phase(s) == Phase::Running).await?;
    let pod = running.status.and_then(|s| s.pod).map(|p| p.name).unwrap_or_default();
    let condition = json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
        "lastTransitionTime": jiff::Timestamp::now() }]);
    let patch = Patch::Merge(json!({ "status": { "conditions": condition } }));
    world.pods().patch_status(&pod, &Default::default(), &patch).await?;
    world.pods().delete(&pod, &DeleteParams::default()).await?;
    world.time.advance(Duration::from_secs(100));
    world.session("sentinel").await?;
    world.until("sentinel", |s| s.status.as_ref().is_some_and(|s| s.attempt.is_some())).await?;
    ensure!(world.until_pods(|_| true).await?.len() == 2, "one for each Session");
    world.time.advance(Duration::from_secs(60));
    let disrupted = |s: &drover_api::Session| s.status.as_ref().is_some_and(|s| s.disruptions == 1);
    world.until("lost", disrupted).await?;
    world.time.advance(Duration::from_secs(60));
    let status = world.ended("lost").await?.status.unwrap_or_default();
    ensure!((status.phase, status.attempt) == (Phase::Succeeded, Some(2)), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_disrupts_for_ever_is_given_up() -> Result<()> {
    let world = World::new(disrupted("EvictionByEvictionAPI")).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("unlucky").await?;
    for number in 1..=10 {
        world.until("unlucky", |s| s.status.as_ref().is_some_and(|s| s.disruptions == number)).await?;
        world.time.advance(Duration::from_secs(800));
    }
    let status = world.ended("unlucky").await?.status.unwrap_or_default();
    ensure!(
        (status.reason, status.disruptions, status.attempt) == (Some(Reason::TooManyDisruptions), 11, Some(11)),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_pod_that_no_node_takes_is_given_up() -> Result<()> {
    let world = World::new(Script { stuck: true, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("stuck").await?;
    let starting = world.until("stuck", |s| s.status.as_ref().is_some_and(|s| s.pod.is_some())).await?;
    let pod = starting.status.and_then(|s| s.pod).map(|p| p.name).unwrap_or_default();
    let condition = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.", "lastTransitionTime": jiff::Timestamp::now() }]);
    let patch = Patch::Merge(json!({ "status": { "conditions": condition } }));
    world.pods().patch_status(&pod, &Default::default(), &patch).await?;
    world.until("stuck", |s| s.status.as_ref().is_some_and(|s| s.reason == Some(Reason::Unschedulable))).await?;
    world.time.advance(START_TIMEOUT);
    let session = world.ended("stuck").await?;
    let status = session.status.clone().unwrap_or_default();
    ensure!((status.phase, status.reason) == (Phase::Failed, Some(Reason::Unschedulable)), "{status:?}");
    ensure!(status.message.unwrap_or_default().contains("Insufficient cpu"), "the scheduler's words are missing");
    world.reclaimed("stuck").await
}

#[tokio::test]
async fn a_pod_taken_away_by_force_is_followed_by_another_only_when_it_must_be_dead() -> Result<()> {
    let world = World::at_speed(vec![Script::endless(), Script::default()], 1).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session_with("forced", json!({ "prompt": "true", "retry": { "limit": 1, "backoff": "1s" } })).await?;
    let running = world.until("forced", |s| phase(s) == Phase::Running).await?;
    let pod = running.status.and_then(|s| s.pod).map(|p| p.name).unwrap_or_default();
    let none = json!({ "metadata": { "finalizers": null } });
    world.pods().patch(&pod, &Default::default(), &Patch::Merge(none)).await?;
    world.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
    let between = world.until("forced", |s| s.status.as_ref().is_some_and(|s| s.failures == 1)).await?;
    let next = between.status.and_then(|s| s.next_attempt_at).map(|t| t.0);
    ensure!(next >= Some(jiff::Timestamp::now() + Duration::from_secs(110)), "{next:?}");
    world.time.advance(Duration::from_secs(140));
    let session = world.ended("forced").await?;
    ensure!(phase(&session) == Phase::Succeeded && session.name_any() == "forced");
    Ok(())
}

#[tokio::test]
async fn a_deleted_sessions_end_is_an_event() -> Result<()> {
    let world = World::new(Script::endless()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("gone").await?;
    world.until("gone", |s| phase(s) == Phase::Running).await?;
    world.sessions().delete("gone", &DeleteParams::default()).await?;
    world.until_pods(<[_]>::is_empty).await?;
    world.until_events("gone", &["PodDeleted"]).await
}
