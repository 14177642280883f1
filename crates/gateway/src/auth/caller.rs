//! People and their tools.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use drover_api::GROUP;
use drover_k8s::reviews::{Access, Identity};
use drover_service::server::PeerCertificate;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{api::Target, app::Gateway, auth::bearer, problem::Problem};

/// The group of everybody whom the API server knows. It adds the group to those that a certificate names.
const AUTHENTICATED: &str = "system:authenticated";

/// Who calls, known to the API server or by a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Identity);

impl FromRequestParts<Arc<Gateway>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        if let Some(token) = bearer(&parts.headers) {
            let identity =
                gateway.reviews.authenticate(token, None).await.map_err(|error| Problem::kubernetes(&error))?;
            return identity
                .map(Self)
                .ok_or_else(|| Problem::unauthenticated("the bearer token is not valid or has expired"));
        }
        let certificate = parts.extensions.get::<PeerCertificate>().and_then(|peer| peer.0.as_deref());
        certificate.and_then(of_certificate).map(Self).ok_or_else(|| {
            Problem::unauthenticated(
                "say who you are: with a bearer token of the cluster, or with a client certificate of the cluster",
            )
        })
    }
}

/// Whom a verified certificate names, as the API server reads it: the common name is the user, organisations are groups.
fn of_certificate(der: &[u8]) -> Option<Identity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // A connection may live longer than the certificate it began with.
    if !certificate.validity().is_valid() {
        return None;
    }
    let subject = certificate.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
    let groups = organizations.chain([AUTHENTICATED]).map(str::to_owned).collect();
    (!user.is_empty()).then(|| Identity { user, groups, ..Identity::default() })
}

impl Caller {
    /// Makes sure that the caller may `get` the `subresource` of the Session.
    pub(crate) async fn may_get(
        &self,
        gateway: &Gateway,
        target: &Target,
        subresource: &'static str,
    ) -> Result<(), Problem> {
        let Target { namespace, name } = target;
        let access = Access { verb: "get", group: GROUP, resource: "sessions", subresource, namespace, name };
        if gateway.reviews.allowed(&self.0, &access).await.map_err(|error| Problem::kubernetes(&error))? {
            return Ok(());
        }
        let user = &self.0.user;
        Err(Problem::forbidden(format!(
            "{user} may not get sessions/{subresource} in the API group {GROUP} for the Session {name} in the \
             namespace {namespace}: ask for a role that allows it"
        )))
    }
}

#[cfg(test)]
mod tests;
