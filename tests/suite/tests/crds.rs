//! The schemas and CEL rules on a real API server: what is accepted, and the very words of what is refused.

use anyhow::Result;
use drover_suite::api_server;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

fn sessions(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("drover.dev", "v1alpha1", "Session");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

fn session(spec: &Value) -> DynamicObject {
    let manifest = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": { "generateName": "row-" }, "spec": spec,
    });
    serde_json::from_value(manifest).expect("a manifest")
}

/// A spec with the prompt that all need, and more.
fn spec(more: Value) -> Value {
    let mut spec = json!({ "prompt": "true" });
    spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    spec
}

#[tokio::test]
async fn accepted() -> Result<()> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let rows = [
        json!({}),
        json!({ "prompt": "x".repeat(32768) }),
        json!({ "framework": "claude-code", "timeout": "1h30m" }),
        json!({ "timeout": "1s" }),
        json!({ "timeout": "744h" }),
        json!({ "artifacts": ["out/*.txt", "**/*.log", "{a,b}/c..d"] }),
        json!({ "pod": { "resources": { "requests": { "cpu": 1 }, "limits": { "memory": "2Gi", "cpu": "500m" } } } }),
        json!({ "pod": { "resources": { "limits": { "memory": 4_294_967_296_i64 } } } }),
        json!({ "pod": { "env": [{ "name": "A", "value": "$(HOME)" }, { "name": "_b2" }] } }),
        json!({ "messages": (0..64).map(|n| json!({ "id": format!("m{n}"), "text": "x".repeat(8192), "by": "ann" })).collect::<Vec<_>>() }),
        json!({ "interactive": true, "idle": { "suspendAfter": "10m", "deleteAfter": "24h" } }),
        json!({ "idle": { "deleteAfter": "24h" }, "suspend": {}, "cancel": { "by": "ann" } }),
        json!({ "retry": { "limit": 10, "backoff": "1m" }, "ttlAfterFinished": "168h" }),
        json!({ "workspace": { "emptyDir": { "sizeLimit": "2Gi" } } }),
        json!({ "workspace": { "emptyDir": {} } }),
        json!({ "workspace": { "claim": { "size": 1_073_741_824, "storageClassName": "fast" } } }),
        json!({ "pod": { "nodeSelector": { "disk": "ssd" }, "tolerations": [{ "key": "gpu", "operator": "Exists" }] } }),
    ];
    for row in rows {
        let made = sessions(&client, &namespace).create(&PostParams::default(), &session(&spec(row.clone()))).await;
        assert!(made.is_ok(), "{row}: {made:?}");
        let kept = serde_json::to_value(made?)?;
        assert!(serde_json::from_value::<drover_api::Session>(kept).is_ok(), "{row} is accepted and cannot be read");
    }
    Ok(())
}

#[tokio::test]
async fn refused() -> Result<()> {
    let duration = "must be a duration from 1s to 744h in hours, minutes and seconds, for instance 1h30m or 90s";
    let paths = "artifacts are paths beneath the working directory: write them without a leading / and without ..";
    let rows = [
        (json!({ "prompt": "" }), "spec.prompt in body should be at least 1 chars long"),
        (json!({ "prompt": "x".repeat(32769) }), "spec.prompt: Too long: may not be more than 32768 bytes"),
        (json!({ "framework": "Shell" }), "spec.framework in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"),
        (json!({ "timeout": "0s" }), duration),
        (json!({ "timeout": "745h" }), duration),
        (json!({ "timeout": "10" }), duration),
        (json!({ "timeout": "1.5h" }), duration),
        (json!({ "timeout": "" }), duration),
        (json!({ "timeout": "-1h" }), duration),
        (json!({ "artifacts": ["/etc/passwd"] }), paths),
        (json!({ "artifacts": ["out/../../etc"] }), paths),
        (json!({ "artifacts": [".."] }), paths),
        (json!({ "artifacts": ["a", "a"] }), "spec.artifacts[1]: Duplicate value: \"a\""),
        (json!({ "artifacts": [""] }), "spec.artifacts[0] in body should be at least 1 chars long"),
        (
            json!({ "pod": { "env": [{ "name": "DROVER_X", "value": "1" }] } }),
            "names that begin with DROVER_ belong to Drover: choose another name",
        ),
        (
            json!({ "pod": { "env": [{ "name": "1A" }] } }),
            "spec.pod.env[0].name in body should match '^[A-Za-z_][A-Za-z0-9_]*$'",
        ),
        (
            json!({ "pod": { "env": [{ "name": "A" }, { "name": "A" }] } }),
            "spec.pod.env[1]: Duplicate value: {\"name\":\"A\"}",
        ),
        (
            json!({ "pod": { "env": (0..9).map(|n| json!({ "name": format!("A{n}"), "value": "x".repeat(4096) })).collect::<Vec<_>>() } }),
            "the values of env may have at most 32768 characters in all",
        ),
        (
            json!({ "pod": { "resources": { "limits": { "memory": "much" } } } }),
            "spec.pod.resources.limits.memory in body should match",
        ),
    ];
    all_refused(&rows).await
}

