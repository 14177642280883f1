//! Bodies of requests: bounded in size, and in how long they may stand still.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};

use crate::problem::Problem;

/// How long nothing may come of a body.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Why a body did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("nothing of the request's body came for {} seconds", STANDSTILL.as_secs())]
    Standstill,
    #[error("the request's body broke off")]
    Cut(#[source] axum::Error),
    #[error("the request's body has more than the {0} bytes that are allowed")]
    TooLarge(usize),
}

impl From<&BodyError> for Problem {
    fn from(error: &BodyError) -> Self {
        let status = match error {
            BodyError::Standstill => StatusCode::REQUEST_TIMEOUT,
            BodyError::Cut(_) => StatusCode::BAD_REQUEST,
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::new(status, error.to_string())
    }
}

/// How long the body will be, where its sender says so beforehand.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body in pieces.
pub(crate) fn stream(body: Body) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    futures::stream::unfold(Some(body.into_data_stream()), |body| async move {
        let mut body: BodyDataStream = body?;
        match tokio::time::timeout(STANDSTILL, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
            Ok(Some(Err(error))) => Some((Err(BodyError::Cut(error)), None)),
            Err(_) => Some((Err(BodyError::Standstill), None)),
        }
    })
}

/// The whole body, if it has at most `max` bytes.
pub(crate) async fn collect(body: Body, max: usize) -> Result<Bytes, Problem> {
    let collected = stream(body)
        .try_fold(BytesMut::new(), |mut all, part| async move {
            if all.len() + part.len() > max {
                return Err(BodyError::TooLarge(max));
            }
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await;
    collected.map(BytesMut::freeze).map_err(|error| Problem::from(&error))
}
