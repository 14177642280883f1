//! What Kubernetes tells of a Session and its pod.

use drover_api::Session;
use futures::future::try_join;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    cluster::{Cluster, explain},
    output::units,
};

/// How many events are shown.
const MOST: usize = 10;
/// How many events of an object are asked for.
const PAGE: u32 = 500;

/// The last events of `session` and of its present pod, the newest last; an error is told, for it is no reason to hide the
/// rest.
pub(super) async fn of(cluster: &Cluster, session: &Session) -> Result<Vec<Event>, String> {
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &session.namespace().unwrap_or_default());
    let about = async |selector: Option<String>| match selector {
        Some(selector) => {
            let params = ListParams::default().fields(&selector).limit(PAGE);
            api.list(&params).await.map(|list| list.items)
        }
        None => Ok(Vec::new()),
    };
    let of_session = session.uid().map(|uid| format!("involvedObject.uid={uid}"));
    let pod = session.status.as_ref().and_then(|status| status.pod.as_ref());
    let of_pod = pod.map(|pod| format!("involvedObject.kind=Pod,involvedObject.name={}", pod.name));
    let (mut events, more) = try_join(about(of_session), about(of_pod)).await.map_err(|error| explain(&error))?;
    events.extend(more);
    events.sort_by_key(units::happened);
    Ok(events.split_off(events.len().saturating_sub(MOST)))
}
