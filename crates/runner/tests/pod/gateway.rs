//! A gateway that holds its side of the protocol strictly and can be told to misbehave.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    serve::Listener,
};
use base64::Engine;
use drover_api::{
    log::{Event, Kind},
    report::{Artifact, Report},
    runner::{Conversation, Heartbeat, Message, PROMPT_ID},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
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

/// What the gateway has, and how it behaves.
#[derive(Default)]
pub struct Held {
    /// What the Session says; its generation counts the changes.
    pub messages: Vec<Message>,
    pub interactive: bool,
    generation: i64,
    pub heartbeats: usize,
    /// The pod is being deleted.
    pub stop: bool,
    /// The last checkpoint.
    pub checkpoint: Option<Bytes>,
    /// How many checkpoints were stored.
    pub checkpoints: usize,
    /// That of the attempt before.
    pub earlier: Option<Bytes>,
    pub events: Vec<Event>,
    chunks: BTreeMap<u64, Bytes>,
    pub artifacts: BTreeMap<String, Bytes>,
    pub reports: Vec<Report>,
    /// Requests that came, by path.
    pub requests: Vec<String>,
    /// Answers that are still to be replaced by 503 after the request was acted on.
    pub lose_answers: usize,
    /// Answers that are still to be replaced by 422.
    pub other_bytes: usize,
    /// Log requests are answered with 503.
    pub log_down: bool,
    /// The log takes no more than so many events, but for a few more of Drover's own.
    pub log_limit: Option<usize>,
    /// Log requests are answered with 507.
    pub log_full: bool,
    /// Artifacts that are larger are refused.
    pub artifact_limit: Option<usize>,
}

impl Held {
    /// Adds a message to the Session.
    pub fn tell(&mut self, id: &str, text: &str) {
        self.messages.push(Message { id: id.to_owned(), text: text.to_owned() });
        self.generation += 1;
    }

    /// Makes the Session interactive, or ends that.
    pub fn set_interactive(&mut self, interactive: bool) {
        self.interactive = interactive;
        self.generation += 1;
    }

    /// Begins the attempt after: logs and reports are counted anew, and the last checkpoint is that of an earlier one.
    pub fn next_attempt(&mut self) {
        self.events.clear();
        self.chunks.clear();
        self.reports.clear();
        self.earlier = self.checkpoint.take();
    }

    /// Drover's own lines.
    pub fn system(&self) -> Vec<&str> {
        self.events.iter().filter(|event| event.kind == Kind::System).map(|event| event.text.as_str()).collect()
    }

    /// The agent's own lines, put together from their pieces.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for event in self.events.iter().filter(|event| event.stream.is_some()) {
            line.push_str(&event.text);
            if !event.partial {
                lines.push(std::mem::take(&mut line));
            }
        }
        lines
    }

    pub fn says(&self, text: &str) -> bool {
        self.events.iter().any(|event| event.text.contains(text))
    }
}

/// A gateway's identity and memory; it may be up or not.
pub struct Gateway {
    pub held: Arc<watch::Sender<Held>>,
    pub ca: String,
    pub port: u16,
    /// Bound, so that the port stays this gateway's; nobody listens on it before the start.
    socket: Mutex<Option<TcpSocket>>,
    tls: TlsAcceptor,
}

impl Gateway {
    /// Has a port, on which nobody listens yet.
    pub async fn down(prompt: &str) -> Self {
        let (ca, tls) = identity();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let prompt = Message { id: PROMPT_ID.to_owned(), text: prompt.to_owned() };
        let held = Held { messages: vec![prompt], generation: 1, ..Held::default() };
        Self { held: Arc::new(watch::Sender::new(held)), ca, port, socket: Mutex::new(Some(socket)), tls }
    }

    pub async fn up(prompt: &str) -> Self {
        let gateway = Self::down(prompt).await;
        gateway.start().await;
        gateway
    }

    pub async fn start(&self) {
        let socket = self.socket.lock().unwrap().take().expect("a gateway starts once");
        let tcp = socket.listen(1024).unwrap();
        let routes = Router::new()
            .route("/runner/v1/conversation", get(conversation))
            .route("/runner/v1/heartbeat", post(heartbeat))
            .route("/runner/v1/checkpoint", put(store_checkpoint).get(earlier_checkpoint))
            .route("/runner/v1/logs/{sequence}", put(log))
            .route("/runner/v1/artifacts/{*name}", put(artifact))
            .route("/runner/v1/report", post(report))
            .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
            .layer(middleware::from_fn_with_state(Arc::clone(&self.held), guard))
            .with_state(Arc::clone(&self.held));
        let listener = TlsListener { tcp, tls: self.tls.clone() };
        tokio::spawn(async move { axum::serve(listener, routes).await });
    }

    pub fn change(&self, change: impl FnOnce(&mut Held)) {
        self.held.send_modify(change);
    }

