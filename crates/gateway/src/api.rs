//! The HTTP API for people and their tools.

mod artifacts;
mod logs;
mod responses;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use drover_api::Session;
use drover_store::Run;
use kube::Api;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::Gateway, auth::caller::Caller, openapi, problem::Problem};

pub(crate) use logs::LogEvent;

/// The documented routes.
pub(crate) fn router() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::get))
        .routes(routes!(logs::get))
}

/// The Session that a path names.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Target {
    /// The Session's namespace.
    #[param(example = "team-a", pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    pub(crate) namespace: String,
    /// The Session's name.
    #[param(example = "hello", max_length = 63)]
    pub(crate) name: String,
}

impl FromRequestParts<Arc<Gateway>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let Path(target) = Path::<Self>::from_request_parts(parts, gateway)
            .await
            .map_err(|rejection| Problem::malformed(rejection.body_text()))?;
        target.check().map(|()| target)
    }
}

impl Target {
    /// Names that no object can have are not asked for.
    fn check(&self) -> Result<(), Problem> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits =
            |text: &str| (1..=63).contains(&text.len()) && !text.starts_with(['-', '.']) && !text.ends_with(['-', '.']);
        if !fits(&self.namespace) || !self.namespace.bytes().all(plain) {
            return Err(Problem::malformed(
                "the path does not name a namespace: lower-case letters, digits and -, at most 63",
            ));
        }
        if !fits(&self.name) || !self.name.bytes().all(|b| plain(b) || b == b'.') {
            return Err(Problem::malformed(
                "the path does not name a Session: lower-case letters, digits, - and ., at most 63",
            ));
        }
        Ok(())
    }

    /// The Session as it is now; `None` when there is none.
    pub(crate) async fn find(&self, gateway: &Gateway) -> Result<Option<Session>, Problem> {
        let sessions = Api::<Session>::namespaced(gateway.client.clone(), &self.namespace);
        sessions.get_opt(&self.name).await.map_err(|error| Problem::kubernetes(&error))
    }

    /// The Session as it is now, and where its bytes are, for a caller who may `get` its `subresource`. Nobody else
    /// learns whether it exists.
    async fn open(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        subresource: &'static str,
    ) -> Result<(Session, Run), Problem> {
        caller.may_get(gateway, self, subresource).await?;
        let Self { namespace, name } = self;
        let missing = || Problem::not_found(format!("there is no Session {name} in the namespace {namespace}"));
        let session = self.find(gateway).await?.ok_or_else(missing)?;
        let uid = session.metadata.uid.as_deref().unwrap_or_default();
        let run = Run::new(namespace, uid).map_err(|_| missing())?;
        Ok((session, run))
    }
}
