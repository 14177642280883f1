//! The gateway, reached from this machine through port-forwards of the API server.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use drover_api::{
    log::{Event, EventId},
    names::{GATEWAY_CA_KEY, GATEWAY_CONFIG_MAP},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};
use reqwest::{Certificate, Method, RequestBuilder, Response};
use serde::Deserialize;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{NAMESPACE, PATIENCE};

/// One of the gateway's two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// For people and their tools.
    Api,
    /// For runner pods.
    Runner,
}

impl Port {
    const fn number(self) -> u16 {
        match self {
            Self::Api => 8443,
            Self::Runner => 9443,
        }
    }

    const fn host(self) -> &'static str {
        match self {
            Self::Api => "drover-gateway.drover-system.svc",
            Self::Runner => "drover-gateway-runner.drover-system.svc",
        }
    }
}

/// A way to one port of the gateway; dropped, it closes.
pub struct Gateway {
    http: reqwest::Client,
    base: String,
    forwarding: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// A page of a log.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Its events.
    pub events: Vec<Event>,
    /// What to ask for next.
    pub next: EventId,
    /// Nothing follows.
    pub complete: bool,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its id; the last event has none.
    pub id: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its data.
    pub data: String,
}

/// A log as it grows.
pub struct LogStream {
    response: Response,
    buffer: Vec<u8>,
}

impl Gateway {
    /// Opens a way to a port; each connection goes to a pod that is ready then.
    pub(super) async fn open(client: &Client, port: Port) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let data = maps.get(GATEWAY_CONFIG_MAP).await?.data.unwrap_or_default();
        let ca = data.get(GATEWAY_CA_KEY).context("the gateway's authority is not announced")?;
        let http = reqwest::Client::builder()
            .tls_certs_only([Certificate::from_pem(ca.as_bytes())?])
            .resolve(port.host(), address)
            .pool_max_idle_per_host(0)
            .build()?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let forwarding = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let pods = pods.clone();
                tokio::spawn(async move {
                    if let Err(error) = forward(&pods, port, stream).await {
                        tracing::debug!(%error, "a connection to the gateway broke");
                    }
                });
            }
        });
        Ok(Self { http, base: format!("https://{}:{}", port.host(), address.port()), forwarding })
    }

    /// A request, with a bearer token if there is one.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).timeout(PATIENCE);
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// When there is no answer; one that refuses is an answer.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Response> {
        Ok(self.request(Method::GET, path, token).send().await?)
    }

    /// The log of a Session, page by page, until it is complete.
    ///
    /// # Errors
    /// When it is refused, or never complete.
    pub async fn log(&self, namespace: &str, name: &str, token: &str, limit: usize) -> Result<Vec<Event>> {
        let (mut events, mut after) = (Vec::new(), EventId::START);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = format!("{}?limit={limit}&after={after}", logs(namespace, name));
            let response = self.get(&path, Some(token)).await?.error_for_status()?;
            let page: Page = serde_json::from_slice(&response.bytes().await?)?;
            events.extend(page.events);
            if page.complete {
                return Ok(events);
            }
            // A log is complete once its pod cannot add to it, a moment after the Session's end.
            ensure!(Instant::now() < deadline, "the log is not complete, and does not go on after {after}");
            if page.next == after {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            after = page.next;
        }
    }

    /// The log of a Session as a stream, from the event after `last`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn follow(&self, namespace: &str, name: &str, token: &str, last: Option<&str>) -> Result<LogStream> {
        let mut request = self.request(Method::GET, &logs(namespace, name), Some(token));
        request = request.header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Ok(LogStream { response: request.send().await?.error_for_status()?, buffer: Vec::new() })
    }
}

/// The path of a Session's log.
fn logs(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/sessions/{name}/logs")
}

async fn forward(pods: &Api<Pod>, port: Port, mut local: TcpStream) -> Result<()> {
    let selected = ListParams::default().labels("app.kubernetes.io/component=gateway");
    let pods_now = pods.list(&selected).await?;
    let pod = pods_now.iter().find(|pod| is_ready(pod)).context("no pod of the gateway is ready")?;
    let mut forwarder = pods.portforward(&pod.name_any(), &[port.number()]).await?;
    let mut remote = forwarder.take_stream(port.number()).context("the port-forward has no stream")?;
    copy_bidirectional(&mut local, &mut remote).await?;
    Ok(())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

impl LogStream {
    /// The next event; `None` when the stream ends.
    ///
    /// # Errors
    /// When the stream breaks, or is silent for too long.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                match parse(std::str::from_utf8(&block)?) {
                    Some(event) => return Ok(Some(event)),
                    // A sign of life.
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            match chunk.await.context("the stream is silent")?? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The events up to the first whose text is `text`.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn up_to(&mut self, text: &str) -> Result<Vec<ServerEvent>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            let said = serde_json::from_str::<Event>(&event.data).is_ok_and(|event| event.text == text);
            events.push(event);
            if said {
                return Ok(events);
            }
        }
        bail!("the stream ended without {text:?}, after {events:?}")
    }

    /// All events to the stream's end.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn rest(mut self) -> Result<Vec<ServerEvent>> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }
}

fn parse(block: &str) -> Option<ServerEvent> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values: Vec<&str> = lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    Some(ServerEvent { id: field("id"), kind: field("event")?, data: field("data")? })
}
