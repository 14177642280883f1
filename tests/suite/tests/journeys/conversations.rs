//! Conversations: one message after the other, and what outlives the pod between two of them.

use anyhow::{Context, Result};
use drover_api::{
    Session,
    log::Event,
    names::condition,
    report::Usage,
    state::{Phase, Reason},
};
use drover_suite::installed::{Tenant, phase, said, turns};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams},
};
use serde_json::{Value, json};

use super::handing_back::without_gaps;

/// Leaves files of several kinds in workspace and home.
const BEGIN: &str = r#"
umask 007
mkdir -p deep/er
echo one > notes
echo hidden > deep/er/.file
ln -s ../notes deep/link
echo kept > "$HOME/diary"
echo first"#;

/// Says what it finds of them.
const LOOK: &str = r#"
cat notes deep/link deep/er/.file "$HOME/diary"
ls -l notes | cut -c1-10
echo "interrupted: ${DROVER_INTERRUPTED:-no}""#;

fn texts(events: &[Event], attempt: u32) -> Vec<&str> {
    events.iter().filter(|event| event.id.attempt == attempt).map(|event| event.text.as_str()).collect()
}

fn message(session: &Session) -> &str {
    session.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

/// Suspends a Session, and sees its pod go.
async fn suspend(tenant: &Tenant, name: &str) -> Result<Session> {
    tenant.change(name, json!({ "suspend": {} })).await?;
    let suspended = tenant.stands(name, Phase::Suspended, Reason::SuspendRequested).await?;
    let words = format!("kubectl drover resume {name} --namespace {}", tenant.namespace);
    assert!(message(&suspended).ends_with(&words), "{}", message(&suspended));
    tenant.until_no_pods().await?;
    Ok(suspended)
}

/// A conversation that is suspended in between; returns its log once its pods are gone, too.
async fn talk(tenant: &Tenant, workspace: Option<Value>) -> Result<Vec<Event>> {
    begin(tenant, workspace).await?;
    let pod = tenant.pod("talk").await?.uid();
    suspend(tenant, "talk").await?;
    tenant.say("talk", "fourth", LOOK).await?;
    tenant.change("talk", json!({ "suspend": null })).await?;
    tenant.dealt_with("talk", "fourth").await?;
    assert_ne!(tenant.pod("talk").await?.uid(), pod, "it goes on in a new pod");
    end(tenant).await?;

    tenant.pods().delete(&tenant.pod("talk").await?.name_any(), &DeleteParams::default()).await?;
    tenant.until_no_pods().await?;
    let log = tenant.log("talk").await?;
    without_gaps(&log)?;
    let found = ["one", "two", "three", "one", "two", "three", "hidden", "kept", "-rw-rw----", "interrupted: no"];
    assert_eq!(
        said(&log),
        [&["first", "second after one", "third after two"], found.as_slice(), &["fifth"]].concat(),
        "the log has both attempts, in order"
    );
    for line in ["turn prompt started", "turn prompt ended", "turn third ended"] {
        assert!(texts(&log, 1).contains(&line), "{log:?}");
    }
    assert!(texts(&log, 2).contains(&"turn fourth started"), "{log:?}");
    Ok(log)
}

/// Three turns in one pod.
async fn begin(tenant: &Tenant, workspace: Option<Value>) -> Result<()> {
    let mut spec = json!({ "prompt": BEGIN, "interactive": true });
    spec["workspace"] = workspace.unwrap_or_default();
    tenant.create("talk", spec).await?;
    let waiting = tenant.stands("talk", Phase::Waiting, Reason::AwaitingMessage).await?;
    assert!(message(&waiting).contains("kubectl drover message talk TEXT --namespace"), "{}", message(&waiting));
    let pod = tenant.pod("talk").await?.uid();
    tenant.say("talk", "second", "echo \"second after $(tail -n 1 notes)\"; echo two >> notes").await?;
    tenant.say("talk", "third", "echo \"third after $(tail -n 1 notes)\"; echo three >> notes").await?;
    tenant.dealt_with("talk", "third").await?;
    assert_eq!(tenant.pod("talk").await?.uid(), pod, "all of it is said to one agent's pod");
    Ok(())
}

/// What was dealt with is not delivered again, however its message comes and goes.
async fn end(tenant: &Tenant) -> Result<()> {
    tenant.unsay("talk", "second").await?;
    tenant.say("talk", "second", "echo again").await?;
    tenant.say("talk", "fifth", "echo fifth").await?;
    tenant.dealt_with("talk", "fifth").await?;
    tenant.change("talk", json!({ "interactive": false })).await?;
    let ended = tenant.ended("talk").await?;
    let expected = [("prompt", 1), ("second", 1), ("third", 1), ("fourth", 2), ("fifth", 2)];
    assert_eq!(turns(&ended), expected);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason, status.exit_code), (Phase::Succeeded, Some(Reason::Completed), Some(0)));
    assert_eq!(status.turns[1].result, "second after one");
    assert_eq!((status.failures, status.disruptions, status.consumed.len()), (0, 0, 5));
    Ok(())
}

