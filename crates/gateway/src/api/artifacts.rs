//! The artifacts of a Session.

use std::{fmt::Write, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use drover_api::{Session, report};
use drover_store::{ArtifactName, ArtifactReader};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Target, responses::Refusals};
use crate::{app::Gateway, auth::caller::Caller, problem::Problem, sweep::expired_after};

/// The right that is needed to see artifacts.
const RIGHT: &str = "artifacts";

/// The artifacts of a Session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Artifacts {
    /// In the order of their names.
    artifacts: Vec<Artifact>,
}

/// A file that a Session's run handed back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "out/report.txt",
    "size": 12,
    "sha256": "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
}))]
struct Artifact {
    /// The file's path beneath the working directory.
    #[schema(max_length = 150)]
    name: String,
    /// Its length in bytes.
    #[schema(minimum = 0)]
    size: i64,
    /// Its SHA-256 checksum in lower-case hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
struct Binary(Vec<u8>);

impl From<report::Artifact> for Artifact {
    fn from(report::Artifact { name, size, sha256 }: report::Artifact) -> Self {
        Self { name, size, sha256 }
    }
}

/// Lists the artifacts of a Session.
///
/// Artifacts appear as soon as they are stored, also before the Session has finished. Needs the right to `get`
/// `sessions/artifacts`.
#[utoipa::path(
    get,
    path = "/api/v1/namespaces/{namespace}/sessions/{name}/artifacts",
    operation_id = "listArtifacts",
    tag = "artifacts",
    params(Target),
    responses((status = 200, description = "The artifacts", body = Artifacts), Refusals),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
) -> Result<Json<Artifacts>, Problem> {
    let (_, run) = target.open(&gateway, &caller, RIGHT).await?;
    let artifacts = gateway.store.list_artifacts(&run).await?;
    Ok(Json(Artifacts { artifacts: artifacts.into_iter().map(Artifact::from).collect() }))
}

#[derive(Debug, Deserialize)]
pub(super) struct ArtifactPath {
    artifact: String,
}

/// Fetches an artifact.
///
/// The bytes are exactly those that the run stored; `ETag` holds their SHA-256 checksum. `HEAD` gives the headers
/// alone. Needs the right to `get` `sessions/artifacts`.
#[utoipa::path(
    get,
    path = "/api/v1/namespaces/{namespace}/sessions/{name}/artifacts/{*artifact}",
    operation_id = "getArtifact",
    tag = "artifacts",
    params(
        Target,
        ("artifact" = String, Path, description = "The artifact's name, which may hold slashes", example = "out/report.txt", max_length = 150),
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "An `ETag` that the caller has the bytes of already"),
    ),
    responses(
        (
            status = 200,
            description = "The bytes",
            body = inline(Binary),
            content_type = "application/octet-stream",
            headers(
                ("Content-Disposition" = String, description = "`attachment`, with the file's name"),
                ("Content-Length" = i64, description = "The length in bytes"),
                ("ETag" = String, description = "The SHA-256 checksum in hexadecimal, in quotation marks"),
            ),
        ),
        (status = 304, description = "The caller has the bytes already"),
        Refusals,
    ),
)]
pub(super) async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    path: Result<Path<ArtifactPath>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(path) = path.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let name: ArtifactName =
        path.artifact.parse().map_err(|error: drover_store::InvalidName| Problem::malformed(error.to_string()))?;
    let (session, run) = target.open(&gateway, &caller, RIGHT).await?;
    let reader = gateway.store.artifact(&run, &name).await?.ok_or_else(|| missing(&session, &target, &name))?;
    Ok(answer(reader, &name, &headers))
}

fn missing(session: &Session, target: &Target, name: &ArtifactName) -> Problem {
    Problem::not_found(match expired_after(session, Timestamp::now()) {
        Some(ttl) => format!(
            "the Session {} has no artifact {name} any more: its artifacts are kept for {ttl} after its end, as \
             spec.ttlAfterFinished says",
            target.name
        ),
        None => format!("the Session {} has no artifact {name}", target.name),
    })
}

fn answer(reader: ArtifactReader, name: &ArtifactName, headers: &HeaderMap) -> Response {
    let ArtifactReader { artifact, bytes } = reader;
    let etag = format!("\"{}\"", artifact.sha256);
    let common = [
        (header::CACHE_CONTROL, text("private, no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, text("nosniff")),
        (header::ETAG, text(&etag)),
    ];
    if is_known(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let own = [
        (header::CONTENT_TYPE, text("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(artifact.size)),
        (header::CONTENT_DISPOSITION, text(&disposition(name.file_name()))),
    ];
    (common, own, Body::from_stream(bytes)).into_response()
}

/// What is made of ASCII without control characters is always a header's value.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// How a browser is told to save a file: the name in plain ASCII, and as it is (RFC 6266, RFC 8187).
fn disposition(file_name: &str) -> String {
    let plain: String = file_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let mut exact = String::new();
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            exact.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(exact, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

#[cfg(test)]
mod tests;
