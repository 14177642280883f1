//! Reads what a decision about a Session rests on: from the caches first, and from the API server what they cannot say.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use drover_api::Session;
use drover_k8s::cache::Key;
use drover_plan::{
    frameworks::Frameworks,
    run::RunnerPod,
    session::{Admission, Observed},
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::{
    run::Context,
    sources::{pod_item, session_item},
};

/// The namespaces that are known to have the runner's service account.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<HashSet<Arc<str>>>);

impl Accounts {
    pub(crate) fn known(&self, namespace: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(namespace)
    }

    pub(crate) fn found(&self, namespace: &Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.clone());
    }

    pub(crate) fn missing(&self, namespace: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
    }
}

/// What was observed under the name of a Session.
pub(crate) struct Observation {
    /// The Session; `None` when there is none, and only pods of one that is gone.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) pods: Vec<Arc<RunnerPod>>,
    frameworks: Arc<Frameworks>,
    service_account: bool,
}

impl Observation {
    /// The observation as the plan takes it.
    pub(crate) fn of<'a>(&'a self, session: &'a Session) -> Observed<'a> {
        Observed {
            session,
            pods: &self.pods,
            frameworks: &self.frameworks,
            service_account: self.service_account,
            admission: Admission::Admitted,
        }
    }
}

/// Observes what there is under a Session's name.
pub(crate) async fn observe(context: &Context, key: &Key) -> Result<Observation, kube::Error> {
    let session = match context.sessions.group(key).pop() {
        Some(session) => Some(session),
        // Not in the cache: finished, or gone.
        None => read_session(context, key).await?,
    };
    let mut pods = context.pods.group(key);
    let mut service_account = true;
    if let Some(session) = &session {
        if let Some(pod) = recorded_pod_unseen(context, session, &pods).await? {
            pods.push(pod);
        }
        if pods.is_empty() && !is_finished(session) {
            service_account = context.accounts.known(&key.namespace);
        }
    }
    Ok(Observation { session, pods, frameworks: context.frameworks(), service_account })
}

fn is_finished(session: &Session) -> bool {
    session.status.as_ref().is_some_and(|status| status.phase.is_finished())
}

async fn read_session(context: &Context, key: &Key) -> Result<Option<Arc<Session>>, kube::Error> {
    let sessions: Api<Session> = Api::namespaced(context.client.clone(), &key.namespace);
    let session = sessions.get_opt(&key.name).await?;
    Ok(session.and_then(session_item).map(|item| item.value))
}

/// The pod that the Session's status names, where the cache does not have it but the API server does.
async fn recorded_pod_unseen(
    context: &Context,
    session: &Session,
    cached: &[Arc<RunnerPod>],
) -> Result<Option<Arc<RunnerPod>>, kube::Error> {
    let recorded = session.status.as_ref().and_then(|status| status.pod.as_ref());
    let Some(recorded) = recorded.filter(|pod| !cached.iter().any(|seen| *seen.name == *pod.name)) else {
        return Ok(None);
    };
    let namespace = session.metadata.namespace.as_deref().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let Some(pod) = pods.get_opt(&recorded.name).await? else { return Ok(None) };
    Ok(pod_item(&pod).map(|item| item.value))
}
