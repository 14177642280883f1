//! Makes the writes of a plan, in its order.

use drover_api::{
    Session,
    names::{POD_FINALIZER, RUNNER_SERVICE_ACCOUNT, annotation, label},
};
use drover_k8s::{cache::Key, writer::Error};
use drover_plan::{
    build,
    run::adopt::is_same_run,
    session::{PodTarget, Receipt, Step},
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ServiceAccount};
use kube::{Api, ResourceExt, core::Status};
use serde_json::json;

use crate::{run::Context, sources::pod_item};

/// Takes the steps until one of them ends the plan. `session` is none for pods whose Session is gone.
///
/// # Errors
/// When a write did not get through, or was planned from an old version; all of it is planned again then.
pub(crate) async fn execute(
    context: &Context,
    key: &Key,
    session: Option<&Session>,
    steps: &[Step],
) -> Result<Vec<Receipt>, Error> {
    let mut receipts = Vec::with_capacity(steps.len());
    for step in steps {
        let receipt = execute_one(context, key, session, step).await?;
        let goes_on = matches!(receipt, Receipt::Done | Receipt::Pod(_));
        receipts.push(receipt);
        if !goes_on {
            break;
        }
    }
    Ok(receipts)
}

async fn execute_one(context: &Context, key: &Key, session: Option<&Session>, step: &Step) -> Result<Receipt, Error> {
    match step {
        Step::CreateServiceAccount => create_account(context, key).await,
        Step::CreateClaim(claim) => create_claim(context, claim).await,
        Step::CreatePod(pod) => create_pod(context, key, pod).await,
        Step::RecordOutcome(outcome) => match session {
            Some(session) => record_outcome(context, key, session, outcome).await,
            None => Ok(Receipt::Done),
        },
        Step::ReleasePod { pod, finalizer } => release(context, key, pod, *finalizer).await,
        Step::DeletePod { pod, grace } => delete(context, key, pod, *grace).await,
        Step::DeleteClaim => match session {
            Some(session) => delete_claim(context, session).await,
            None => Ok(Receipt::Done),
        },
        Step::DeleteSession => match session.and_then(ResourceExt::uid) {
            Some(uid) => gone_is_done(context.writer.delete::<Session>(&key.namespace, &key.name, &uid, None).await),
            None => Ok(Receipt::Done),
        },
    }
}

/// For a write about an object that may be gone: then there is nothing left to do.
fn gone_is_done(written: Result<(), Error>) -> Result<Receipt, Error> {
    match written {
        Ok(()) => Ok(Receipt::Done),
        Err(error) if error.is_not_found() => Ok(Receipt::Done),
        Err(error) => Err(error),
    }
}

async fn delete(context: &Context, key: &Key, pod: &PodTarget, grace: Option<u32>) -> Result<Receipt, Error> {
    let deleted = context.writer.delete::<Pod>(&pod.namespace, &pod.name, &pod.uid, grace).await;
    if deleted.as_ref().is_err_and(Error::is_not_found) {
        context.pods.remove(key, &pod.name);
    }
    gone_is_done(deleted)
}

/// Makes the account without looking first: most namespaces that are new to this process are new to Drover.
async fn create_account(context: &Context, key: &Key) -> Result<Receipt, Error> {
    match context.writer.create(&build::service_account(&key.namespace)).await {
        Ok(_) => {}
        Err(error) if error.is_already_exists() => {}
        // A quota is asked before the name is.
        Err(error) if error.answer().is_some() && account_exists(context, key).await? => {}
        Err(error) => return refusal(error),
    }
    context.accounts.found(&key.namespace);
    Ok(Receipt::Done)
}

async fn account_exists(context: &Context, key: &Key) -> Result<bool, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(context.client.clone(), &key.namespace);
    Ok(accounts.get_opt(RUNNER_SERVICE_ACCOUNT).await?.is_some())
}

/// Makes the claim, or finds the one that this Session made before.
async fn create_claim(context: &Context, wanted: &PersistentVolumeClaim) -> Result<Receipt, Error> {
    match context.writer.create(wanted).await {
        Ok(_) => Ok(Receipt::Done),
        Err(error) if error.is_already_exists() => {
            let claims: Api<PersistentVolumeClaim> =
                Api::namespaced(context.client.clone(), &wanted.namespace().unwrap_or_default());
            let present = claims.get(&wanted.name_any()).await?;
            let owner = |claim: &PersistentVolumeClaim| claim.labels().get(label::SESSION_UID).cloned();
            let ours = owner(&present) == owner(wanted);
            Ok(if ours { Receipt::Done } else { Receipt::NameTaken(wanted.name_any()) })
        }
        Err(error) => refusal(error),
    }
}

