//! A kubelet simulated in the test process: it binds runner pods to a node that is not there and plays their lives.

mod conversation;
mod status;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use drover_api::{
    names::{annotation, label},
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

pub use conversation::Delivery;
use conversation::Memory;

/// What the agent of one attempt does, and what becomes of its pod.
#[derive(Clone, Debug)]
pub struct Script {
    /// The agent's exit code.
    pub exit_code: i32,
    /// The kubelet's reason for the agent's end.
    pub reason: &'static str,
    /// What `exec` leaves as its termination message: a reason.
    pub said: Option<&'static str>,
    /// What the broker leaves as its own.
    pub broker_said: Option<&'static str>,
    /// The broker's last report; none when it is lost.
    pub report: Option<Report>,
    /// The agent runs until it is told to end, or its pod is deleted.
    pub endless: bool,
    /// The agent deals with the Session's messages, a turn each.
    pub talks: bool,
    /// The pod never gets a node.
    pub stuck: bool,
    /// The node does not answer once the pod runs: nothing that happens to the pod has an effect.
    pub lost: bool,
    /// The reason of the condition DisruptionTarget that the pod ends with.
    pub disruption: Option<&'static str>,
    /// The pod's own reason for its end.
    pub pod_reason: Option<&'static str>,
}

impl Default for Script {
    fn default() -> Self {
        let artifact = Artifact {
            name: "out/hello.txt".to_owned(),
            size: 6,
            sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".to_owned(),
        };
        let report = Report { sequence: 1, last: true, artifacts: vec![artifact], ..Report::default() };
        Self {
            exit_code: 0,
            reason: "Completed",
            said: None,
            broker_said: None,
            report: Some(report),
            endless: false,
            talks: false,
            stuck: false,
            lost: false,
            disruption: None,
            pod_reason: None,
        }
    }
}

impl Script {
    /// An agent that ends with this exit code.
    #[must_use]
    pub fn exits(exit_code: i32) -> Self {
        Self { exit_code, reason: "Error", ..Self::default() }
    }

    /// An agent that runs until its pod is deleted.
    #[must_use]
    pub fn endless() -> Self {
        Self { endless: true, ..Self::default() }
    }

    /// An agent that deals with the Session's messages.
    #[must_use]
    pub fn talks() -> Self {
        Self { talks: true, ..Self::default() }
    }
}

/// A running kubelet; dropped, it ends.
pub struct Kubelet {
    task: tokio::task::JoinHandle<()>,
    end: Arc<Notify>,
    memory: Arc<Mutex<Memory>>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Starts a kubelet for the runner pods of one namespace. The attempts follow the scripts in their order, and the
    /// last one again and again.
    #[must_use]
    pub fn start(client: &Client, namespace: &str, scripts: Vec<Script>) -> Self {
        let end = Arc::new(Notify::new());
        let memory = Arc::default();
        let node = Node {
            client: client.clone(),
            pods: Api::namespaced(client.clone(), namespace),
            scripts,
            end: end.clone(),
            memory: Arc::clone(&memory),
        };
        Self { task: tokio::spawn(node.run()), end, memory }
    }

    /// Ends the agents that run endlessly.
    pub fn end_agents(&self) {
        self.end.notify_waiters();
        self.end.notify_one();
    }

    /// What was given to agents so far, in its order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).deliveries.clone()
    }
}

/// How many pods it looks after at a time, and how soon it tries again what did not work.
const AT_ONCE: usize = 32;
const RETRY: std::time::Duration = std::time::Duration::from_millis(50);

struct Node {
    client: Client,
    pods: Api<Pod>,
    scripts: Vec<Script>,
    end: Arc<Notify>,
    memory: Arc<Mutex<Memory>>,
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

    fn script(&self, pod: &Pod) -> &Script {
        let attempt: usize = pod.labels().get(label::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
        &self.scripts[attempt.clamp(1, self.scripts.len()) - 1]
    }

    async fn step(&self, pod: &Pod) -> Result<()> {
        let script = self.script(pod);
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let deleting = pod.metadata.deletion_timestamp.is_some();
        match (phase, bound, deleting) {
            (_, false, true) => Ok(()),
            ("Running", _, _) if script.lost => Ok(()),
            ("Succeeded" | "Failed", true, true) => self.delete(pod).await,
            ("Succeeded" | "Failed", _, false) => Ok(()),
            (_, _, true) => self.stop(pod).await,
            (_, false, false) if script.stuck => Ok(()),
            (_, false, false) => self.bind(pod).await,
            ("Pending", true, false) => self.status(pod, &status::running()).await,
            _ => self.live(pod, script).await,
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

    /// The life of an agent from its start.
    async fn live(&self, pod: &Pod, script: &Script) -> Result<()> {
        if pod.annotations().contains_key(annotation::REPORT) && !script.talks {
            // This is news of its own report.
            return Ok(());
        }
        if script.talks {
            return self.converse(pod).await;
        }
        if script.endless {
            self.end.notified().await;
        }
        if let Some(report) = &script.report {
            self.report(pod, report).await?;
        }
        self.status(pod, &status::ended(script)).await
    }

    /// A pod that is deleted while it runs: its agent is killed.
    async fn stop(&self, pod: &Pod) -> Result<()> {
        self.status(pod, &status::ended(&Script::exits(143))).await
    }

    async fn delete(&self, pod: &Pod) -> Result<()> {
        self.pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    async fn report(&self, pod: &Pod, report: &Report) -> Result<()> {
        let annotations = json!({ annotation::REPORT: serde_json::to_string(report)? });
        self.patch(pod, &json!({ "metadata": { "annotations": annotations } })).await
    }

    async fn status(&self, pod: &Pod, status: &Value) -> Result<()> {
        self.patch(pod, &json!({ "status": status })).await
    }

    async fn patch(&self, pod: &Pod, patch: &Value) -> Result<()> {
        self.pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }
}
