//! Pieces of a run's log.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use drover_api::log::{EventId, Kind};
use drover_store::{InvalidChunk, LogChunk, MAX_CHUNK};

use crate::{app::Gateway, auth::pod::RunnerPod, body, metrics::Stored, problem::Problem};

/// What Drover's own events may take beyond the limit of a log, in bytes, so that a log that was cut says so.
const OWN_EVENTS: u64 = 64 * 1024;

/// Stores events, the first of which is numbered as the path says.
pub(super) async fn put(
    State(gateway): State<Arc<Gateway>>,
    caller: RunnerPod,
    sequence: Result<Path<u64>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let Path(sequence) = sequence.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let bytes = body::collect(body, MAX_CHUNK).await?;
    let first = EventId { attempt: caller.attempt, sequence };
    let chunk = LogChunk::parse(first, &bytes).map_err(|error| match error {
        InvalidChunk::TooLarge => Problem::too_large(error.to_string()),
        _ => Problem::malformed(error.to_string()),
    })?;
    let own = chunk.events().iter().all(|event| matches!(event.kind, Kind::System | Kind::Error));
    let limit = gateway.limits.max_log_bytes.saturating_add(if own { OWN_EVENTS } else { 0 });
    let stored = gateway.store.put_log_chunk(&caller.run, chunk, limit).await?;
    gateway.metrics.stored(Stored::Log, stored);
    Ok(StatusCode::NO_CONTENT)
}
