//! The sign of life of a broker.

use axum::Json;
use drover_api::runner::Heartbeat;

use crate::auth::pod::RunnerPod;

/// Says whether the pod is to end. Nothing is written: that the caller was found to be a live pod is all there is to do.
pub(super) async fn post(caller: RunnerPod) -> Json<Heartbeat> {
    Json(Heartbeat { stop: caller.pod.metadata.deletion_timestamp.is_some() })
}