#[tokio::test]
async fn refused_in_a_conversation() -> Result<()> {
    let rows = [
        (
            json!({ "messages": [{ "id": "a", "text": "" }] }),
            "spec.messages[0].text in body should be at least 1 chars long",
        ),
        (json!({ "messages": [{ "id": "A", "text": "x" }] }), "spec.messages[0].id in body should match"),
        (
            json!({ "messages": [{ "id": "prompt", "text": "x" }] }),
            "the id prompt belongs to spec.prompt: choose another id",
        ),
        (
            json!({ "messages": [{ "id": "a", "text": "x" }, { "id": "a", "text": "y" }] }),
            "spec.messages[1]: Duplicate value",
        ),
        (json!({ "messages": [{ "id": "a", "text": "x".repeat(8193) }] }), "spec.messages[0].text: Too long"),
        (
            json!({ "messages": (0..65).map(|n| json!({ "id": format!("m{n}"), "text": "x" })).collect::<Vec<_>>() }),
            "spec.messages: Too many: 65: must have at most 64 items",
        ),
        (
            json!({ "idle": { "suspendAfter": "1h", "deleteAfter": "1h" } }),
            "idle.suspendAfter must be shorter than idle.deleteAfter",
        ),
        (json!({ "retry": { "limit": 11 } }), "spec.retry.limit in body should be less than or equal to 10"),
        (json!({ "retry": {} }), "spec.retry.limit: Required value"),
        (json!({ "workspace": {} }), "workspace is either emptyDir or claim: write exactly one of them"),
        (
            json!({ "workspace": { "emptyDir": {}, "claim": { "size": "1Gi" } } }),
            "workspace is either emptyDir or claim: write exactly one of them",
        ),
        (json!({ "workspace": { "claim": { "size": "much" } } }), "spec.workspace.claim.size in body should match"),
    ];
    all_refused(&rows).await
}

async fn all_refused(rows: &[(Value, &str)]) -> Result<()> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    for (row, message) in rows {
        let answer = sessions(&client, &namespace).create(&PostParams::default(), &session(&spec(row.clone()))).await;
        let text = answer.expect_err("refused").to_string();
        assert!(text.contains(message), "{row}:\n  wanted {message}\n  got    {text}");
    }
    Ok(())
}

#[tokio::test]
async fn unknown_fields_are_refused_by_strict_clients() -> Result<()> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let mut params = PatchParams::apply("row");
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    let manifest = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": { "name": "strict" }, "spec": { "prompt": "true", "promt": "x" },
    });
    let answer = sessions(&client, &namespace).patch("strict", &params, &Patch::Apply(manifest)).await;
    let text = answer.expect_err("refused").to_string();
    assert!(
        text.contains("unknown field \"spec.promt\"") || text.contains(".spec.promt: field not declared in schema"),
        "{text}"
    );
    Ok(())
}

/// The answer to a change of the spec of a Session whose status is `status`.
async fn change(status: Option<Value>, before: Value, change: Value) -> Result<Result<(), String>> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let api = sessions(&client, &namespace);
    let made = api.create(&PostParams::default(), &session(&spec(before))).await?;
    let name = made.metadata.name.clone().unwrap_or_default();
    if let Some(status) = status {
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    }
    let answer = api.patch(&name, &PatchParams::default(), &Patch::Merge(json!({ "spec": change }))).await;
    Ok(answer.map(drop).map_err(|error| error.to_string()))
}

