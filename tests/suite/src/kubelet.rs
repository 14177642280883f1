//! A kubelet simulated in the test process: it binds runner pods to a node that is not there and plays their lives.

use std::sync::Arc;

use anyhow::Result;
use drover_api::{
    names::{annotation, container, label},
    report::{Artifact, Report},
};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the agents of this kubelet do.
#[derive(Clone, Debug)]
pub struct Script {
    /// The agent's exit code.
    pub exit_code: i32,
    /// The kubelet's reason for the agent's end.
    pub reason: &'static str,
    /// The broker's last report; none when it is lost.
    pub report: Option<Report>,
    /// The agent runs until it is told to end, or its pod is deleted.
    pub endless: bool,
    /// The pod never starts.
    pub stuck: bool,
}

impl Default for Script {
    fn default() -> Self {
        let artifact = Artifact {
            name: "out/hello.txt".to_owned(),
            size: 6,
            sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".to_owned(),
        };
        let report = Report { sequence: 1, last: true, artifacts: vec![artifact], problems: Vec::new() };
        Self { exit_code: 0, reason: "Completed", report: Some(report), endless: false, stuck: false }
    }
}

/// A running kubelet; dropped, it ends.
pub struct Kubelet {
    task: tokio::task::JoinHandle<()>,
    end: Arc<Notify>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Starts a kubelet for the runner pods of one namespace.
    #[must_use]
    pub fn start(client: &Client, namespace: &str, script: Script) -> Self {
        let end = Arc::new(Notify::new());
        let node = Node { pods: Api::namespaced(client.clone(), namespace), script, end: end.clone() };
        Self { task: tokio::spawn(node.run()), end }
    }

    /// Ends the agents that run endlessly.
    pub fn end_agents(&self) {
        self.end.notify_waiters();
        self.end.notify_one();
    }
}

/// How many pods it looks after at a time, and how soon it tries again what did not work.
const AT_ONCE: usize = 8;
const RETRY: std::time::Duration = std::time::Duration::from_millis(50);

struct Node {
    pods: Api<Pod>,
    script: Script,
    end: Arc<Notify>,
}

impl Node {
    async fn run(self) {
        let watch = watcher(self.pods.clone(), watcher::Config::default().labels(label::SESSION)).default_backoff();
        // A pod's next step follows from what it is now, so that this kubelet may start at any time.
        watch
            .applied_objects()
            .for_each_concurrent(AT_ONCE, |pod| {
                let node = &self;
                async move {
                    match pod {
                        Ok(pod) => node.advance(&pod).await,
                        Err(error) => tracing::debug!(%error, "the simulated kubelet's watch failed; it goes on"),
                    }
                }
            })
            .await;
    }

    /// Takes a pod's next step, again and again until it works, or the pod is another by now.
    async fn advance(&self, pod: &Pod) {
        while let Err(error) = self.step(pod).await {
            tracing::debug!(%error, pod = pod.name_any(), "the simulated kubelet's step did not work; it is tried again");
            tokio::time::sleep(RETRY).await;
            let now = self.pods.get_opt(&pod.name_any()).await;
            if now.is_ok_and(|now| now.and_then(|now| now.resource_version()) != pod.resource_version()) {
                return;
            }
        }
    }

    async fn step(&self, pod: &Pod) -> Result<()> {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let deleting = pod.metadata.deletion_timestamp.is_some();
        match (phase, bound, deleting) {
            (_, false, true) => Ok(()),
            ("Succeeded" | "Failed", true, true) => self.delete(pod).await,
            ("Succeeded" | "Failed", _, false) => Ok(()),
            (_, _, true) => self.stop(pod).await,
            (_, false, false) if self.script.stuck => Ok(()),
            (_, false, false) => self.bind(pod).await,
            ("Pending", true, false) => self.status(pod, &running()).await,
            _ => self.finish(pod).await,
        }
    }

    async fn bind(&self, pod: &Pod) -> Result<()> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod.name_any() },
            "target": { "apiVersion": "v1", "kind": "Node", "name": "simulated" },
        });
        let params = PostParams::default();
        let _: Value = self.pods.create_subresource("binding", &pod.name_any(), &params, &binding).await?;
        Ok(())
    }

    async fn finish(&self, pod: &Pod) -> Result<()> {
        if self.script.endless {
            self.end.notified().await;
        }
        if let Some(report) = &self.script.report {
            let annotations = json!({ annotation::REPORT: serde_json::to_string(report)? });
            self.patch(pod, &json!({ "metadata": { "annotations": annotations } })).await?;
        }
        self.status(pod, &ended(self.script.exit_code, self.script.reason)).await
    }

    /// A pod that is deleted while it runs: its agent is killed.
    async fn stop(&self, pod: &Pod) -> Result<()> {
        self.status(pod, &ended(143, "Error")).await
    }

    async fn delete(&self, pod: &Pod) -> Result<()> {
        self.pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    async fn status(&self, pod: &Pod, status: &Value) -> Result<()> {
        self.patch(pod, &json!({ "status": status })).await
    }

    async fn patch(&self, pod: &Pod, patch: &Value) -> Result<()> {
        self.pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }
}

fn running() -> Value {
    let state = json!({ "running": { "startedAt": jiff::Timestamp::now() } });
    pod_status("Running", &state, &state)
}

fn ended(exit_code: i32, reason: &str) -> Value {
    let now = jiff::Timestamp::now();
    let state =
        json!({ "terminated": { "exitCode": exit_code, "reason": reason, "startedAt": now, "finishedAt": now } });
    pod_status(if exit_code == 0 { "Succeeded" } else { "Failed" }, &state, &state)
}

fn pod_status(phase: &str, agent: &Value, broker: &Value) -> Value {
    let status = |name: &str, state: &Value| json!({ "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state });
    json!({
        "phase": phase,
        "containerStatuses": [status(container::AGENT, agent)],
        "initContainerStatuses": [status(container::BROKER, broker)],
    })
}
