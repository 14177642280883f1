//! Who calls.
//!
//! On the API's port: a bearer token that the API server takes, or a client certificate of the cluster's authorities.
//! On the runners' port: a token made for the gateway and bound to a runner pod.

pub(crate) mod caller;
pub(crate) mod pod;

use axum::http::{HeaderMap, header};

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
