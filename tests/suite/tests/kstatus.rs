//! What kstatus, which Flux and many others judge by, makes of a Session in each of its states.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use drover_api::{Session, state::Phase, state::Reason};
use drover_suite::{
    api_server,
    faults::Fault,
    kubelet::Script,
    world::{World, phase},
};
use serde_json::Value;

/// The status that kstatus' own library computes.
fn judge(session: &Session) -> Result<String> {
    let mut child = Command::new(api_server::tool("drover-cluster"))
        .arg("kstatus")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = serde_json::to_vec(session)?;
    child.stdin.take().context("a pipe")?.write_all(&input)?;
    let output = child.wait_with_output()?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    Ok(answer["status"].as_str().unwrap_or_default().to_owned())
}

fn reason(session: &Session) -> Option<Reason> {
    session.status.as_ref().and_then(|status| status.reason)
}

#[tokio::test]
async fn a_new_session_is_in_progress() -> Result<()> {
    let world = World::new(Script::default()).await?;
    world.session("new").await?;
    assert_eq!(judge(&world.sessions().get("new").await?)?, "InProgress");
    Ok(())
}

#[tokio::test]
async fn a_session_that_starts_or_runs_or_succeeded_is_current() -> Result<()> {
    let world = World::new(Script { stuck: true, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("starts").await?;
    assert_eq!(judge(&world.until("starts", |s| reason(s) == Some(Reason::Starting)).await?)?, "Current");
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("runs").await?;
    assert_eq!(judge(&world.until("runs", |s| phase(s) == Phase::Running).await?)?, "Current");
    world.kubelet.end_agents();
    assert_eq!(judge(&world.ended("runs").await?)?, "Current");
    Ok(())
}

#[tokio::test]
async fn a_session_that_waits_or_is_suspended_or_cancelled_is_current() -> Result<()> {
    let world = World::new(Script::talks()).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session_with("talks", serde_json::json!({ "prompt": "true", "interactive": true })).await?;
    assert_eq!(judge(&world.until("talks", |s| phase(s) == Phase::Waiting).await?)?, "Current");
    let said = world.say("talks", "more").await?.metadata.generation;
    let seen = |s: &Session| s.status.as_ref().and_then(|s| s.observed_generation) == said;
    assert_eq!(judge(&world.until("talks", seen).await?)?, "Current", "also with a message that is new");
    world.change("talks", serde_json::json!({ "suspend": {} })).await?;
    assert_eq!(judge(&world.until("talks", |s| phase(s) == Phase::Suspended).await?)?, "Current");
    world.change("talks", serde_json::json!({ "cancel": {} })).await?;
    assert_eq!(judge(&world.until("talks", |s| phase(s) == Phase::Cancelled).await?)?, "Current");
    Ok(())
}

#[tokio::test]
async fn a_failure_and_a_spec_that_needs_a_change_are_failed() -> Result<()> {
    let world = World::new(Script { exit_code: 1, ..Script::default() }).await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("fails").await?;
    assert_eq!(judge(&world.ended("fails").await?)?, "Failed");
    world.session_of("unknown", "nosuch").await?;
    assert_eq!(judge(&world.until("unknown", |s| reason(s) == Some(Reason::UnknownFramework)).await?)?, "Failed");
    Ok(())
}

#[tokio::test]
async fn a_registry_that_cannot_be_read_is_in_progress() -> Result<()> {
    let world = World::new(Script::default()).await?;
    world.no_frameworks().await?;
    let _operator = world.operator("one", Fault::None).await?;
    world.session("waits").await?;
    let waits = world.until("waits", |s| reason(s) == Some(Reason::FrameworksUnavailable)).await?;
    assert_eq!(judge(&waits)?, "InProgress");
    world.frameworks(&[("shell", "{image: s, command: [a]}")]).await?;
    assert_eq!(phase(&world.ended("waits").await?), Phase::Succeeded);
    Ok(())
}
