//! What the agent is to deal with, from the Session itself: no text stands in the pod.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use drover_api::{
    Session,
    runner::{Conversation, MAX_WAIT_SECONDS, Message, PROMPT_ID},
};
use futures::StreamExt;
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
    core::PartialObjectMeta,
};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    app::Gateway,
    auth::pod::RunnerPod,
    problem::{Problem, chain},
};

/// The pause after a watch that ended before its time.
const PAUSE: Duration = Duration::from_secs(1);

/// Which conversation the caller has already, and how long it waits for another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversationQuery {
    /// The generation of the Session that the caller knows.
    after: Option<i64>,
    /// How many seconds to wait while it is the current one.
    #[serde(default)]
    wait: u64,
}

/// The conversation as it is now, or once the Session's generation is another than `after`, or after `wait`, whichever
/// comes first.
pub(super) async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: RunnerPod,
    query: Result<Query<ConversationQuery>, QueryRejection>,
) -> Result<Json<Conversation>, Problem> {
    let Query(ConversationQuery { after, wait }) =
        query.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let deadline = Instant::now() + Duration::from_secs(wait.min(MAX_WAIT_SECONDS));
    let mut session = read(&gateway, &caller).await?;
    while after.is_some() && session.metadata.generation == after {
        let change = tokio::time::timeout_at(deadline, change(&gateway, &session));
        match gateway.stopping.run_until_cancelled(change).await {
            Some(Ok(changed)) => changed?,
            Some(Err(_)) | None => break,
        }
        session = read(&gateway, &caller).await?;
    }
    Ok(Json(conversation(session)))
}

/// The Session that the pod runs, as it is now.
async fn read(gateway: &Gateway, caller: &RunnerPod) -> Result<Session, Problem> {
    let sessions = Api::<Session>::namespaced(gateway.client.clone(), &caller.namespace);
    let session = sessions.get_opt(&caller.session).await.map_err(|error| Problem::kubernetes(&error))?;
    session.filter(|session| session.metadata.uid.as_deref() == Some(caller.run.uid())).ok_or_else(|| {
        Problem::not_found(format!("the Session {} of this pod does not exist any more", caller.session))
    })
}

/// Waits until the Session may have another generation than the given one. It has to be read again then.
///
/// The watch tells metadata alone, so that the status that changes meanwhile costs little. It ends when this is
/// dropped, with the request.
async fn change(gateway: &Gateway, session: &Session) -> Result<(), Problem> {
    let (Some(name), Some(namespace)) = (&session.metadata.name, &session.metadata.namespace) else {
        return Err(Problem::not_found("the Session of this pod has no name"));
    };
    let sessions = Api::<Session>::namespaced(gateway.watches.clone(), namespace);
    // The API server ends the watch by itself should the gateway be gone without a word.
    let timeout = u32::try_from(MAX_WAIT_SECONDS).unwrap_or(u32::MAX);
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(timeout);
    let from = session.metadata.resource_version.as_deref().unwrap_or_default();
    let events = sessions.watch_metadata(&params, from).await.map_err(|error| Problem::kubernetes(&error))?;
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(now) | WatchEvent::Modified(now)) if is_same(session, &now) => {}
            Ok(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_)) => return Ok(()),
            Ok(WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Error(status)) => {
                tracing::debug!(message = status.message, "the watch of a Session ended");
                break;
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "the watch of a Session broke off");
                break;
            }
        }
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

fn is_same(session: &Session, now: &PartialObjectMeta<Session>) -> bool {
    (&session.metadata.uid, session.metadata.generation) == (&now.metadata.uid, now.metadata.generation)
}

fn conversation(session: Session) -> Conversation {
    let Session { metadata, spec, status } = session;
    let status = status.unwrap_or_default();
    let prompt = Message { id: PROMPT_ID.to_owned(), text: spec.prompt };
    let others = spec.messages.into_iter().map(|message| Message { id: message.id, text: message.text });
    let messages = std::iter::once(prompt).chain(others);
    let messages = messages.filter(|message| !status.has_dealt_with(&message.id)).collect();
    Conversation { generation: metadata.generation.unwrap_or_default(), interactive: spec.interactive, messages }
}
