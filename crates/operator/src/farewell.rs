//! What is told of the agent of a Session that was deleted: no status is left to record its end in, so an Event and a
//! line of the log do.

use drover_api::Session;
use drover_plan::run::{RunnerPod, ending};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use crate::run::Context;

/// Tells that the agent is stopped, and later how it ended.
pub(crate) fn tell(context: &Context, pod: &RunnerPod) {
    let now = context.clock.now();
    if !pod.deleting && pod.may_run() {
        tracing::info!(pod = &*pod.name, namespace = &*pod.namespace, "the Session was deleted; its agent is stopped");
        let note = format!("The Session was deleted: the agent in the pod {} is stopped.", pod.name);
        context.events.deletion(session_of(pod), "Deleted", note);
    } else if let Some(end) = ending(pod, now).filter(|_| pod.held.is_some() && pod.deleting) {
        let (pod_name, namespace, reason) = (&*pod.name, &*pod.namespace, end.reason.to_string());
        tracing::info!(
            pod = pod_name,
            namespace,
            reason,
            exit_code = end.exit_code,
            "the agent of a deleted Session ended"
        );
        context.events.deletion(session_of(pod), &reason, format!("After the Session was deleted: {}", end.message));
    }
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
