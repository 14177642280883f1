//! What went wrong, for the caller: `application/problem+json`, RFC 9457.

use std::error::Error;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use drover_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
    "detail": "jane may not get sessions/logs in the namespace team-a: ask for a role that allows it"
}))]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16)]
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// Where something is counted: the number that is expected next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<u64>,
    /// Where a limit was reached: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit: Option<Limit>,
}

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Limit {
    /// The bytes of one artifact.
    ArtifactBytes,
    /// The bytes of all artifacts of a run.
    RunBytes,
    /// The number of a run's artifacts.
    Artifacts,
    /// The bytes of one attempt's log.
    LogBytes,
    /// The bytes of a checkpoint.
    CheckpointBytes,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), next: None, limit: None }
    }

    /// The request cannot be understood.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nobody knows who calls.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The caller is known, but may not do this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// There is no such thing.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Too much of something.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// A limit of the run was reached.
    fn beyond(limit: Limit, detail: impl Into<String>) -> Self {
        Self { limit: Some(limit), ..Self::too_large(detail) }
    }

    /// Something else was counted on, `next`.
    pub(crate) fn out_of_sequence(detail: impl Into<String>, next: u64) -> Self {
        Self { next: Some(next), ..Self::new(StatusCode::CONFLICT, detail) }
    }

    /// The Kubernetes API did not answer as it should. The cause is logged, not told.
    pub(crate) fn kubernetes(error: &(dyn Error + 'static)) -> Self {
        tracing::warn!(error = chain(error), "the Kubernetes API failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the Kubernetes API cannot be asked at the moment: try again")
    }

    fn into_response_with(self, headers: &[(header::HeaderName, HeaderValue)]) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        for (name, value) in headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.status {
            401 => self.into_response_with(&[(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]),
            503 => self.into_response_with(&[(header::RETRY_AFTER, HeaderValue::from_static("1"))]),
            _ => self.into_response_with(&[]),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge(_) => Self::beyond(Limit::ArtifactBytes, error.to_string()),
            StoreError::RunFull(_) => Self::beyond(Limit::RunBytes, error.to_string()),
            StoreError::TooMany(_) => Self::beyond(Limit::Artifacts, error.to_string()),
            StoreError::LogFull(_) => Self::beyond(Limit::LogBytes, error.to_string()),
            StoreError::CheckpointTooLarge(_) => Self::beyond(Limit::CheckpointBytes, error.to_string()),
            StoreError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error}: try again")),
            StoreError::Mismatch { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            StoreError::NotNext(next) => Self::out_of_sequence(error.to_string(), next),
            StoreError::Cut(source) => source
                .downcast_ref::<crate::body::BodyError>()
                .map_or_else(|| Self::malformed("the request's body broke off"), Self::from),
            StoreError::Full | StoreError::Directory(..) | StoreError::Objects(_) if error.is_full() => {
                tracing::error!(error = chain(&error), "the artifact store is full");
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "the artifact store is full: an administrator can enlarge it",
                )
            }
            StoreError::Full | StoreError::Directory(..) | StoreError::Objects(_) | StoreError::Damaged(_) => {
                tracing::error!(error = chain(&error), "the artifact store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the artifact store failed: the gateway's log says why")
            }
        }
    }
}

/// An error with its causes, in a line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
