//! What the agent is told.

use std::sync::Arc;

use axum::{Json, extract::State};
use drover_api::{
    Session,
    runner::{Message, Messages, PROMPT_ID},
};
use kube::Api;

use crate::{app::Gateway, auth::pod::RunnerPod, problem::Problem};

/// The Session's prompt, from the Session itself: no text stands in the pod.
pub(super) async fn get(State(gateway): State<Arc<Gateway>>, caller: RunnerPod) -> Result<Json<Messages>, Problem> {
    let sessions = Api::<Session>::namespaced(gateway.client.clone(), &caller.namespace);
    let session = sessions.get_opt(&caller.session).await.map_err(|error| Problem::kubernetes(&error))?;
    let session =
        session.filter(|session| session.metadata.uid.as_deref() == Some(caller.run.uid())).ok_or_else(|| {
            Problem::not_found(format!("the Session {} of this pod does not exist any more", caller.session))
        })?;
    Ok(Json(Messages { messages: vec![Message { id: PROMPT_ID.to_owned(), text: session.spec.prompt }] }))
}
