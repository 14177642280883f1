//! Runner pods.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use drover_api::names::{GATEWAY_AUDIENCE, POD_PREFIX, RUNNER_SERVICE_ACCOUNT, label};
use drover_k8s::reviews::Identity;
use drover_store::Run;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use crate::{app::Gateway, auth::bearer, problem::Problem};

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// A runner pod that calls, as it is now. What it runs stands in its labels, which only the operator writes; nothing
/// that the caller says is taken for it.
#[derive(Clone, Debug)]
pub(crate) struct RunnerPod {
    pub(crate) pod: Pod,
    pub(crate) namespace: String,
    pub(crate) session: String,
    pub(crate) run: Run,
    pub(crate) attempt: u32,
}

/// The pod that a token is bound to.
#[derive(Debug, PartialEq, Eq)]
struct Binding {
    namespace: String,
    pod: String,
    uid: String,
}

impl FromRequestParts<Arc<Gateway>> for RunnerPod {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)
            .filter(|token| is_jwt(token))
            .ok_or_else(|| Problem::unauthenticated("a runner pod shows the token that was mounted into it"))?;
        let identity = gateway.reviews.authenticate(token, Some(GATEWAY_AUDIENCE)).await;
        let identity = identity.map_err(|error| Problem::kubernetes(&error))?.ok_or_else(|| {
            Problem::unauthenticated(format!("the token is not valid, has expired, or is not for {GATEWAY_AUDIENCE}"))
        })?;
        let binding = binding(&identity).ok_or_else(|| {
            Problem::forbidden(format!(
                "{} is not the service account {RUNNER_SERVICE_ACCOUNT} in a runner pod",
                identity.user
            ))
        })?;
        let pods = Api::<Pod>::namespaced(gateway.client.clone(), &binding.namespace);
        let pod = pods.get_opt(&binding.pod).await.map_err(|error| Problem::kubernetes(&error))?;
        identify(pod, binding).map_err(Problem::forbidden)
    }
}

/// Whether a text may be the token of a service account: three parts in base64url. Anything else is not worth a question
/// to the API server.
fn is_jwt(token: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    token.split('.').count() == 3 && token.split('.').all(|part| !part.is_empty() && part.bytes().all(plain))
}

/// Which pod the token is bound to; `None` when it is none that a runner pod shows.
fn binding(identity: &Identity) -> Option<Binding> {
    let (namespace, account) = identity.user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let only = |key: &str| match identity.extra.get(key).map(Vec::as_slice) {
        Some([value]) => Some(value.clone()),
        _ => None,
    };
    let binding = Binding { namespace: namespace.to_owned(), pod: only(POD_NAME)?, uid: only(POD_UID)? };
    (account == RUNNER_SERVICE_ACCOUNT && binding.pod.starts_with(POD_PREFIX)).then_some(binding)
}

/// What the pod runs, if it is the one that the token is bound to, and has not ended.
fn identify(pod: Option<Pod>, binding: Binding) -> Result<RunnerPod, &'static str> {
    let pod =
        pod.filter(|pod| pod.metadata.uid.as_deref() == Some(&binding.uid)).ok_or("the pod does not exist any more")?;
    if is_terminal(&pod) {
        return Err("the pod has ended");
    }
    let label = |name: &str| pod.labels().get(name).map(String::as_str);
    let uid = label(label::SESSION_UID).ok_or("the pod does not run a Session")?;
    let session = label(label::SESSION).ok_or("the pod does not run a Session")?.to_owned();
    let attempt = label(label::ATTEMPT).and_then(|attempt| attempt.parse().ok()).filter(|attempt| *attempt > 0);
    let attempt = attempt.ok_or("the pod does not say which attempt it is")?;
    let run = Run::new(&binding.namespace, uid).map_err(|_| "the pod does not run a Session")?;
    Ok(RunnerPod { namespace: binding.namespace, session, run, attempt, pod })
}

/// Whether none of the pod's containers will ever run again.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
