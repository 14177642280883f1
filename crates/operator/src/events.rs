//! Kubernetes Events about Sessions: one when the reason of a Session changes, but for a pod that just takes its time
//! to start, which has events of its own. They are told on a best effort; the status is what counts.

use std::time::Duration;

use drover_api::{
    Session, SessionStatus,
    state::{Phase, Reason},
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;

/// How many events may wait to be written; what comes on top is dropped.
const WAITING: usize = 256;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes events and writes them when there is time.
pub(crate) struct Events(mpsc::Sender<(Event, ObjectReference)>);

impl Events {
    /// Starts the writer, which ends when this is dropped.
    pub(crate) fn start(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: "drover-operator".into(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(client, reporter);
        let (sender, mut receiver) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
        tokio::spawn(async move {
            while let Some((event, about)) = receiver.recv().await {
                match tokio::time::timeout(PATIENCE, recorder.publish(&event, &about)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "an event was not written"),
                    Err(_) => tracing::debug!("an event took too long to write"),
                }
            }
        });
        Self(sender)
    }

    /// Tells of a change of a Session's status.
    pub(crate) fn transition(&self, session: &Session, before: &SessionStatus, after: &SessionStatus) {
        let news = |reason: &Reason| before.reason != Some(*reason) && *reason != Reason::Starting;
        let Some(reason) = after.reason.filter(news) else { return };
        let failed = after.phase == Phase::Failed
            || after.conditions.iter().any(|c| c.type_ == drover_api::names::condition::STALLED);
        let type_ = if failed { EventType::Warning } else { EventType::Normal };
        self.tell(session.object_ref(&()), type_, &reason.to_string(), after.message.clone());
    }

    /// Tells what becomes of the agent of a Session that was deleted.
    pub(crate) fn deletion(&self, session: ObjectReference, reason: &str, note: String) {
        self.tell(session, EventType::Normal, reason, Some(note));
    }

    fn tell(&self, about: ObjectReference, type_: EventType, reason: &str, note: Option<String>) {
        let event = Event { type_, reason: reason.to_owned(), note, action: "Run".to_owned(), secondary: None };
        if self.0.try_send((event, about)).is_err() {
            tracing::debug!("too many events wait; one was dropped");
        }
    }
}
