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
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
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

/// A Session whose status is `status`, and the answer to a change of its prompt.
async fn change_prompt(status: Option<Value>) -> Result<Result<(), String>> {
    let client = api_server::client().await?;
    let namespace = api_server::namespace(&client, "crds").await?;
    let api = sessions(&client, &namespace);
    let made = api.create(&PostParams::default(), &session(&spec(json!({})))).await?;
    let name = made.metadata.name.clone().unwrap_or_default();
    if let Some(status) = status {
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    }
    let change = Patch::Merge(json!({ "spec": { "prompt": "false" } }));
    let answer = api.patch(&name, &PatchParams::default(), &change).await;
    Ok(answer.map(drop).map_err(|error| error.to_string()))
}

fn condition(type_: &str, status: &str) -> Value {
    json!({ "type": type_, "status": status, "reason": "Row", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" })
}

const FIXED: &str =
    "spec cannot be changed once the Session was accepted: create a Session with another name to run something else";

#[tokio::test]
async fn a_spec_is_fixed_from_the_start() -> Result<()> {
    let before_seen = change_prompt(None).await?.expect_err("refused");
    assert!(before_seen.contains(FIXED), "{before_seen}");
    let accepted = json!({ "phase": "Running", "conditions": [condition("Accepted", "True")] });
    let running = change_prompt(Some(accepted)).await?.expect_err("refused");
    assert!(running.contains(FIXED), "{running}");
    let finished = json!({ "phase": "Failed", "conditions": [condition("Accepted", "False")] });
    let finished = change_prompt(Some(finished)).await?.expect_err("refused");
    assert!(finished.contains(FIXED), "{finished}");
    Ok(())
}

#[tokio::test]
async fn what_was_not_accepted_can_be_mended() -> Result<()> {
    let refused = json!({ "phase": "Pending", "conditions": [condition("Accepted", "False")] });
    assert_eq!(change_prompt(Some(refused)).await?, Ok(()));
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