const PUT_BACK: &str = "working directory and home of attempt 1 were put back";

#[tokio::test]
async fn a_conversation_survives_a_suspend() -> Result<()> {
    let tenant = Tenant::new("talk").await?;
    let log = Box::pin(talk(&tenant, None)).await?;
    assert!(texts(&log, 2).contains(&PUT_BACK), "{log:?}");
    let session = tenant.sessions().get("talk").await?;
    let kept = session.status.iter().flat_map(|status| &status.conditions);
    let incomplete: Vec<_> = kept.filter(|c| c.type_ == condition::WORKSPACE_KEPT && c.status != "True").collect();
    assert!(incomplete.is_empty(), "{incomplete:?}");
    Ok(())
}

#[tokio::test]
async fn a_conversation_on_a_claim_survives_a_suspend() -> Result<()> {
    let tenant = Tenant::new("talk").await?;
    let claim = json!({ "claim": { "size": "64Mi" } });
    let log = Box::pin(talk(&tenant, Some(claim))).await?;
    assert!(!texts(&log, 2).contains(&PUT_BACK), "there is nothing to put back: {log:?}");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let mut made = claims.list(&ListParams::default()).await?.items;
    assert_eq!(made.len(), 1, "one claim for both attempts");
    let claim = made.remove(0);
    let asked = claim.spec.as_ref().and_then(|spec| spec.resources.clone()?.requests?.remove("storage"));
    assert_eq!(asked.map(|quantity| quantity.0).as_deref(), Some("64Mi"));
    tenant.sessions().delete("talk", &DeleteParams::default()).await?;
    drover_suite::installed::until(&claims, &claim.name_any(), |claim| claim.is_none()).await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_stopped_in_mid_turn_is_told_so() -> Result<()> {
    let tenant = Tenant::new("mid-turn").await?;
    let script = "
        echo \"interrupted: ${DROVER_INTERRUPTED:-no}\"
        echo mark >> marks
        wc -l < marks
        echo ready
        while [ ! -e go ]; do sleep 0.2; done
        echo done";
    tenant.create("stopped", json!({ "prompt": script })).await?;
    tenant.running("stopped").await?;
    let ready = tenant.heard("stopped", "ready", None).await?;
    let suspended = suspend(&tenant, "stopped").await?;
    assert!(suspended.status.context("no status")?.interrupted);
    tenant.change("stopped", json!({ "suspend": null })).await?;
    tenant.heard("stopped", "ready", ready.as_deref()).await?;
    tenant.touch("stopped", "go").await?;

    let ended = tenant.ended("stopped").await?;
    assert_eq!(turns(&ended), [("prompt", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason, status.interrupted), (Phase::Succeeded, Some(Reason::Completed), false));
    let log = tenant.log("stopped").await?;
    let expected = ["interrupted: no", "1", "ready", "interrupted: true", "2", "ready", "done"];
    assert_eq!(said(&log), expected, "its work so far was kept");
    assert!(texts(&log, 1).iter().any(|text| text.starts_with("turn prompt was cut short: the agent ")), "{log:?}");
    assert!(texts(&log, 2).contains(&"turn prompt started again, because it was interrupted"), "{log:?}");
    Ok(())
}

/// A user's own agent, by the chart's values alone: it asks, remembers by its own id, and counts its tokens.
#[tokio::test]
async fn a_framework_of_ones_own_holds_a_conversation() -> Result<()> {
    let tenant = Tenant::new("scripted").await?;
    let prompt = "my colour is blue\nsay hello\nask Which file?";
    tenant.create("chat", json!({ "framework": "scripted", "prompt": prompt, "interactive": true })).await?;
    let asking = tenant.stands("chat", Phase::Waiting, Reason::AwaitingAnswer).await?;
    let words = "The agent asks: Which file? Answer with: kubectl drover message chat TEXT --namespace";
    assert!(message(&asking).starts_with(words), "{}", message(&asking));
    let question = asking.status.context("no status")?.question.context("no question")?;
    assert_eq!((question.text.as_str(), question.message.as_str()), ("Which file?", "prompt"));

    tenant.say("chat", "answer", "write notes.txt some words\nsay written").await?;
    let answered = tenant.dealt_with("chat", "answer").await?.status.context("no status")?;
    assert_eq!((answered.reason, answered.question), (Some(Reason::AwaitingMessage), None));

    // Its pod is evicted; whatever the agent remembers stands in its home.
    let pod = tenant.pod_name("chat").await?;
    tenant.pods().evict(&pod, &EvictParams::default()).await?;
    let goes_on = |session: &Session| session.status.as_ref().is_some_and(|status| status.attempt == Some(2));
    tenant.until("chat", |session| goes_on(session) && phase(session) == Phase::Waiting).await?;
    tenant.say("chat", "after", "recall\nread notes.txt\nenv DROVER_INTERRUPTED").await?;
    tenant.dealt_with("chat", "after").await?;
    tenant.change("chat", json!({ "interactive": false })).await?;
    let ended = tenant.ended("chat").await?;
    assert_eq!(turns(&ended), [("prompt", 1), ("answer", 1), ("after", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.disruptions, status.failures), (Phase::Succeeded, 1, 0));
    let usage = |input_tokens, output_tokens| Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
    };
    let told: Vec<_> = status.turns.iter().map(|turn| (turn.result.as_str(), turn.usage)).collect();
    let expected = [("hello", usage(1, 2)), ("written", usage(2, 1)), ("not set", usage(3, 3))];
    assert_eq!(told, expected.map(|(result, usage)| (result, Some(usage))));

    let log = tenant.log("chat").await?;
    without_gaps(&log)?;
    let recalled = "2 turns before: my colour is blue, write notes.txt some words";
    let lines = ["noted", "hello", "Which file?", "written", recalled, "some words", "not set"];
    assert_eq!(said(&log), lines, "it is resumed by its id");
    Ok(())
}

/// Without a moment to keep what it did: the turn is lost, its message is not, and no turn before it is.
#[tokio::test]
async fn a_pod_that_is_taken_away_by_force_costs_one_turn() -> Result<()> {
    let tenant = Tenant::new("force").await?;
    let second = "
        echo \"interrupted: ${DROVER_INTERRUPTED:-no}, with $(head -n 1 notes)\"
        echo ready
        [ \"$DROVER_INTERRUPTED\" = true ] || sleep 1000";
    let retry = json!({ "limit": 1, "backoff": "3s" });
    let spec = json!({ "prompt": "echo one > notes; echo first", "interactive": true, "retry": retry });
    tenant.create("robbed", spec).await?;
    tenant.dealt_with("robbed", "prompt").await?;
    tenant.say("robbed", "second", second).await?;
    tenant.heard("robbed", "ready", None).await?;
    let pod = tenant.pod_name("robbed").await?;
    tenant.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
    let retrying = tenant.stands("robbed", Phase::Pending, Reason::Retrying).await?;
    assert!(message(&retrying).starts_with("Attempt 1 ended (PodDeleted): "), "{}", message(&retrying));
    assert!(message(&retrying).ends_with("Attempt 2 follows."), "{}", message(&retrying));

    tenant.dealt_with("robbed", "second").await?;
    tenant.change("robbed", json!({ "interactive": false })).await?;
    let ended = tenant.ended("robbed").await?;
    assert_eq!(turns(&ended), [("prompt", 1), ("second", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.failures, status.disruptions), (Phase::Succeeded, 1, 0));
    let log = tenant.log("robbed").await?;
    let expected = ["first", "interrupted: no, with one", "ready", "interrupted: true, with one", "ready"];
    assert_eq!(said(&log), expected);
    Ok(())
}

/// An agent that nobody speaks to gives its place back, and later its conversation ends.
#[tokio::test]
async fn nobody_says_anything() -> Result<()> {
    let tenant = Tenant::new("idle").await?;
    let idle = json!({ "suspendAfter": "2s", "deleteAfter": "12s" });
    tenant.create("silent", json!({ "prompt": "echo first", "interactive": true, "idle": idle })).await?;
    let suspended = tenant.stands("silent", Phase::Suspended, Reason::Idle).await?;
    let words =
        format!("the next message goes on: kubectl drover message silent TEXT --namespace {}", tenant.namespace);
    assert!(message(&suspended).ends_with(&words), "{}", message(&suspended));
    tenant.until_no_pods().await?;
    tenant.say("silent", "second", "echo second").await?;
    let ended = tenant.ended("silent").await?;
    assert_eq!(turns(&ended), [("prompt", 1), ("second", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Succeeded, Some(Reason::IdleExpired)), "{status:?}");
    assert_eq!((status.failures, status.disruptions), (0, 0));
    assert_eq!(said(&tenant.log("silent").await?), ["first", "second"]);
    Ok(())
}

/// What does not fit in a checkpoint is named; all else is kept.
#[tokio::test]
async fn what_is_too_large_to_be_kept_is_told() -> Result<()> {
    let tenant = Tenant::new("large").await?;
    let script = "dd if=/dev/urandom of=huge bs=1M count=12 2>/dev/null; echo small > small; echo first";
    tenant.create("hoard", json!({ "prompt": script, "interactive": true })).await?;
    let waiting = tenant.dealt_with("hoard", "prompt").await?;
    let conditions = waiting.status.iter().flat_map(|status| &status.conditions);
    let kept = conditions.filter(|c| c.type_ == condition::WORKSPACE_KEPT).map(|c| (c.status.as_str(), &c.message));
    let kept: Vec<_> = kept.collect();
    assert!(matches!(kept[..], [("False", words)] if words.contains("huge")), "{kept:?}");
    suspend(&tenant, "hoard").await?;
    tenant.say("hoard", "look", "ls").await?;
    tenant.change("hoard", json!({ "suspend": null, "interactive": false })).await?;
    tenant.ended("hoard").await?;
    assert_eq!(said(&tenant.log("hoard").await?), ["first", "small"]);
    Ok(())
}
