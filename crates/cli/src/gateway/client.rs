//! Requests to the gateway's API, in the caller's own name.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use drover_api::{
    log::{Event, EventId},
    report::Artifact,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use kube::client::middleware::AuthLayer;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use tower::{BoxError, Layer, ServiceExt, service_fn};

use super::{
    Error, body,
    connection::{Connector, Sender},
    locate::locate,
    within,
};
use crate::cluster::Cluster;

/// How long the gateway may take to begin an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// The largest JSON answer that is taken, in bytes.
const MAX_JSON: usize = 64 * 1024 * 1024;
/// The largest description of an error that is taken, in bytes.
const MAX_PROBLEM: usize = 64 * 1024;

/// The gateway, as the caller of the kubeconfig sees it.
pub(crate) struct Gateway {
    connector: Connector,
    auth: Option<Arc<AuthLayer>>,
    /// A connection whose last answer was read, or is being read: it is used again once it is free.
    kept: Mutex<Option<Sender>>,
}

/// The Session that is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRef<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// A piece of a log.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// The events after the one that was named, in their order; none at the log's present end.
    pub(crate) events: Vec<Event>,
    /// After which event the next piece begins.
    pub(crate) next: EventId,
    /// Nothing follows any more.
    pub(crate) complete: bool,
}

#[derive(Deserialize)]
struct ArtifactList {
    artifacts: Vec<Artifact>,
}

/// RFC 9457, as far as it is shown.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl Gateway {
    /// Finds the gateway and prepares to speak with it as the kubeconfig's user. Connects when it is first asked.
    pub(crate) async fn open(cluster: &Cluster) -> Result<Self, Error> {
        if cluster.config.auth_info.impersonate.is_some() {
            let why = "the kubeconfig impersonates another user, which the gateway does not support: use a context \
                       without impersonation";
            return Err(Error::Identity(why.to_owned()));
        }
        let location = locate(cluster).await?;
        // The user's own identity, but for the gateway's address and with the gateway's authority alone.
        let mut config = cluster.config.clone();
        config.root_cert = Some(location.authorities.clone());
        config.root_cert_file = None;
        config.accept_invalid_certs = false;
        let connector = Connector::new(cluster, location, &config)?;
        Ok(Self { connector, auth: cluster.auth.clone(), kept: Mutex::new(None) })
    }

    /// What the Session handed back.
    pub(crate) async fn artifacts(&self, session: SessionRef<'_>) -> Result<Vec<Artifact>, Error> {
        let request = self.request(&session.path("artifacts"), "application/json")?;
        Ok(json::<ArtifactList>(self.send(request).await?).await?.artifacts)
    }

    /// The bytes of one artifact.
    pub(crate) async fn artifact(&self, session: SessionRef<'_>, name: &str) -> Result<Incoming, Error> {
        let path = format!("{}/{}", session.path("artifacts"), encode(name));
        Ok(self.send(self.request(&path, "*/*")?).await?.into_body())
    }

    /// What the log holds after `after`, up to a size of the gateway's choice.
    pub(crate) async fn events(&self, session: SessionRef<'_>, after: EventId) -> Result<Page, Error> {
        let path = format!("{}?after={after}", session.path("logs"));
        json(self.send(self.request(&path, "application/json")?).await?).await
    }

    /// The log after `after` as it is written, on a connection of its own.
    pub(super) async fn stream(&self, session: SessionRef<'_>, after: EventId) -> Result<Incoming, Error> {
        let mut request = self.request(&session.path("logs"), "text/event-stream")?;
        if after > EventId::START
            && let Ok(value) = after.to_string().parse()
        {
            request.headers_mut().insert("last-event-id", value);
        }
        let sender = self.connector.connect().await?;
        Ok(self.exchange(sender, request).await?.1.into_body())
    }

    fn request(&self, path: &str, accept: &str) -> Result<Request<Empty<Bytes>>, Error> {
        let location = &self.connector.location;
        Request::get(format!("{}{path}", location.base_path))
            .header(header::HOST, &location.authority)
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, concat!("kubectl-drover/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| Error::Protocol(error.to_string()))
    }

    /// Sends over the kept connection if it still lives, else over a new one.
    async fn send(&self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Error> {
        let kept = self.kept.lock().await.take();
        if let Some(mut sender) = kept
            && within(ANSWER_LIMIT, sender.ready()).await.is_ok()
        {
            match self.exchange(sender, request.clone()).await {
                Ok((sender, response)) => {
                    *self.kept.lock().await = Some(sender);
                    return Ok(response);
                }
                // The other end had closed it: the request was not acted upon, and only reads in any case.
                Err(Error::Http(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let sender = self.connector.connect().await?;
        let (sender, response) = self.exchange(sender, request).await?;
        *self.kept.lock().await = Some(sender);
        Ok(response)
    }

    /// One request and its answer, which is a good one.
    async fn exchange(
        &self,
        mut sender: Sender,
        request: Request<Empty<Bytes>>,
    ) -> Result<(Sender, Response<Incoming>), Error> {
        let request = self.authorize(request).await?;
        let response = within(ANSWER_LIMIT, sender.send_request(request)).await?;
        if response.status() == StatusCode::OK { Ok((sender, response)) } else { Err(refusal(response).await) }
    }

    /// Adds the bearer token, renewed where it has expired.
    async fn authorize(&self, request: Request<Empty<Bytes>>) -> Result<Request<Empty<Bytes>>, Error> {
        let Some(auth) = &self.auth else { return Ok(request) };
        // The layer is made to stand in front of a client. In front of this it hands the request back as it sends it.
        let echo = service_fn(async |request: Request<Empty<Bytes>>| Ok::<_, BoxError>(Response::new(request)));
        let sent = auth.layer(echo).oneshot(request).await;
        sent.map(Response::into_body).map_err(|error| Error::Identity(format!("no token for the gateway: {error}")))
    }
}

impl SessionRef<'_> {
    fn path(&self, resource: &str) -> String {
        format!("/api/v1/namespaces/{}/sessions/{}/{resource}", encode(self.namespace), encode(self.name))
    }
}

async fn json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Error> {
    let body = body::collect(response.into_body(), MAX_JSON).await?;
    serde_json::from_slice(&body).map_err(|error| Error::Protocol(error.to_string()))
}

/// Puts an answer other than 200 into words.
async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_PROBLEM).collect();
    let body = match tokio::time::timeout(ANSWER_LIMIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    };
    Error::Refused { status, text: problem_text(status, &body) }
}

/// What a `application/problem+json` says; the status' own phrase for anything else, such as a proxy's page.
pub(super) fn problem_text(status: StatusCode, body: &[u8]) -> String {
    let problem = serde_json::from_slice(body).unwrap_or(Problem { title: String::new(), detail: String::new() });
    [problem.detail, problem.title]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("an unknown status").to_owned())
}

/// Percent-encodes a path; slashes stay.
fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
