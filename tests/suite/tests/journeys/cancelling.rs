//! Sessions that nobody wants any more.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drover_api::{
    Session,
    names::container,
    state::{Phase, Reason},
};
use drover_suite::installed::{Role, Tenant, said, until};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// What a cancelled agent has, from the request to its death.
const LIMIT: Duration = Duration::from_secs(5);
/// What a busy machine may take longer to show it.
const SLACK: Duration = Duration::from_secs(5);

fn agent_ended(pod: Option<&Pod>) -> bool {
    let statuses = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    let agent = statuses.and_then(|statuses| statuses.iter().find(|status| status.name == container::AGENT));
    agent.is_some_and(|agent| agent.state.as_ref().is_some_and(|state| state.terminated.is_some()))
}

/// One that does not want to go, and has left a child that does not want to either.
#[tokio::test]
async fn a_cancelled_agent_is_dead_within_seconds() -> Result<()> {
    let tenant = Tenant::new("cancel").await?;
    let edit = tenant.user(Role::Edit).await?;
    let script = "
        trap '' TERM INT HUP
        echo half > half
        (while :; do echo child; sleep 0.1; done) &
        while :; do echo tick; sleep 0.1; done";
    tenant.create("unwanted", json!({ "prompt": script, "artifacts": ["half"] })).await?;
    tenant.running("unwanted").await?;
    tenant.heard("unwanted", "tick", None).await?;
    let pod = tenant.pod_name("unwanted").await?;

    let (asked, at) = (Instant::now(), Timestamp::now());
    let patch = Patch::Merge(json!({ "spec": { "cancel": { "by": edit.name } } }));
    let sessions: Api<Session> = Api::namespaced(edit.client.clone(), &tenant.namespace);
    sessions.patch("unwanted", &PatchParams::default(), &patch).await?;
    until(&tenant.pods(), &pod, agent_ended).await?;
    let known = asked.elapsed();
    let status = tenant.ended("unwanted").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Cancelled, Some(Reason::CancelRequested)), "{status:?}");
    assert_eq!(status.message, Some(format!("The Session was cancelled by {}.", edit.name)));
    assert_eq!(status.artifacts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["half"], "what was made is kept");

    let log = tenant.log("unwanted").await?;
    let last = log.iter().rev().find(|event| ["tick", "child"].contains(&event.text.as_str())).context("no tick")?;
    let lived = Duration::try_from(last.time.parse::<Timestamp>()?.duration_since(at)).unwrap_or_default();
    println!("cancelled → the agent's last sign of life: {lived:?}; → its end known to the API server: {known:?}");
    assert!(lived <= LIMIT + SLACK, "the agent lived for {lived:?}");
    tenant.until_no_pods_run().await
}

#[tokio::test]
async fn a_session_is_cancelled_before_its_agent_ran() -> Result<()> {
    let tenant = Tenant::new("cancel").await?;
    let spec = json!({ "prompt": "echo never", "pod": { "nodeSelector": { "example.com/disk": "none-has-this" } } });
    tenant.create("early", spec).await?;
    tenant.stands("early", Phase::Pending, Reason::Unschedulable).await?;
    tenant.change("early", json!({ "cancel": {} })).await?;
    let status = tenant.ended("early").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Cancelled, Some(Reason::CancelRequested)), "{status:?}");
    assert_eq!(status.message.as_deref(), Some("The Session was cancelled before its agent ran."));
    assert_eq!((status.exit_code, status.started_at), (None, None));
    Ok(())
}

/// Cancelled in the middle of a conversation that is suspended: there is no agent to stop.
#[tokio::test]
async fn a_suspended_session_is_cancelled() -> Result<()> {
    let tenant = Tenant::new("cancel").await?;
    tenant.create("asleep", json!({ "prompt": "echo first", "interactive": true })).await?;
    tenant.dealt_with("asleep", "prompt").await?;
    tenant.change("asleep", json!({ "suspend": {} })).await?;
    tenant.stands("asleep", Phase::Suspended, Reason::SuspendRequested).await?;
    tenant.change("asleep", json!({ "cancel": {} })).await?;
    let status = tenant.ended("asleep").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Cancelled, Some(Reason::CancelRequested)), "{status:?}");
    assert_eq!(status.attempt, Some(1));
    assert_eq!(said(&tenant.log("asleep").await?), ["first"]);
    Ok(())
}
