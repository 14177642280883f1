//! The one shape of a reconciliation: observe, plan, execute, settle, one status write.

use std::sync::Arc;

use drover_api::{Session, SessionStatus};
use drover_k8s::{cache::Key, queue::Lane, writer};
use drover_plan::{
    run::orphan::orphan,
    session::{self, Receipt},
};
use jiff::Timestamp;

use crate::{execute::execute, farewell, observe::observe, run::Context, sources::session_item};

/// Why a reconciliation has to be done again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something could not be read.
    #[error("the Kubernetes API cannot be read")]
    Read(#[from] kube::Error),
    /// It took too long.
    #[error("the Kubernetes API does not answer")]
    TooLong,
    /// The status is not valid for the definition that is installed.
    #[error("the API server does not take the status: is its definition of the resource that of this version?")]
    StatusRefused(#[source] writer::Error),
    /// Something could not be written.
    #[error(transparent)]
    Write(#[from] writer::Error),
}

impl Error {
    /// It was planned from an old version.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Write(error) if error.is_conflict() || error.is_invalid())
    }
}

/// Reconciles what there is under a Session's name, and says when to look again.
pub(crate) async fn reconcile(context: &Context, key: &Key) -> Result<Option<Timestamp>, Error> {
    let observation = observe(context, key).await?;
    let Some(session) = &observation.session else {
        observation.pods.iter().for_each(|pod| farewell::tell(context, pod));
        let steps: Vec<_> = observation.pods.iter().filter_map(|pod| orphan(pod)).collect();
        execute(context, key, None, &steps).await?;
        return Ok(None);
    };
    if session.metadata.deletion_timestamp.is_some() {
        // It waits for its pods, as one that is deleted in the foreground does, and then is gone at once.
        observation.pods.iter().for_each(|pod| farewell::tell(context, pod));
    }
    let now = context.clock.now();
    let plan = session::plan(&observation.of(session), &context.settings, now);
    tracing::debug!(%key, steps = plan.steps.len(), waiting = ?plan.waiting, wake = ?plan.wake, "planned");
    let receipts = execute(context, key, Some(session), &plan.steps).await?;
    observe_delay(context, session, &receipts);
    let (status, wake) = plan.settle(session, &context.settings, &receipts, context.clock.now());
    write_status(context, key, session, status).await?;
    Ok(wake)
}

/// The single exit. Nothing is written when nothing changed.
async fn write_status(
    context: &Context,
    key: &Key,
    session: &Arc<Session>,
    status: SessionStatus,
) -> Result<(), Error> {
    let before = session.status.clone().unwrap_or_default();
    if before == status {
        return Ok(());
    }
    let written = match context.writer.status(&**session, &status).await {
        Ok(written) => written,
        Err(error) if error.is_not_found() => {
            // The cache may have been given it back by an earlier write after the watch had taken it out.
            context.sessions.remove(key, &key.name);
            context.queue.add(key.clone(), Lane::Later);
            return Ok(());
        }
        Err(error) if error.is_invalid() => return Err(Error::StatusRefused(error)),
        Err(error) => return Err(error.into()),
    };
    context.events.transition(session, &before, &status);
    if status.phase.is_finished() {
        // Finished Sessions are read, not cached; what is left to do need not wait for the watch.
        context.sessions.remove(key, &key.name);
        context.queue.add(key.clone(), Lane::Later);
    } else if let Some(item) = session_item(written) {
        context.sessions.put(item);
    }
    Ok(())
}

fn observe_delay(context: &Context, session: &Session, receipts: &[Receipt]) {
    let created = session.metadata.creation_timestamp.as_ref();
    if let (Some(Receipt::Pod(_)), Some(created)) = (receipts.last(), created) {
        let delay = context.clock.now().duration_since(created.0).as_secs_f64();
        context.metrics.pod_created(delay.max(0.0));
    }
}
