//! What a Session is told while it lives, and what it makes of it.

use anyhow::Result;
use drover_api::{Session, state::Phase};
use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Port, Role, Tenant, phase};

impl Tenant {
    /// Changes fields of a Session's spec; one that is `null` goes.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn change(&self, name: &str, spec: Value) -> Result<Session> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        Ok(self.sessions().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Adds a message, by server-side apply.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn say(&self, name: &str, id: &str, text: &str) -> Result<Session> {
        self.apply_messages(name, id, json!([{ "id": id, "text": text }])).await
    }

    /// Takes back a message that [`say`](Self::say) added.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn unsay(&self, name: &str, id: &str) -> Result<Session> {
        self.apply_messages(name, id, json!([])).await
    }

    /// Each message has a field manager of its own, so that nobody's apply takes another's away.
    async fn apply_messages(&self, name: &str, id: &str, messages: Value) -> Result<Session> {
        let patch = Patch::Apply(json!({
            "apiVersion": Session::api_version(&()),
            "kind": Session::kind(&()),
            "spec": { "messages": messages },
        }));
        Ok(self.sessions().patch(name, &PatchParams::apply(&format!("says-{id}")), &patch).await?)
    }

    /// Waits until the agent has dealt with a message and waits for the next.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn dealt_with(&self, name: &str, id: &str) -> Result<Session> {
        let knows = |session: &Session| turns(session).iter().any(|(message, _)| *message == id);
        self.until(name, |session| phase(session) == Phase::Waiting && knows(session)).await
    }

    /// Waits until a line stands in the log of a Session, behind the event `after`; returns the line's id.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn heard(&self, name: &str, text: &str, after: Option<&str>) -> Result<Option<String>> {
        let user = self.user(Role::View).await?;
        let gateway = self.gateway(Port::Api).await?;
        let events = gateway.follow(&self.namespace, name, &user.token, after).await?.up_to(text).await?;
        Ok(events.last().and_then(|event| event.id.clone()))
    }
}

/// The messages that were dealt with, each with the attempt in which it was.
#[must_use]
pub fn turns(session: &Session) -> Vec<(&str, u32)> {
    let turns = session.status.iter().flat_map(|status| &status.turns);
    turns.map(|turn| (turn.message.as_str(), turn.attempt)).collect()
}
