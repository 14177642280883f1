//! What is told of the agent of a Session that was deleted: no status is left to record its end in, so an Event and a
//! line of the log do.

use drover_api::Session;
use drover_plan::run::{RunnerPod, ending};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use crate::run::Context;

/// Tells how the agent ended, once: the pod is let go next.
pub(crate) fn tell(context: &Context, pod: &RunnerPod) {
    let Some(end) = ending(pod, context.clock.now()).filter(|_| pod.held.is_some() && pod.deleting) else { return };
    let (name, namespace, reason) = (&*pod.name, &*pod.namespace, end.reason.to_string());
    tracing::info!(pod = name, namespace, reason, exit_code = end.exit_code, "the agent of a deleted Session ended");
    context.events.deletion(session_of(pod), &reason, format!("After the Session was deleted: {}", end.message));
}

/// The Session that is gone, as far as its pod knows it.
fn session_of(pod: &RunnerPod) -> ObjectReference {
    ObjectReference {
        api_version: Some(Session::api_version(&()).into_owned()),
        kind: Some(Session::kind(&()).into_owned()),
        name: Some(pod.session.to_string()),
        namespace: Some(pod.namespace.to_string()),
        uid: Some(pod.session_uid.to_string()),
        ..ObjectReference::default()
    }
}
