//! Agents that deal with messages, as broker and gateway let them: what was dealt with is kept from one attempt to the
//! next and told by reports.

use std::{
    collections::{HashMap, HashSet},
    sync::{MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use drover_api::{
    Session,
    names::{annotation, label},
    report::{MAX_TURNS, Report, Turn, Waiting},
    runner::PROMPT_ID,
    session::consumed_entry,
};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};

use super::{Node, Script, status};

/// A message that was given to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// In which attempt.
    pub attempt: u32,
    /// The message's id.
    pub message: String,
}

/// What the brokers of this node keep.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The turns of each Session by its uid, as a checkpoint keeps them.
    turns: HashMap<String, Vec<Turn>>,
    /// The pods, by their uids, whose agents converse.
    conversing: HashSet<String>,
    /// Everything that was delivered.
    pub(super) deliveries: Vec<Delivery>,
}

impl Node {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the agent of a pod converse, unless it does already.
    pub(super) async fn converse(&self, pod: &Pod) -> Result<()> {
        let uid = pod.uid().unwrap_or_default();
        if !self.memory().conversing.insert(uid.clone()) {
            return Ok(());
        }
        let ended = self.follow(pod).await;
        self.memory().conversing.remove(&uid);
        ended
    }

    /// Deals with the messages that are there, and waits for more if the Session is interactive.
    async fn follow(&self, pod: &Pod) -> Result<()> {
        let name = pod.labels().get(label::SESSION).context("the pod names no Session")?.clone();
        let sessions: Api<Session> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let changes = watcher(sessions, watcher::Config::default().fields(&format!("metadata.name={name}")))
            .default_backoff()
            .applied_objects();
        pin_mut!(changes);
        while let Some(session) = changes.next().await {
            let now = self.pods.get(&pod.name_any()).await?;
            if now.metadata.deletion_timestamp.is_some() || !is_running(&now) {
                return Ok(());
            }
            if self.answer(&now, &session?).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Deals with all messages; says whether the agent ended.
    async fn answer(&self, pod: &Pod, session: &Session) -> Result<bool> {
        let uid = session.uid().unwrap_or_default();
        let all = self.deal_with(pod, session, &uid);
        let consumed: Vec<_> = all.iter().map(|turn| consumed_entry(&turn.message)).collect();
        let turns = all[all.len().saturating_sub(MAX_TURNS)..].to_vec();
        let before: Option<Report> =
            pod.annotations().get(annotation::REPORT).and_then(|text| serde_json::from_str(text).ok());
        let sequence = before.as_ref().map_or(1, |report| report.sequence + 1);
        let Script { report, .. } = Script::default();
        if !session.spec.interactive {
            let report = Report { sequence, turns, consumed, ..report.unwrap_or_default() };
            self.report(pod, &report).await?;
            self.status(pod, &status::ended(&Script::default())).await?;
            return Ok(true);
        }
        let told = before.is_some_and(|report| report.consumed == consumed && report.waiting.is_some());
        if !told {
            let waiting = Some(Waiting { since: Time(jiff::Timestamp::now()), question: None });
            self.report(pod, &Report { sequence, turns, consumed, waiting, ..Report::default() }).await?;
        }
        Ok(false)
    }

    /// Gives every message that no agent has dealt with to this one.
    fn deal_with(&self, pod: &Pod, session: &Session, uid: &str) -> Vec<Turn> {
        let attempt = pod.labels().get(label::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
        let ids = std::iter::once(PROMPT_ID.to_owned()).chain(session.spec.messages.iter().map(|m| m.id.clone()));
        let mut memory = self.memory();
        for id in ids {
            let turns = memory.turns.entry(uid.to_owned()).or_default();
            if turns.iter().any(|turn| turn.message == id) {
                continue;
            }
            let now = Time(jiff::Timestamp::now());
            turns.push(Turn {
                message: id.clone(),
                attempt,
                started_at: now.clone(),
                finished_at: now,
                result: format!("dealt with {id}"),
                usage: None,
            });
            memory.deliveries.push(Delivery { attempt, message: id });
        }
        memory.turns[uid].clone()
    }
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}
