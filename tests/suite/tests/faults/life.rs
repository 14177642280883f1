//! Lives without faults.

use anyhow::Result;
use drover_api::{names::condition, state::Phase, state::Reason};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{World, phase},
};

#[tokio::test]
async fn a_session_succeeds() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("life").await?;
    let session = world.ended("life").await?;
    let status = session.status.clone().unwrap_or_default();
    assert_eq!((status.phase, status.reason), (Phase::Succeeded, Some(Reason::Completed)));
    assert_eq!(status.exit_code, Some(0));
    assert_eq!(status.artifacts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["out/hello.txt"]);
    let is_true = |type_: &str| status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
    assert!(is_true(condition::COMPLETE) && is_true(condition::ACCEPTED) && is_true(condition::ARTIFACTS_STORED));
    assert!(!is_true(condition::STALLED));
    world.reclaimed("life").await?;
    operator.stop().await
}

/// The budget of writes: until the end is recorded the pod, two of the status and the finalizer; at reclaim two.
#[tokio::test]
async fn a_life_has_few_writes_and_then_none() -> Result<()> {
    let world = World::at_speed(vec![Script::default()], 1).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("budget").await?;
    world.ended("budget").await?;
    world.reclaimed("budget").await?;
    let writes = operator.faults.writes();
    let count = |verb: &str, what: &str| {
        writes.iter().filter(|write| write.starts_with(verb) && write.split('/').any(|part| part == what)).count()
    };
    assert_eq!(count("POST", "pods"), 1, "{writes:#?}");
    assert!((1..=2).contains(&count("PATCH", "status")), "{writes:#?}");
    assert_eq!(count("PATCH", "pods"), 1, "{writes:#?}");
    assert_eq!(count("PATCH", "sessions") - count("PATCH", "status"), 1, "{writes:#?}");
    assert_eq!(count("DELETE", "pods"), 1, "{writes:#?}");
    world.time.advance(std::time::Duration::from_secs(24 * 3600));
    operator.stop().await?;
    let again = world.operator("one", Fault::None).await?;
    world.session("sentinel").await?;
    world.ended("sentinel").await?;
    let about_the_old = again.faults.writes().into_iter().filter(|write| write.contains("budget")).count();
    assert_eq!(about_the_old, 0, "a restart with nothing to do writes nothing");
    Ok(())
}

#[tokio::test]
async fn an_exit_code_fails_it() -> Result<()> {
    let world = World::new(Script { exit_code: 3, reason: "Error", ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("fails").await?;
    let status = world.ended("fails").await?.status.unwrap_or_default();
    assert_eq!((status.phase, status.reason, status.exit_code), (Phase::Failed, Some(Reason::NonZeroExit), Some(3)));
    assert!(status.conditions.iter().any(|c| c.type_ == condition::STALLED && c.status == "True"));
    world.reclaimed("fails").await
}

#[tokio::test]
async fn an_unknown_framework_names_the_known_ones_and_runs_once_it_is_known() -> Result<()> {
    let world = World::new(Script::default()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session_of("unknown", "nosuch").await?;
    let stalled = world
        .until("unknown", |s| s.status.as_ref().is_some_and(|s| s.reason == Some(Reason::UnknownFramework)))
        .await?;
    let message = stalled.status.clone().and_then(|s| s.message).unwrap_or_default();
    assert!(message.contains("shell"), "{message}");
    assert_eq!(phase(&stalled), Phase::Pending);
    assert!(world.runner_pods().await?.is_empty());
    world.frameworks(&[("shell", "{image: s, command: [a]}"), ("nosuch", "{image: s, command: [a]}")]).await?;
    let ended = world.ended("unknown").await?;
    assert_eq!(phase(&ended), Phase::Succeeded);
    Ok(())
}

#[tokio::test]
async fn a_restored_session_does_not_run_again() -> Result<()> {
    let world = World::new(Script::default()).await?;
    world.session("restored").await?;
    let outcome = r#"{"phase":"Succeeded","reason":"Completed","finishedAt":"2026-01-01T00:00:00Z"}"#;
    let patch = serde_json::json!({ "metadata": { "annotations": { "drover.dev/outcome": outcome } } });
    world.sessions().patch("restored", &Default::default(), &kube::api::Patch::Merge(patch)).await?;
    let _operator = world.operator("one", Fault::None).await?;
    let session = world.ended("restored").await?;
    assert_eq!(phase(&session), Phase::Succeeded);
    assert_eq!(session.status.and_then(|s| s.attempt), None);
    assert!(world.runner_pods().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_deleted_session_leaves_nothing() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("deleted").await?;
    world.until("deleted", |s| phase(s) == Phase::Running).await?;
    world.sessions().delete("deleted", &Default::default()).await?;
    world.until_pods(<[_]>::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn a_namesake_runs_anew() -> Result<()> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let operator = world.operator("one", Fault::None).await?;
    world.session("namesake").await?;
    world.until("namesake", |s| phase(s) == Phase::Running).await?;
    operator.kill().await;
    world.sessions().delete("namesake", &Default::default()).await?;
    let second = world.session("namesake").await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.until("namesake", |s| s.metadata.uid == second.metadata.uid && phase(s) == Phase::Running).await?;
    world.until_pods(|pods| pods.len() == 1).await?;
    Ok(())
}