async fn delete_claim(context: &Context, session: &Session) -> Result<Receipt, Error> {
    let Some(claim) = build::claim(session) else { return Ok(Receipt::Done) };
    let namespace = claim.namespace().unwrap_or_default();
    gone_is_done(context.writer.delete_named::<PersistentVolumeClaim>(&namespace, &claim.name_any()).await)
}

async fn create_pod(context: &Context, key: &Key, pod: &Pod) -> Result<Receipt, Error> {
    match context.writer.create(pod).await {
        Ok(created) => Ok(remember(context, &created)),
        Err(error) if error.is_already_exists() => adopt(context, pod).await,
        Err(error) if account_is_missing(&error) => {
            context.accounts.missing(&key.namespace);
            Err(error)
        }
        Err(error) => refusal(error),
    }
}

/// Puts a pod into the cache before the watch tells of it.
fn remember(context: &Context, pod: &Pod) -> Receipt {
    match pod_item(pod) {
        Some(item) => {
            let value = item.value.clone();
            context.pods.put(item);
            Receipt::Pod(value)
        }
        None => Receipt::NameTaken(pod.name_any()),
    }
}

/// The name has a pod already: ours from before a crash, or somebody else's.
async fn adopt(context: &Context, wanted: &Pod) -> Result<Receipt, Error> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &wanted.namespace().unwrap_or_default());
    let present = pods.get(&wanted.name_any()).await?;
    if is_same_run(&present, wanted) {
        return Ok(remember(context, &present));
    }
    Ok(Receipt::NameTaken(wanted.name_any()))
}

fn account_is_missing(error: &Error) -> bool {
    let about = format!("serviceaccount {RUNNER_SERVICE_ACCOUNT:?} not found");
    error.answer().is_some_and(|status| status.code == 403 && status.message.contains(&about))
}

/// A refusal that the API server means, its own or that of an admission webhook which it asked. Anything else was not
/// decided, and is tried again.
fn refusal(error: Error) -> Result<Receipt, Error> {
    match error.answer() {
        Some(status) if matches!(status.code, 400 | 403 | 413 | 422 | 500) => {
            Ok(Receipt::Refused { for_good: names_fields(status), message: status.message.clone() })
        }
        _ => Err(error),
    }
}

/// Whether a refusal is about fields of the object; admission policies answer with the same code, but name none.
fn names_fields(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422 && causes.into_iter().any(|cause| !cause.field.is_empty())
}

async fn record_outcome(context: &Context, key: &Key, session: &Session, outcome: &str) -> Result<Receipt, Error> {
    // The uid makes it a conflict when the name belongs to another Session by now.
    let patch = json!({ "metadata": { "uid": session.uid(), "annotations": { annotation::OUTCOME: outcome } } });
    gone_is_done(context.writer.merge_patch::<Session>(&key.namespace, &key.name, patch).await.map(drop))
}

/// Takes the finalizer off this very pod, and nothing else off another.
async fn release(context: &Context, key: &Key, pod: &PodTarget, finalizer: usize) -> Result<Receipt, Error> {
    let path = format!("/metadata/finalizers/{finalizer}");
    let patch = [
        json!({ "op": "test", "path": "/metadata/uid", "value": &*pod.uid }),
        json!({ "op": "test", "path": path, "value": POD_FINALIZER }),
        json!({ "op": "remove", "path": path }),
    ];
    match context.writer.json_patch::<Pod>(&pod.namespace, &pod.name, json!(patch)).await {
        Ok(released) => {
            if released.metadata.deletion_timestamp.is_none() {
                remember(context, &released);
            } else {
                context.pods.remove(key, &pod.name);
            }
            Ok(Receipt::Done)
        }
        Err(error) if error.is_not_found() => {
            context.pods.remove(key, &pod.name);
            Ok(Receipt::Done)
        }
        Err(error) => Err(error),
    }
}
