//! What is stored for a Session goes when nobody keeps it any more.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drover_api::{Session, names::annotation};
use drover_suite::installed::{NAMESPACE, PATIENCE, Port, Role, Tenant, until};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{AttachParams, DeleteParams, PostParams},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

/// A pod that sees the gateway's claim.
struct Store {
    pods: Api<Pod>,
    name: String,
}

impl Store {
    async fn open(tenant: &Tenant) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), NAMESPACE);
        let name = format!("look-{}", tenant.namespace);
        let container = json!({
            "name": "look",
            "image": "drover.local/drover-shell:dev",
            "imagePullPolicy": "Never",
            "command": ["/bin/sleep", "600"],
            "volumeMounts": [{ "name": "store", "mountPath": "/store", "readOnly": true }],
            "securityContext": {
                "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 65532,
                "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
            },
        });
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
                "volumes": [{ "name": "store", "persistentVolumeClaim": { "claimName": "drover-store" } }],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        let phase = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.clone()?.phase).unwrap_or_default();
        until(&pods, &name, |pod| phase(pod) == "Running").await?;
        Ok(Self { pods, name })
    }

    /// The files that are stored for a Session.
    async fn files(&self, session: &Session) -> Result<Vec<String>> {
        let folder = format!("{}/{}", session.namespace().context("no namespace")?, session.uid().context("no uid")?);
        let script = format!("cd /store && find . -type f -path '*{folder}/*'");
        let params = AttachParams::default().container("look").stderr(false);
        let mut process = self.pods.exec(&self.name, ["/bin/sh", "-c", &script], &params).await?;
        let mut found = String::new();
        process.stdout().context("no output")?.read_to_string(&mut found).await?;
        let status = process.take_status().context("no status")?.await;
        ensure!(status.as_ref().is_some_and(|s| s.status.as_deref() == Some("Success")), "{status:?}");
        Ok(found.lines().map(ToOwned::to_owned).collect())
    }

    /// Waits until the files of a Session are as `wanted` says, and returns them.
    async fn until(&self, session: &Session, wanted: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
        let mut files = Vec::new();
        let so = async {
            loop {
                files = self.files(session).await?;
                if wanted(&files) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, so).await;
        in_time.with_context(|| format!("what is stored did not become what was wanted: {files:?}"))??;
        Ok(files)
    }

    async fn close(self) -> Result<()> {
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

fn spec() -> Value {
    json!({ "prompt": "echo hello | tee file", "interactive": true, "artifacts": ["file"] })
}

/// Ends a conversation, and waits until nothing but log and artifact is left of it.
async fn end(tenant: &Tenant, store: &Store, session: &Session) -> Result<Vec<String>> {
    let name = session.name_any();
    tenant.dealt_with(&name, "prompt").await?;
    store.until(session, |files| holds(files, "/checkpoints/")).await?;
    tenant.change(&name, json!({ "interactive": false })).await?;
    tenant.ended(&name).await?;
    let stored = store.until(session, |files| !holds(files, "/checkpoints/")).await?;
    assert!(holds(&stored, "/logs/") && holds(&stored, "/artifacts/"), "{stored:?}");
    Ok(stored)
}

fn holds(files: &[String], folder: &str) -> bool {
    files.iter().any(|file| file.contains(folder))
}

#[tokio::test]
async fn what_is_stored_goes_with_the_time_to_live_and_with_the_session() -> Result<()> {
    let tenant = Tenant::new("store").await?;
    let store = Store::open(&tenant).await?;
    let kept = tenant.create("kept", spec()).await?;
    let stored = end(&tenant, &store, &kept).await?;

    let mut short = spec();
    short["ttlAfterFinished"] = json!("15s");
    let short = tenant.create("short", short).await?;
    end(&tenant, &store, &short).await?;
    store.until(&short, <[_]>::is_empty).await?;
    // Applied by somebody, so a GitOps tool would make it again: the object stays, and nothing else.
    let uid = short.uid();
    let noted = |session: &Session| session.annotations().contains_key(annotation::OUTCOME);
    assert_eq!(tenant.until("short", noted).await?.uid(), uid);
    let pod = tenant.pod_name("short").await?;
    until(&tenant.pods(), &pod, |pod| pod.is_none()).await?;
    let viewer = tenant.user(Role::View).await?;
    let path = format!("/api/v1/namespaces/{}/sessions/short/artifacts/file", tenant.namespace);
    let answer = tenant.gateway(Port::Api).await?.get(&path, Some(&viewer.token)).await?;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let told = answer.text().await?;
    assert!(told.contains("are kept for 15s after its end, as spec.ttlAfterFinished says"), "{told}");
    assert_eq!(store.files(&kept).await?, stored, "that of others stays");

    tenant.sessions().delete("kept", &DeleteParams::default()).await?;
    store.until(&kept, <[_]>::is_empty).await?;
    store.close().await
}