fn condition(type_: &str, status: &str) -> Value {
    json!({ "type": type_, "status": status, "reason": "Row", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" })
}

fn in_phase(phase: &str, accepted: &str) -> Value {
    json!({ "phase": phase, "conditions": [condition("Accepted", accepted)] })
}

/// The status of a Session whose framework was taken away between two of its attempts.
fn ran_before() -> Value {
    let mut status = in_phase("Pending", "False");
    status["attempt"] = json!(1);
    status
}

const FIXED: &str = "of a Session's spec only messages, interactive, idle, suspend, cancel and ttlAfterFinished can be changed once it was accepted: create a Session with another name to run something else";
const ENDED: &str =
    "the Session has ended and its spec cannot be changed: create a Session with another name to run something else";

#[tokio::test]
async fn what_was_asked_is_fixed_from_the_start() -> Result<()> {
    let message = |text: &str| json!([{ "id": "a", "text": text }]);
    let rows = [
        (None, json!({}), json!({ "prompt": "false" }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "prompt": "false" }), FIXED),
        (Some(in_phase("Suspended", "True")), json!({}), json!({ "framework": "other" }), FIXED),
        (Some(ran_before()), json!({}), json!({ "framework": "other" }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "timeout": "1h" }), FIXED),
        (Some(in_phase("Running", "True")), json!({ "timeout": "1h" }), json!({ "timeout": null }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "retry": { "limit": 1 } }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "workspace": { "emptyDir": {} } }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "artifacts": ["a"] }), FIXED),
        (Some(in_phase("Running", "True")), json!({}), json!({ "pod": { "env": [{ "name": "A" }] } }), FIXED),
        (Some(in_phase("Failed", "False")), json!({}), json!({ "prompt": "false" }), ENDED),
        (Some(in_phase("Succeeded", "True")), json!({}), json!({ "messages": message("x") }), ENDED),
        (Some(in_phase("Cancelled", "True")), json!({ "cancel": {} }), json!({ "ttlAfterFinished": "1h" }), ENDED),
        (
            None,
            json!({ "messages": message("x") }),
            json!({ "messages": message("y") }),
            "a message cannot be changed: add another one with an id of its own",
        ),
        (None, json!({ "cancel": {} }), json!({ "cancel": null }), "cancel cannot be taken back"),
        (None, json!({ "cancel": {} }), json!({ "cancel": { "by": "ann" } }), "cancel cannot be changed"),
        (
            None,
            json!({ "suspend": {} }),
            json!({ "suspend": { "by": "ann" } }),
            "suspend cannot be changed: remove it to resume the Session",
        ),
    ];
    for (status, before, patch, message) in rows {
        let text = change(status.clone(), before.clone(), patch.clone()).await?.expect_err("refused");
        assert!(text.contains(message), "{status:?} {before} {patch}:\n  wanted {message}\n  got    {text}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_said_meanwhile_can_be_changed() -> Result<()> {
    let message = json!([{ "id": "a", "text": "x" }]);
    let rows = [
        (Some(in_phase("Pending", "False")), json!({}), json!({ "prompt": "false", "retry": { "limit": 1 } })),
        (None, json!({}), json!({ "messages": message.clone() })),
        (Some(in_phase("Waiting", "True")), json!({ "messages": message.clone() }), json!({ "messages": null })),
        (Some(in_phase("Running", "True")), json!({}), json!({ "suspend": {}, "interactive": true })),
        (Some(in_phase("Suspended", "True")), json!({ "suspend": {} }), json!({ "suspend": null })),
        (Some(in_phase("Running", "True")), json!({}), json!({ "cancel": { "by": "ann" } })),
        (
            Some(in_phase("Running", "True")),
            json!({}),
            json!({ "ttlAfterFinished": "1h", "idle": { "suspendAfter": "1h" } }),
        ),
    ];
    for (status, before, patch) in rows {
        let answer = change(status.clone(), before.clone(), patch.clone()).await?;
        assert_eq!(answer, Ok(()), "{status:?} {before} {patch}");
    }
    Ok(())
}

#[tokio::test]
async fn a_new_session_is_not_taken_for_a_settled_one() -> Result<()> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let api = sessions(&client, &namespace);
    let made = api.create(&PostParams::default(), &session(&spec(json!({})))).await?;
    let read = api.get(made.metadata.name.as_deref().unwrap_or_default()).await?;
    assert_eq!(read.data["status"], json!({ "observedGeneration": -1, "phase": "Pending" }));
    assert_eq!(read.data["spec"]["framework"], "shell");
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused() -> Result<()> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let mut long = session(&spec(json!({})));
    long.metadata.generate_name = None;
    long.metadata.name = Some("a".repeat(64));
    let text =
        sessions(&client, &namespace).create(&PostParams::default(), &long).await.expect_err("refused").to_string();
    assert!(
        text.contains("metadata.name must have at most 63 characters, because it becomes a label of the pod"),
        "{text}"
    );
    Ok(())
}
