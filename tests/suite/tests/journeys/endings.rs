//! How runs end, one of each.

use std::pin::pin;

use anyhow::{Context, Result, bail, ensure};
use drover_api::{
    SessionStatus,
    state::{Phase, Reason},
};
use drover_suite::installed::{Tenant, said, until};
use futures::TryStreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};

async fn run(tenant: &Tenant, name: &str, spec: Value) -> Result<SessionStatus> {
    tenant.run(name, spec).await?.status.context("no status")
}

fn why(status: &SessionStatus) -> (Phase, Option<Reason>, Option<i32>) {
    (status.phase, status.reason, status.exit_code)
}

fn message(status: &SessionStatus) -> &str {
    status.message.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn another_exit_code_than_0() -> Result<()> {
    let tenant = Tenant::new("exit").await?;
    let status = run(&tenant, "fails", json!({ "prompt": "exit 3" })).await?;
    assert_eq!(why(&status), (Phase::Failed, Some(Reason::NonZeroExit), Some(3)));
    assert!(message(&status).starts_with("The agent ended with exit code 3."), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn the_time_is_up() -> Result<()> {
    let tenant = Tenant::new("timeout").await?;
    let script = "mkdir out; echo early > out/early; echo begun; trap '' TERM; while :; do sleep 60; done";
    let spec = json!({ "prompt": script, "timeout": "2s", "artifacts": ["out/*"] });
    let status = run(&tenant, "late", spec).await?;
    assert_eq!(why(&status), (Phase::Failed, Some(Reason::DeadlineExceeded), Some(124)));
    assert_eq!(status.artifacts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["out/early"]);
    let took = status.finished_at.context("an end")?.0.duration_since(status.started_at.context("a start")?.0);
    assert!((2..=12).contains(&took.as_secs()), "it took {took}");
    assert_eq!(said(&tenant.log("late").await?), ["begun"]);
    Ok(())
}

#[tokio::test]
async fn the_command_does_not_exist() -> Result<()> {
    let tenant = Tenant::new("missing").await?;
    let status = run(&tenant, "missing", json!({ "framework": "missing", "prompt": "hello" })).await?;
    assert_eq!(why(&status), (Phase::Failed, Some(Reason::CommandNotFound), Some(127)));
    assert!(message(&status).contains("the command /no/such does not exist in the image"), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn the_memory_is_used_up() -> Result<()> {
    let tenant = Tenant::new("memory").await?;
    let spec = json!({
        "prompt": "echo begun; dd if=/dev/zero of=/dev/null bs=256M count=1",
        "pod": { "resources": { "limits": { "memory": "48Mi" } } },
    });
    let status = run(&tenant, "greedy", spec).await?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::OutOfMemory)), "{status:?}");
    assert!(message(&status).contains("spec.pod.resources.limits.memory"), "{status:?}");
    Ok(())
}

/// The kernel may kill one process and leave the others alone, as it does on cgroup v1.
#[tokio::test]
async fn one_process_uses_the_memory_up() -> Result<()> {
    let tenant = Tenant::new("memory").await?;
    let spec = json!({
        "prompt": "echo begun; dd if=/dev/zero of=/dev/null bs=256M count=1; echo \"dd: $?\"; exit 3",
        "pod": { "resources": { "limits": { "memory": "48Mi" } } },
    });
    let status = run(&tenant, "outlives", spec).await?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::OutOfMemory)), "{status:?}");
    assert!(message(&status).contains("spec.pod.resources.limits.memory"), "{status:?}");
    let log = tenant.log("outlives").await?;
    match said(&log)[..] {
        ["begun"] => assert_eq!(status.exit_code, Some(137), "the whole container was killed"),
        ["begun", "Killed", "dd: 137"] => assert_eq!(status.exit_code, Some(3)),
        _ => bail!("{log:?}"),
    }
    Ok(())
}

