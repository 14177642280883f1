//! The client for the gateway's runner port.

use std::{io, path::PathBuf, time::Duration};

use base64::Engine;
use bytes::Bytes;
use drover_api::{
    report::{Artifact, Report},
    runner::{Conversation, Heartbeat, MAX_WAIT_SECONDS},
};
use reqwest::{
    Body, Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    redirect,
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::{
    Config,
    backoff::{Backoff, SLOW},
    text::{cut, one_line},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For requests whose bodies are small.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection on which nothing is acknowledged for so long is given up, or a gateway whose node died would hold the
/// log until the request's own timeout.
const SILENCE: Duration = Duration::from_secs(10);
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST_UPLOAD: u64 = 512 * 1024;
/// How much of an answer that says no is read, in bytes.
const MAX_REFUSAL: usize = 4 * 1024;
/// How much of it the broker's own log shows, in bytes.
const SHOWN_REFUSAL: usize = 256;
/// How much of the gateway's own explanation is told to the user, in bytes.
const MAX_DETAIL: usize = 200;

/// The gateway, as one pod sees it.
#[derive(Debug)]
pub(crate) struct Gateway {
    http: Client,
    base: Url,
    token: PathBuf,
}

/// Why a request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No answer: the network, TLS or a timeout.
    #[error("no answer from the gateway: {0}")]
    NoAnswer(String),
    /// The gateway said no.
    #[error("the gateway answered {status}: {}", cut(.text, SHOWN_REFUSAL))]
    Answer { status: StatusCode, text: String },
    /// The token cannot be read.
    #[error("the token for the gateway cannot be read: {0}")]
    Token(io::Error),
}

impl Failure {
    /// The status, if there was an answer.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::NoAnswer(_) | Self::Token(_) => None,
        }
    }

    /// What the gateway says is wrong: one line of at most [`MAX_DETAIL`] bytes.
    pub(crate) fn detail(&self) -> Option<String> {
        let line = one_line(&self.problem()?.detail);
        let line = cut(line.trim(), MAX_DETAIL);
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The number that the gateway expects next, where it says so.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.problem()?.next
    }

    fn problem(&self) -> Option<Problem> {
        let Self::Answer { text, .. } = self else { return None };
        serde_json::from_str(text).ok()
    }

    /// Why, as the end of a sentence for the user.
    pub(crate) fn reason(&self) -> String {
        match (self.status(), self.detail()) {
            (Some(status), Some(detail)) => format!("the gateway answered {status}: {detail}"),
            (Some(status), None) => format!("the gateway answered {status}"),
            (None, _) => "the gateway could not be reached".to_owned(),
        }
    }

    /// When the same request should be tried again; `None` when the answer would be the same for ever.
    pub(crate) fn retry_in(&self, backoff: &mut Backoff) -> Option<Duration> {
        let Some(status) = self.status() else { return Some(backoff.advance()) };
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Some(backoff.advance()),
            // The kubelet may be about to renew the token, or the gateway about to see the pod.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Some(backoff.advance().max(SLOW))
            }
            status if status.is_client_error() => None,
            _ => Some(backoff.advance()),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The causes say what matters ("connection refused"); the error itself only names the request.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::NoAnswer(text)
    }
}

/// What the gateway answers as `application/problem+json`, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    next: Option<u64>,
}

/// A file's bytes and what was promised of them.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Stands at the first byte.
    pub(crate) file: tokio::fs::File,
    /// How many bytes to send.
    pub(crate) size: u64,
    /// Their SHA-256 checksum.
    pub(crate) sha256: [u8; 32],
}

