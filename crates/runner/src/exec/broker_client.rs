//! The broker as `exec` sees it.
//!
//! Each call goes on until the broker answered, over as many connections as that takes: the broker may be restarted at
//! any time. Lines are kept until it took them, at most one batch and what the channel holds.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use drover_api::runner::Output;
use http::{Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, sync::mpsc, time::Instant};

/// How long the broker may be away.
const AWAY: Duration = Duration::from_secs(120);
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

/// There is no broker that answers.
#[derive(Debug)]
pub(super) struct Gone;

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

    /// The prompt, once the broker has it.
    pub(super) async fn prompt(&mut self) -> Result<String, Gone> {
        let (status, body) = self.answered(Method::GET, "/v1/prompt", &Bytes::new()).await?;
        if status.is_success() { Ok(String::from_utf8_lossy(&body).into_owned()) } else { Err(Gone) }
    }

    /// Over once the broker stored all, or is gone.
    pub(super) async fn finish(&mut self) {
        match self.answered(Method::POST, "/v1/finish", &Bytes::new()).await {
            Ok((_, report)) => tracing::info!(report = %String::from_utf8_lossy(&report), "finished"),
            Err(Gone) => tracing::warn!("the broker is gone"),
        }
    }

    /// Asks until there is an answer that asking again would not change.
    async fn answered(&mut self, method: Method, path: &str, body: &Bytes) -> Result<(StatusCode, Bytes), Gone> {
        let mut since = Instant::now();
        loop {
            if let Err(error) = self.connect(since).await {
                tracing::warn!(%error, "the broker does not answer");
                return Err(Gone);
            }
            match self.exchange(method.clone(), path, body.clone()).await {
                Ok((status, answer)) if !status.is_server_error() => return Ok((status, answer)),
                Ok((status, _)) => tracing::warn!(%status, path, "the broker cannot answer yet"),
                Err(error) => tracing::warn!(%error, path, "the connection to the broker broke"),
            }
            self.connection = None;
            since = Instant::now();
            tokio::time::sleep(POLL_LATER).await;
        }
    }

    /// Makes sure that there is a connection; gives up [`AWAY`] after `since`.
    async fn connect(&mut self, since: Instant) -> io::Result<()> {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_closed()) {
            return Ok(());
        }
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => break stream,
                Err(error) if since.elapsed() > AWAY => return Err(error),
                Err(_) => {
                    tokio::time::sleep(if since.elapsed() < EAGER { POLL_FIRST } else { POLL_LATER }).await;
                }
            }
        };
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(driver);
        self.connection = Some(connection);
        Ok(())
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Error> {
        let connection = self.connection.as_mut().ok_or("there is no connection")?;
        connection.ready().await?;
        let request = Request::builder().method(method).uri(path).header(HOST, "broker").body(Full::new(body))?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok((status, body))
    }
}

/// Sends all lines of the channel, in order, until it is closed and empty, and gives the client back.
///
/// A batch is what is there when the one before was taken: nothing waits for company, and a busy agent's lines share
/// requests. Each says how many lines came before it, so that a batch that is sent again is not taken twice.
pub(super) async fn send_all(mut broker: BrokerClient, mut lines: mpsc::Receiver<Output>) -> BrokerClient {
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
        let batch = Bytes::from(batch);
        loop {
            match broker.answered(Method::POST, &path, &batch).await {
                Ok((status, _)) if status.is_success() => break,
                Ok((status, answer)) => {
                    // Would be so for ever; the agent must not wait for it.
                    tracing::error!(%status, answer = %String::from_utf8_lossy(&answer), "the broker refused output");
                    break;
                }
                // The agent waits meanwhile; its deadline is the bound.
                Err(Gone) => {}
            }
        }
        sent += count;
    }
    broker
}

fn encode(line: &Output, batch: &mut Vec<u8>) {
    // Cannot fail: an output has no key or value that JSON cannot hold.
    if serde_json::to_writer(&mut *batch, line).is_ok() {
        batch.push(b'\n');
    }
}
