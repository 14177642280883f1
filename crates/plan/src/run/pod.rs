//! What Drover keeps of a runner pod: a small copy of what decisions need.

use std::sync::Arc;

use drover_api::{
    names::{POD_FINALIZER, annotation, container, label},
    report::Report,
    runner::Termination,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A runner pod.
#[derive(Clone, Debug, PartialEq)]
pub struct RunnerPod {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its uid.
    pub uid: Arc<str>,
    /// The version that this copy was made from.
    pub resource_version: String,
    /// The Session that it runs, from its label.
    pub session: Arc<str>,
    /// The uid of that Session, from its label.
    pub session_uid: Arc<str>,
    /// Which attempt it is, from its label.
    pub attempt: u32,
    /// The hash of the part of the Session's spec that it was made from; empty when an older Drover made it.
    pub plan: Arc<str>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its deletion was asked for.
    pub deleting: bool,
    /// When that was.
    pub deletion_asked: Option<Timestamp>,
    /// How many seconds its containers have to end, once its deletion was asked for.
    pub grace: Option<i64>,
    /// Drover's finalizer is on it: its place among the finalizers.
    pub held: Option<usize>,
    /// The node it was given.
    pub node: Option<Arc<str>>,
    /// Why no node was found.
    pub unschedulable: Option<String>,
    /// What holds its containers up: a reason and a message of the kubelet.
    pub waiting: Option<(String, String)>,
    /// The kubelet says that nothing of it runs any more.
    pub terminal: bool,
    /// The pod's own reason and message, for instance of an eviction.
    pub failure: Option<(String, String)>,
    /// The state of the agent's container.
    pub agent: Agent,
    /// The broker's container ended.
    pub broker_ended: bool,
    /// Why the broker ended the agent, where it did.
    pub broker_said: Option<Termination>,
    /// Why the cluster takes the pod away, where it is the cluster that does: reason and message of its condition
    /// DisruptionTarget.
    pub disruption: Option<(String, String)>,
    /// The broker's last word.
    pub report: Option<Report>,
}

/// The state of the agent's container.
#[derive(Clone, Debug, PartialEq)]
pub enum Agent {
    /// Not started.
    Waiting,
    /// Running since.
    Running(Option<Timestamp>),
    /// Ended.
    Ended {
        /// Its exit code.
        exit_code: i32,
        /// The kubelet's reason, for instance `OOMKilled`.
        reason: String,
        /// The termination message.
        message: String,
        /// When it started.
        started_at: Option<Timestamp>,
        /// When it ended.
        finished_at: Option<Timestamp>,
    },
}

impl RunnerPod {
    /// Reads a pod; `None` when it is no runner pod, for want of Drover's labels.
    #[must_use]
    pub fn read(pod: &Pod) -> Option<Self> {
        let meta = &pod.metadata;
        let status = pod.status.as_ref();
        let agent = status.and_then(|s| container_status(s.container_statuses.as_deref(), container::AGENT));
        let broker = status.and_then(|s| container_status(s.init_container_statuses.as_deref(), container::BROKER));
        let phase = status.and_then(|s| s.phase.as_deref());
        Some(Self {
            name: meta.name.as_deref()?.into(),
            namespace: meta.namespace.as_deref()?.into(),
            uid: meta.uid.as_deref()?.into(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            session: label(meta, label::SESSION)?.into(),
            session_uid: label(meta, label::SESSION_UID)?.into(),
            attempt: label(meta, label::ATTEMPT)?.parse().ok()?,
            plan: annotation(meta, annotation::PLAN).unwrap_or_default().into(),
            created: meta.creation_timestamp.as_ref().map(|t| t.0),
            deleting: meta.deletion_timestamp.is_some(),
            deletion_asked: deletion_asked(meta),
            grace: meta.deletion_grace_period_seconds,
            held: meta.finalizers.iter().flatten().position(|f| f == POD_FINALIZER),
            node: pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).map(Into::into),
            unschedulable: status.and_then(unschedulable),
            waiting: status.and_then(waiting),
            terminal: matches!(phase, Some("Succeeded" | "Failed")),
            failure: status.and_then(|s| Some((s.reason.clone()?, s.message.clone().unwrap_or_default()))),
            agent: agent.map_or(Agent::Waiting, read_agent),
            broker_ended: broker.and_then(|b| b.state.as_ref()).is_some_and(|s| s.terminated.is_some()),
            broker_said: broker.and_then(|b| said(b.state.as_ref()).or_else(|| said(b.last_state.as_ref()))),
            disruption: status.and_then(disruption),
            report: annotation(meta, annotation::REPORT).and_then(|r| serde_json::from_str(r).ok()),
        })
    }

    /// Whether nothing of the pod runs, or ever will.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.terminal || (self.deleting && self.node.is_none())
    }

    /// Whether the agent may be running.
    #[must_use]
    pub fn may_run(&self) -> bool {
        !self.stopped() && !matches!(self.agent, Agent::Ended { .. })
    }
}

/// When the pod's deletion was asked for; `deletionTimestamp` is when its grace is over.
fn deletion_asked(meta: &ObjectMeta) -> Option<Timestamp> {
    let grace = SignedDuration::from_secs(meta.deletion_grace_period_seconds.unwrap_or_default());
    meta.deletion_timestamp.as_ref()?.0.checked_sub(grace).ok()
}

fn label<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(name).map(String::as_str)
}

fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

fn container_status<'a>(statuses: Option<&'a [ContainerStatus]>, name: &str) -> Option<&'a ContainerStatus> {
    statuses?.iter().find(|s| s.name == name)
}

/// The termination message of a container of Drover's own.
fn said(state: Option<&ContainerState>) -> Option<Termination> {
    serde_json::from_str(state?.terminated.as_ref()?.message.as_deref()?).ok()
}

fn disruption(status: &PodStatus) -> Option<(String, String)> {
    let condition = status.conditions.as_ref()?.iter().find(|c| c.type_ == "DisruptionTarget" && c.status == "True")?;
    Some((condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default()))
}

fn unschedulable(status: &PodStatus) -> Option<String> {
    let condition = status.conditions.as_ref()?.iter().find(|c| c.type_ == "PodScheduled")?;
    let no_node = condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable");
    no_node.then(|| condition.message.clone().unwrap_or_default())
}

/// The first container that waits for something else than its turn.
fn waiting(status: &PodStatus) -> Option<(String, String)> {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers
        .filter_map(|c| c.state.as_ref()?.waiting.as_ref())
        .filter_map(|w| Some((w.reason.clone()?, w.message.clone().unwrap_or_default())))
        .find(|(reason, _)| !matches!(reason.as_str(), "PodInitializing" | "ContainerCreating"))
}

fn read_agent(status: &ContainerStatus) -> Agent {
    match &status.state {
        Some(ContainerState { terminated: Some(end), .. }) => Agent::Ended {
            exit_code: end.exit_code,
            reason: end.reason.clone().unwrap_or_default(),
            message: end.message.clone().unwrap_or_default(),
            started_at: end.started_at.as_ref().map(|t| t.0),
            finished_at: end.finished_at.as_ref().map(|t| t.0),
        },
        Some(ContainerState { running: Some(running), .. }) => Agent::Running(running.started_at.as_ref().map(|t| t.0)),
        _ => Agent::Waiting,
    }
}

#[cfg(test)]
mod tests;