impl Gateway {
    /// A client that trusts only the configured certificate authority.
    pub(crate) fn new(config: &Config) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(config.ca.as_bytes())?)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(SILENCE)
            .http2_keep_alive_interval(SILENCE)
            .http2_keep_alive_timeout(SILENCE)
            .build()?;
        Ok(Self { http, base: config.gateway.clone(), token: config.paths.token.clone() })
    }

    /// What the agent is told. With `after`, once the Session's generation is another, or nothing came for long.
    pub(crate) async fn conversation(&self, after: Option<i64>) -> Result<Conversation, Failure> {
        let mut url = self.url(&["conversation"]);
        let mut longest = REQUEST_TIMEOUT;
        if let Some(after) = after {
            url.set_query(Some(&format!("after={after}&wait={MAX_WAIT_SECONDS}")));
            longest += Duration::from_secs(MAX_WAIT_SECONDS);
        }
        let request = self.request_to(Method::GET, url).await?.timeout(longest);
        Ok(self.send(request).await?.json().await?)
    }

    /// Says that the broker lives.
    pub(crate) async fn heartbeat(&self) -> Result<Heartbeat, Failure> {
        let request = self.request(Method::POST, &["heartbeat"]).await?.timeout(REQUEST_TIMEOUT);
        Ok(self.send(request).await?.json().await?)
    }

    /// Stores a checkpoint of at most `most` bytes.
    pub(crate) async fn put_checkpoint(&self, body: Body, most: u64) -> Result<(), Failure> {
        let request = self.request(Method::PUT, &["checkpoint"]).await?;
        let request = request.header(CONTENT_TYPE, "application/x-tar").timeout(upload_timeout(most)).body(body);
        self.send(request).await.map(drop)
    }

    /// The checkpoint of the latest earlier attempt that made one, to be read by its [`chunk`](Response::chunk)s.
    pub(crate) async fn checkpoint(&self) -> Result<Option<Response>, Failure> {
        let request = self.request(Method::GET, &["checkpoint"]).await?;
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.send(request)).await;
        match answer.map_err(|_| Failure::NoAnswer("the checkpoint did not begin in time".to_owned()))? {
            Ok(response) => Ok(Some(response)),
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Stores lines of events, the first numbered `sequence`.
    pub(crate) async fn put_log(&self, sequence: u64, lines: Bytes) -> Result<(), Failure> {
        let request = self.request(Method::PUT, &["logs", &sequence.to_string()]).await?;
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").timeout(REQUEST_TIMEOUT).body(lines);
        self.send(request).await.map(drop)
    }

    /// Stores a file as the artifact `name`.
    pub(crate) async fn put_artifact(&self, name: &str, upload: Upload) -> Result<Artifact, Failure> {
        let path: Vec<&str> = std::iter::once("artifacts").chain(name.split('/')).collect();
        let digest = base64::engine::general_purpose::STANDARD.encode(upload.sha256);
        let request = self.request(Method::PUT, &path).await?;
        let request = request
            .header("content-digest", format!("sha-256=:{digest}:"))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, upload.size)
            .timeout(upload_timeout(upload.size))
            // A file that grows meanwhile must not make the body longer than was said.
            .body(Body::wrap_stream(ReaderStream::with_capacity(upload.file.take(upload.size), 64 * 1024)));
        Ok(self.send(request).await?.json().await?)
    }

    /// Writes a report over its predecessor.
    pub(crate) async fn report(&self, report: &Report) -> Result<(), Failure> {
        let request = self.request(Method::POST, &["report"]).await?.timeout(REQUEST_TIMEOUT).json(report);
        self.send(request).await.map(drop)
    }

    async fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        self.request_to(method, self.url(path)).await
    }

    /// A request with the token as it is now: the kubelet renews the file.
    async fn request_to(&self, method: Method, url: Url) -> Result<RequestBuilder, Failure> {
        let token = tokio::fs::read_to_string(&self.token).await.map_err(Failure::Token)?;
        Ok(self.http.request(method, url).bearer_auth(token.trim()))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["runner", "v1"]).extend(path);
        }
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(Failure::Answer { status, text: beginning(response).await })
    }
}

/// How long an upload of so many bytes may take.
fn upload_timeout(bytes: u64) -> Duration {
    REQUEST_TIMEOUT + Duration::from_secs(bytes / SLOWEST_UPLOAD)
}

/// The beginning of an answer, whatever its length.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_REFUSAL)]);
        if bytes.len() >= MAX_REFUSAL {
            break;
        }
    }
    cut(&String::from_utf8_lossy(&bytes), MAX_REFUSAL).to_owned()
}

#[cfg(test)]
mod tests;