    /// Waits until the gateway has what is asked for.
    pub async fn until(&self, what: impl FnMut(&Held) -> bool) -> watch::Ref<'_, Held> {
        let mut held = self.held.subscribe();
        timeout(PATIENCE, held.wait_for(what)).await.expect("did not come about").map(drop).unwrap();
        self.held.borrow()
    }
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

/// Checks the token, and loses answers when it is told to.
async fn guard(State(held): Shared, request: Request, next: Next) -> Response {
    if request.headers().get("authorization").is_none_or(|value| value != &format!("Bearer {TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    held.send_modify(|held| held.requests.push(request.uri().path().to_owned()));
    let answer = next.run(request).await;
    let mut lose = false;
    held.send_modify(|held| {
        lose = held.lose_answers > 0;
        held.lose_answers = held.lose_answers.saturating_sub(1);
    });
    if lose { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { answer }
}

async fn conversation(State(held): Shared, Query(query): Query<BTreeMap<String, i64>>) -> Json<Conversation> {
    let after = query.get("after").copied();
    let wait = Duration::from_secs(query.get("wait").map_or(0, |seconds| *seconds as u64));
    let other = |held: &Held| Some(held.generation) != after;
    let _ = timeout(wait, held.subscribe().wait_for(other)).await;
    let held = held.borrow();
    let Held { messages, interactive, generation, .. } = &*held;
    Json(Conversation { generation: *generation, interactive: *interactive, messages: messages.clone() })
}

async fn heartbeat(State(held): Shared) -> Json<Heartbeat> {
    held.send_modify(|held| held.heartbeats += 1);
    Json(Heartbeat { stop: held.borrow().stop })
}

/// The body is taken only when it ended properly.
async fn store_checkpoint(State(held): Shared, body: Bytes) -> StatusCode {
    held.send_modify(|held| {
        held.checkpoint = Some(body);
        held.checkpoints += 1;
    });
    StatusCode::NO_CONTENT
}

async fn earlier_checkpoint(State(held): Shared) -> Result<Bytes, StatusCode> {
    held.borrow().earlier.clone().ok_or(StatusCode::NOT_FOUND)
}

async fn log(State(held): Shared, Path(sequence): Path<u64>, body: Bytes) -> StatusCode {
    let mut status = StatusCode::NO_CONTENT;
    held.send_modify(|held| status = held.take_chunk(sequence, body));
    status
}

impl Held {
    fn take_chunk(&mut self, sequence: u64, body: Bytes) -> StatusCode {
        if self.log_down {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        if self.log_full {
            return StatusCode::INSUFFICIENT_STORAGE;
        }
        if let Some(chunk) = self.chunks.get(&sequence) {
            return if *chunk == body { StatusCode::NO_CONTENT } else { StatusCode::CONFLICT };
        }
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events: Vec<Event> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let own = events.iter().all(|event| matches!(event.kind, Kind::System | Kind::Error));
        let more = if own { 8 } else { 0 };
        if self.log_limit.is_some_and(|limit| self.events.len() + events.len() > limit + more) {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        let next = self.events.len() as u64 + 1;
        if sequence != next || events.iter().zip(next..).any(|(event, number)| event.id.sequence != number) {
            return StatusCode::CONFLICT;
        }
        self.chunks.insert(sequence, body);
        self.events.extend(events);
        StatusCode::NO_CONTENT
    }
}

async fn artifact(State(held): Shared, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let sha256 = Sha256::digest(&body);
    let announced = format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(sha256));
    let mut other_bytes = headers["content-digest"] != announced.as_str();
    let mut too_large = false;
    let sha256 = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let artifact = Artifact { name: name.clone(), size: body.len() as i64, sha256 };
    held.send_modify(|held| {
        other_bytes |= held.other_bytes > 0;
        held.other_bytes = held.other_bytes.saturating_sub(1);
        too_large = held.artifact_limit.is_some_and(|limit| body.len() > limit);
        if !other_bytes && !too_large {
            held.artifacts.insert(name, body);
        }
    });
    match (other_bytes, too_large) {
        (true, _) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        (_, true) => {
            let problem = serde_json::json!({ "title": "Payload Too Large", "detail": "only 100000 bytes are kept" });
            (StatusCode::PAYLOAD_TOO_LARGE, [("content-type", "application/problem+json")], problem.to_string())
                .into_response()
        }
        _ => (StatusCode::CREATED, Json(artifact)).into_response(),
    }
}

/// The same report again is taken again; any other must be the next.
async fn report(State(held): Shared, Json(report): Json<Report>) -> StatusCode {
    let mut status = StatusCode::NO_CONTENT;
    held.send_modify(|held| {
        if report.sequence == held.reports.len() as u64 + 1 {
            held.reports.push(report);
        } else if held.reports.last() != Some(&report) {
            status = StatusCode::CONFLICT;
        }
    });
    status
}
