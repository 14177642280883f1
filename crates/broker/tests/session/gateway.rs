//! A gateway that holds its side of the protocol strictly, can be told to misbehave, and stops at a step when asked to.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    serve::Listener,
};
use drover_api::{
    report::{Artifact, Report},
    runner::{Conversation, Heartbeat, Message},
};
use futures::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    server::TlsStream,
};

pub const TOKEN: &str = "token-of-the-pod";
const PATIENCE: Duration = Duration::from_secs(60);

/// A step at which requests stop until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Before(&'static str),
    After(&'static str),
    /// With the first bytes of a checkpoint read.
    InCheckpoint,
}

/// What the gateway has, and how it behaves.
pub struct Held {
    pub conversation: Conversation,
    pub reports: Vec<Report>,
    /// The last of this attempt.
    pub checkpoint: Option<Bytes>,
    /// That of an attempt before.
    pub earlier: Option<Bytes>,
    /// So many times only a part of it is sent.
    pub cut_downloads: usize,
    /// Requests that were acted on, without log and heartbeat.
    pub done: Vec<String>,
    pub stop_at: Option<Step>,
    /// How many requests stopped there.
    pub stopped: usize,
    /// Answers that are to be 503, those to the heartbeat apart.
    pub away: usize,
    /// There is no room for checkpoints.
    pub full: bool,
    /// Checkpoints that found no room.
    pub refused: usize,
    pub heartbeat: Option<Heartbeat>,
    /// How many heartbeats were answered.
    pub beats: usize,
}

pub struct Gateway {
    pub held: Arc<watch::Sender<Held>>,
    pub ca: String,
    pub port: u16,
}

impl Gateway {
    pub async fn with(messages: &[&str], interactive: bool) -> Self {
        let (ca, tls) = identity();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let held = Arc::new(watch::Sender::new(Held {
            conversation: Conversation { generation: 1, interactive, messages: messages.iter().map(message).collect() },
            reports: Vec::new(),
            checkpoint: None,
            earlier: None,
            cut_downloads: 0,
            done: Vec::new(),
            stop_at: None,
            stopped: 0,
            away: 0,
            full: false,
            refused: 0,
            heartbeat: Some(Heartbeat { stop: false }),
            beats: 0,
        }));
        let routes = Router::new()
            .route("/runner/v1/conversation", get(conversation))
            .route("/runner/v1/heartbeat", post(heartbeat))
            .route("/runner/v1/logs/{sequence}", put(async || StatusCode::NO_CONTENT))
            .route("/runner/v1/artifacts/{*name}", put(artifact))
            .route("/runner/v1/checkpoint", put(put_checkpoint).get(get_checkpoint))
            .route("/runner/v1/report", post(report))
            .layer(middleware::from_fn_with_state(Arc::clone(&held), guard))
            .with_state(Arc::clone(&held));
        tokio::spawn(async move { axum::serve(TlsListener { tcp, tls }, routes).await });
        Self { held, ca, port }
    }

    pub fn change(&self, change: impl FnOnce(&mut Held)) {
        self.held.send_modify(change);
    }

    /// Changes what the agent is told.
    pub fn say(&self, messages: &[&str]) {
        self.change(|held| {
            held.conversation.generation += 1;
            held.conversation.messages = messages.iter().map(message).collect();
        });
    }

    /// Waits until the gateway has what is asked for.
    pub async fn until(&self, what: impl FnMut(&Held) -> bool) {
        let mut held = self.held.subscribe();
        timeout(PATIENCE, held.wait_for(what)).await.expect("did not come about").map(drop).unwrap();
    }
}

fn message(id: &&str) -> Message {
    Message { id: (*id).to_owned(), text: format!("do {id}") }
}

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn identity() -> (String, TlsAcceptor) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (ca_pem, TlsAcceptor::from(Arc::new(config)))
}

type Shared = State<Arc<watch::Sender<Held>>>;

/// Checks the token, stops at the step that is set, and is away when it is told to be.
async fn guard(State(held): Shared, request: Request, next: Next) -> Response {
    if request.headers().get(AUTHORIZATION).is_none_or(|value| value != &format!("Bearer {TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let what = format!("{} {}", request.method(), request.uri().path().trim_start_matches("/runner/v1/"));
    let is_noise = what.contains("logs/") || what.contains("heartbeat");
    if !is_noise && held.borrow().away > 0 {
        held.send_modify(|held| held.away -= 1);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    pass(&held, |step| matches!(step, Step::Before(at) if at == what)).await;
    let answer = next.run(request).await;
    if what.contains("heartbeat") && answer.status().is_success() {
        held.send_modify(|held| held.beats += 1);
    }
    if !is_noise && answer.status().is_success() {
        held.send_modify(|held| held.done.push(what.clone()));
    }
    pass(&held, |step| matches!(step, Step::After(at) if at == what)).await;
    answer
}

/// Waits while requests are to stop here.
async fn pass(held: &watch::Sender<Held>, is_here: impl Fn(Step) -> bool) {
    let here = |held: &Held| held.stop_at.is_some_and(&is_here);
    if here(&held.borrow()) {
        held.send_modify(|held| held.stopped += 1);
        let _ = held.subscribe().wait_for(|held| !here(held)).await;
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<i64>,
    wait: Option<u64>,
}

async fn conversation(State(held): Shared, Query(After { after, wait }): Query<After>) -> Json<Conversation> {
    let wait = Duration::from_secs(wait.unwrap_or(0));
    let mut changes = held.subscribe();
    let changed = changes.wait_for(|held| Some(held.conversation.generation) != after);
    let _ = timeout(wait, changed).await.map(drop);
    Json(held.borrow().conversation.clone())
}

async fn heartbeat(State(held): Shared) -> Response {
    match held.borrow().heartbeat {
        Some(heartbeat) => Json(heartbeat).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn artifact(Path(name): Path<String>, body: Bytes) -> (StatusCode, Json<Artifact>) {
    let sha256 = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    (StatusCode::CREATED, Json(Artifact { name, size: body.len() as i64, sha256 }))
}

/// Whole or not at all.
async fn put_checkpoint(State(held): Shared, body: Body) -> StatusCode {
    if held.borrow().full {
        held.send_modify(|held| held.refused += 1);
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    let mut body = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        let Ok(bytes) = bytes else { return StatusCode::BAD_REQUEST };
        all.extend_from_slice(&bytes);
        pass(&held, |step| step == Step::InCheckpoint).await;
    }
    held.send_modify(|held| held.checkpoint = Some(all.into()));
    StatusCode::NO_CONTENT
}

async fn get_checkpoint(State(held): Shared) -> Response {
    let Some(all) = held.borrow().earlier.clone() else { return StatusCode::NOT_FOUND.into_response() };
    if held.borrow().cut_downloads == 0 {
        return all.into_response();
    }
    held.send_modify(|held| held.cut_downloads -= 1);
    let half = all.slice(..all.len() / 2);
    Body::from_stream(futures::stream::iter([Ok(half), Err(io::Error::other("cut off"))])).into_response()
}

/// The same report again is taken again; any other must be the next.
async fn report(State(held): Shared, Json(report): Json<Report>) -> Response {
    let mut next = None;
    held.send_modify(|held| {
        let expected = held.reports.len() as u64 + 1;
        if report.sequence == expected {
            held.reports.push(report);
        } else if held.reports.last() != Some(&report) {
            next = Some(expected);
        }
    });
    match next {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(next) => (StatusCode::CONFLICT, Json(json!({ "detail": "not the next", "next": next }))).into_response(),
    }
}
