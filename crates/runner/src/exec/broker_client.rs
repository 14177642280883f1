//! The broker as `exec` sees it.
//!
//! Each call goes on until the broker answered, over as many connections as that takes: the broker may be restarted at
//! any time. Whether it is away for too long is for [`stop`](super::stop) alone to say. Lines are kept until it took
//! them, at most one batch and what the channel holds.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use drover_api::runner::{NextTurn, Output, Termination, TurnEnd};
use http::{
    Method, Request, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, sync::mpsc, time::Instant};

/// How often the socket is tried at first: a broker that is just starting is there within moments.
const POLL_FIRST: Duration = Duration::from_millis(20);
/// How often it is tried after [`EAGER`].
const POLL_LATER: Duration = Duration::from_millis(100);
/// How long the socket is tried often.
const EAGER: Duration = Duration::from_secs(2);
/// A batch of lines is sent as it is once it has so many bytes.
const BATCH: usize = 64 * 1024;
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The broker gave an answer that asking again would not change, and that helps nobody.
#[derive(Debug, thiserror::Error)]
#[error("the broker beside the agent answered {path} with {status}: {answer}")]
pub(super) struct Refused {
    path: String,
    status: StatusCode,
    answer: String,
}

impl Refused {
    fn new(path: &str, status: StatusCode, answer: &[u8]) -> Self {
        let answer = String::from_utf8_lossy(&answer[..answer.len().min(512)]).into_owned();
        Self { path: path.to_owned(), status, answer }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A client for the broker, with the connection that is open.
#[derive(Debug)]
pub(super) struct BrokerClient {
    socket: PathBuf,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl BrokerClient {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket, connection: None }
    }

    /// The next message, once there is one; `None` when no more will come.
    pub(super) async fn next_turn(&mut self) -> Result<Option<NextTurn>, Refused> {
        const PATH: &str = "/v1/turns/next";
        match self.answered(Method::GET, PATH, &Bytes::new()).await {
            (StatusCode::NO_CONTENT, _) => Ok(None),
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map(Some).map_err(|_| Refused::new(PATH, StatusCode::OK, &body))
            }
            (status, answer) => Err(Refused::new(PATH, status, &answer)),
        }
    }

    /// Over once the turn can no longer be lost.
    pub(super) async fn end_turn(&mut self, id: &str, end: &TurnEnd) -> Result<(), Refused> {
        let path = format!("/v1/turns/{id}/end");
        // Cannot fail: no key or value of it is one that JSON cannot hold.
        let body = Bytes::from(serde_json::to_vec(end).unwrap_or_default());
        match self.answered(Method::POST, &path, &body).await {
            (status, _) if status.is_success() => Ok(()),
            (status, answer) => Err(Refused::new(&path, status, &answer)),
        }
    }

    /// Over once the broker stored all.
    pub(super) async fn finish(&mut self) {
        let (status, report) = self.answered(Method::POST, "/v1/finish", &Bytes::new()).await;
        tracing::info!(%status, report = %String::from_utf8_lossy(&report), "finished");
    }

    /// Why the agent has to end, once it has to; `None` when the connection broke before.
    pub(super) async fn stop(&mut self) -> Option<Termination> {
        let problem: Error = match self.exchange(Method::GET, "/v1/stop", Bytes::new()).await {
            Ok((StatusCode::OK, body)) => match serde_json::from_slice(&body) {
                Ok(termination) => return Some(termination),
                Err(error) => error.into(),
            },
            Ok((status, _)) => status.to_string().into(),
            Err(error) => error,
        };
        tracing::warn!(error = problem, "the broker went without a word");
        self.connection = None;
        tokio::time::sleep(POLL_LATER).await;
        None
    }

    /// Asks until there is an answer that asking again would not change.
    async fn answered(&mut self, method: Method, path: &str, body: &Bytes) -> (StatusCode, Bytes) {
        loop {
            self.connected().await;
            match self.exchange(method.clone(), path, body.clone()).await {
                Ok((status, answer)) if !status.is_server_error() => return (status, answer),
                Ok((status, _)) => tracing::warn!(%status, path, "the broker cannot answer yet"),
                Err(error) => tracing::warn!(error, path, "the connection to the broker broke"),
            }
            self.connection = None;
            tokio::time::sleep(POLL_LATER).await;
        }
    }

    /// Over once there is a connection.
    pub(super) async fn connected(&mut self) {
        let since = Instant::now();
        while self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            match self.connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(_) => tokio::time::sleep(if since.elapsed() < EAGER { POLL_FIRST } else { POLL_LATER }).await,
            }
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Error> {
        let connection = self.connection.as_mut().ok_or("there is no connection")?;
        connection.ready().await?;
        let request = Request::builder().method(method).uri(path).header(HOST, "broker");
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body))?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok((status, body))
    }
}

/// Sends all lines of the channel, in order, until it is closed and empty.
///
/// A batch is what is there when the one before was taken: nothing waits for company, and a busy agent's lines share
/// requests. Each says how many lines came before it, so that a batch that is sent again is not taken twice.
pub(super) async fn send_all(mut broker: BrokerClient, mut lines: mpsc::Receiver<Output>) {
    let mut sent = 0_u64;
    while let Some(first) = lines.recv().await {
        let mut batch = Vec::new();
        let mut count = 0;
        let mut next = Some(first);
        while let Some(line) = next {
            encode(&line, &mut batch);
            count += 1;
            next = if batch.len() < BATCH { lines.try_recv().ok() } else { None };
        }
        let path = format!("/v1/output?from={sent}");
        let (status, answer) = broker.answered(Method::POST, &path, &Bytes::from(batch)).await;
        if !status.is_success() {
            // Would be so for ever; the agent must not wait for it.
            tracing::error!(%status, answer = %String::from_utf8_lossy(&answer), "the broker refused output");
        }
        sent += count;
    }
}

fn encode(line: &Output, batch: &mut Vec<u8>) {
    // Cannot fail: an output has no key or value that JSON cannot hold.
    if serde_json::to_writer(&mut *batch, line).is_ok() {
        batch.push(b'\n');
    }
}
