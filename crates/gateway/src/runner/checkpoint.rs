//! What an attempt leaves to the next.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use drover_store::StoreError;

use crate::{app::Gateway, auth::pod::RunnerPod, body, metrics::Stored, problem::Problem};

/// Stores the checkpoint of the pod's own attempt once it has come whole.
pub(super) async fn put(
    State(gateway): State<Arc<Gateway>>,
    caller: RunnerPod,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let limit = gateway.limits.max_checkpoint_bytes;
    // Who says beforehand that it is too much is spared the upload.
    if body::announced_length(&headers).is_some_and(|length| length > limit) {
        return Err(StoreError::CheckpointTooLarge(limit).into());
    }
    let stored = gateway.store.put_checkpoint(&caller.run, caller.attempt, limit, body::stream(body)).await?;
    gateway.metrics.stored(Stored::Checkpoint, stored);
    Ok(StatusCode::NO_CONTENT)
}

/// The checkpoint of the latest attempt before the pod's own that made one.
pub(super) async fn get(State(gateway): State<Arc<Gateway>>, caller: RunnerPod) -> Result<Response, Problem> {
    let checkpoint = gateway
        .store
        .checkpoint_before(&caller.run, caller.attempt)
        .await?
        .ok_or_else(|| Problem::not_found("no earlier attempt of this Session stored a checkpoint"))?;
    let headers =
        [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_LENGTH, checkpoint.size.to_string())];
    Ok((headers, Body::from_stream(checkpoint.bytes)).into_response())
}
