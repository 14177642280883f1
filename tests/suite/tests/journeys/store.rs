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
use serde_json::json;
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

    async fn until_nothing_of(&self, session: &Session) -> Result<()> {
        let gone = async {
            while !self.files(session).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, gone).await.context("something of it is still stored")?
    }

    async fn close(self) -> Result<()> {
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// Two turns, so that there is a checkpoint beside log and artifact.
async fn run(tenant: &Tenant, name: &str, ttl: Option<&str>) -> Result<Session> {
    let mut spec = json!({
        "prompt": "echo hello | tee file",
        "messages": [{ "id": "more", "text": "echo more >> file" }],
        "artifacts": ["file"],
    });
    if let Some(ttl) = ttl {
        spec["ttlAfterFinished"] = json!(ttl);
    }
    tenant.run(name, spec).await
}

#[tokio::test]
async fn what_is_stored_goes_with_the_time_to_live_and_with_the_session() -> Result<()> {
    let tenant = Tenant::new("store").await?;
    let store = Store::open(&tenant).await?;
    let kept = run(&tenant, "kept", None).await?;
    let stored = store.files(&kept).await?;
    for folder in ["/logs/1/", "/artifacts/", "/checkpoints/"] {
        assert!(stored.iter().any(|file| file.contains(folder)), "{folder} is not in {stored:?}");
    }

    let short = run(&tenant, "short", Some("2s")).await?;
    store.until_nothing_of(&short).await?;
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
    assert!(told.contains("are kept for 2s after its end, as spec.ttlAfterFinished says"), "{told}");
    assert_eq!(store.files(&kept).await?, stored, "that of others stays");

    tenant.sessions().delete("kept", &DeleteParams::default()).await?;
    store.until_nothing_of(&kept).await?;
    store.close().await
}
