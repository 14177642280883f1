//! Files that a run hands back.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use drover_api::report::{Artifact, MAX_ARTIFACTS};
use drover_store::{ArtifactName, Bounds, Digest, InvalidName, StoreError};

use crate::{Limits, app::Gateway, auth::pod::RunnerPod, body, metrics::Stored, problem::Problem};

const CONTENT_DIGEST: &str = "content-digest";

/// Stores a file under its name, if it is the one that was announced.
pub(super) async fn put(
    State(gateway): State<Arc<Gateway>>,
    caller: RunnerPod,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Artifact>), Problem> {
    let Path(name) = name.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let name: ArtifactName = name.parse().map_err(|error: InvalidName| Problem::malformed(error.to_string()))?;
    let digest = announced(&headers)?;
    let Limits { max_artifact_bytes, max_run_bytes, .. } = gateway.limits;
    // Who says beforehand that it is too much is spared the upload.
    if body::announced_length(&headers).is_some_and(|length| length > max_artifact_bytes) {
        return Err(StoreError::TooLarge(max_artifact_bytes).into());
    }
    let bounds = Bounds { artifact_bytes: max_artifact_bytes, run_bytes: max_run_bytes, artifacts: MAX_ARTIFACTS };
    let artifact = gateway.store.put_artifact(&caller.run, &name, digest, bounds, body::stream(body)).await?;
    gateway.metrics.stored(Stored::Artifact, artifact.size.unsigned_abs());
    Ok((StatusCode::CREATED, Json(artifact)))
}

/// The checksum in `Content-Digest`: `sha-256=:<base64>:`, alone or among others (RFC 9530).
fn announced(headers: &HeaderMap) -> Result<Digest, Problem> {
    let values = headers.get_all(CONTENT_DIGEST).iter().filter_map(|value| value.to_str().ok());
    // Where a key is given twice the last one holds (RFC 8941).
    let digest = values.flat_map(|value| value.split(',')).filter_map(sha256).next_back();
    digest.ok_or_else(|| {
        Problem::malformed("the header Content-Digest is missing or not valid: it looks like sha-256=:<base64>:")
    })
}

/// The checksum in one member of the header.
fn sha256(member: &str) -> Option<Digest> {
    let value = member.trim().strip_prefix("sha-256=:")?;
    let (value, parameters) = value.split_once(':')?;
    let well_formed = parameters.is_empty() || parameters.trim_start().starts_with(';');
    let bytes = STANDARD.decode(value).ok().filter(|_| well_formed)?;
    bytes.try_into().ok().map(Digest::from_bytes)
}

#[cfg(test)]
mod tests;
