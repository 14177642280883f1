//! Changes of a Session's spec that disturb nothing else in it.
//!
//! Each is a JSON patch of one field or one item, so that the field manager of the plugin owns that and no more: what
//! GitOps tools or other people wrote stays theirs. The patch names the version that it was planned from; when somebody
//! else was quicker it is planned again.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use drover_api::Session;
use json_patch::PatchOperation;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::MANAGER;
use crate::cluster::{Cluster, explain, is_conflict};

/// How often a change is planned before it is given up.
const TRIES: u32 = 20;
/// How much longer each further try waits.
const PAUSE: Duration = Duration::from_millis(20);

/// A Session after a change.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) session: Session,
    /// Whether there was anything to change.
    pub(crate) changed: bool,
}

/// Changes the Session `name` as `plan` says for its present state: by these operations of a JSON patch, or not at all
/// where there are none.
pub(crate) async fn edit(
    cluster: &Cluster,
    name: &str,
    plan: impl Fn(&Session) -> anyhow::Result<Vec<Value>>,
) -> anyhow::Result<Edited> {
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    for attempt in 1..=TRIES {
        let session = cluster.session(name).await?;
        let operations = plan(&session)?;
        if operations.is_empty() {
            return Ok(Edited { session, changed: false });
        }
        let patch = Patch::Json::<()>(patch(&session, operations)?);
        match cluster.sessions().patch(name, &params, &patch).await {
            Ok(session) => return Ok(Edited { session, changed: true }),
            Err(error) if is_conflict(&error) => tokio::time::sleep(PAUSE * attempt).await,
            Err(error) => return Err(anyhow!(explain(&error))),
        }
    }
    bail!("Session {name} changes all the time, and others were always quicker: try again")
}

/// The patch, which holds for this version of the Session only.
fn patch(session: &Session, operations: Vec<Value>) -> anyhow::Result<json_patch::Patch> {
    let version =
        session.resource_version().context("the API server does not say which version of the Session it shows")?;
    // Replacing the version by itself makes the API server answer with a conflict when it is not the present one.
    let mut all = vec![json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": version })];
    all.extend(operations);
    let operations: Result<Vec<PatchOperation>, _> = all.into_iter().map(serde_json::from_value).collect();
    Ok(json_patch::Patch(operations?))
}