/// Its own doing, unlike the eviction from a node that is short of something.
#[tokio::test]
async fn the_disk_is_used_up() -> Result<()> {
    let tenant = Tenant::new("disk").await?;
    let spec = json!({
        "prompt": "dd if=/dev/zero of=huge bs=1M count=24 2>/dev/null; echo written; sleep 1000",
        "workspace": { "emptyDir": { "sizeLimit": "8Mi" } },
    });
    tenant.create("hoards", spec).await?;
    tenant.heard("hoards", "written", None).await?;
    // The kubelet measures once a minute.
    let status = match tenant.ended("hoards").await {
        Ok(session) => session,
        Err(_) => tenant.ended("hoards").await?,
    };
    let status = status.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::DiskExceeded)), "{status:?}");
    assert_eq!((status.failures, status.disruptions), (1, 0));
    let words =
        "The pod was evicted for its use of disk: Usage of EmptyDir volume \"workspace\" exceeds the limit \"8Mi\"";
    assert!(message(&status).starts_with(words), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn a_prompt_can_be_an_argument() -> Result<()> {
    let tenant = Tenant::new("argument").await?;
    let prompt = "$(HOME) {promptFile} \"quoted\" `date`\nsecond line";
    let status = run(&tenant, "say", json!({ "framework": "say", "prompt": prompt })).await?;
    assert_eq!(why(&status), (Phase::Succeeded, Some(Reason::Completed), Some(0)));
    let expected = ["prompt: $(HOME) {promptFile} \"quoted\" `date`", "second line"];
    assert_eq!(said(&tenant.log("say").await?), expected, "the prompt arrives as it is");
    Ok(())
}

/// What the first event with this reason says.
async fn event(tenant: &Tenant, reason: &str) -> Result<String> {
    let events: Api<Event> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let selected = WatchParams::default().fields(&format!("reason={reason}")).timeout(60);
    let mut watch = pin!(events.watch(&selected, "0").await?);
    while let Some(happened) = watch.try_next().await? {
        if let WatchEvent::Added(event) = happened {
            return event.note.context("an event without words");
        }
    }
    bail!("there is no event {reason}")
}

#[tokio::test]
async fn the_session_is_deleted_while_it_runs() -> Result<()> {
    let tenant = Tenant::new("deleted").await?;
    tenant.create("unwanted", json!({ "prompt": "while :; do sleep 60; done" })).await?;
    tenant.running("unwanted").await?;
    tenant.sessions().delete("unwanted", &DeleteParams::default()).await?;
    until(&tenant.sessions(), "unwanted", |session| session.is_none()).await?;
    tenant.until_no_pods().await?;
    // Nobody is left to ask but the Event, which is told behind what it tells of.
    let note = event(&tenant, "PodDeleted").await?;
    assert!(note.starts_with("After the Session was deleted: "), "{note}");
    Ok(())
}

#[tokio::test]
async fn the_pod_is_deleted_while_it_runs() -> Result<()> {
    let tenant = Tenant::new("pod-gone").await?;
    let script = "echo begun; echo half > half; echo ready; while :; do sleep 60; done";
    tenant.create("disturbed", json!({ "prompt": script, "artifacts": ["half"] })).await?;
    tenant.running("disturbed").await?;
    let pod = tenant.pod("disturbed").await?.name_any();
    let user = tenant.user(drover_suite::installed::Role::View).await?;
    let gateway = tenant.gateway(drover_suite::installed::Port::Api).await?;
    gateway.follow(&tenant.namespace, "disturbed", &user.token, None).await?.up_to("ready").await?;

    tenant.pods().delete(&pod, &DeleteParams::default()).await?;
    let status = tenant.ended("disturbed").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::PodDeleted)), "{status:?}");
    assert_eq!(
        status.artifacts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(),
        ["half"],
        "what was there is kept"
    );
    let log = tenant.log("disturbed").await?;
    ensure!(said(&log) == ["begun", "ready"], "{log:?}");
    tenant.until_no_pods().await
}

#[tokio::test]
async fn the_pod_is_as_the_session_says() -> Result<()> {
    let tenant = Tenant::new("pod").await?;
    let toleration = json!({ "key": "example.com/agents", "operator": "Exists", "effect": "NoSchedule" });
    let spec = json!({
        "prompt": "echo \"$LITERAL|$TWICE|$HOME\"; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true",
        "pod": {
            "env": [{ "name": "LITERAL", "value": "$(HOME) $HOME" }, { "name": "TWICE", "value": "$$(HOME) $$" }],
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "tolerations": [toleration],
            "resources": { "requests": { "cpu": "20m", "memory": "24Mi" }, "limits": { "memory": "64Mi" } },
        },
    });
    let status = run(&tenant, "literal", spec).await?;
    assert_eq!(why(&status), (Phase::Succeeded, Some(Reason::Completed), Some(0)));
    let log = tenant.log("literal").await?;
    assert_eq!(said(&log), ["$(HOME) $HOME|$$(HOME) $$|/home/agent", "67108864"]);

    let pod = serde_json::to_value(tenant.pod("literal").await?)?;
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    assert!(pod["spec"]["tolerations"].as_array().context("tolerations")?.contains(&toleration));
    let agent = &pod["spec"]["containers"][0];
    assert_eq!(agent["resources"]["requests"], json!({ "cpu": "20m", "memory": "24Mi" }));
    assert_eq!(agent["resources"]["limits"], json!({ "memory": "64Mi" }));
    Ok(())
}
