//! As much of a Kubernetes API server as the plugin asks for.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::forward;

/// The bearer token that is accepted.
pub const TOKEN: &str = "canary-token";

/// The API server.
#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<Objects>>,
    /// Counts the changes of Sessions.
    version: watch::Sender<usize>,
}

#[derive(Default)]
struct Objects {
    /// Every state of every Session, in order; a version is the number of states before it.
    history: Vec<Value>,
    gateway: Value,
    pods: Option<SocketAddr>,
    requests: Vec<String>,
    /// Of each patch that was sent, its query and its operations.
    patches: Vec<(BTreeMap<String, String>, Value)>,
    /// Before how many of the next patches somebody else is quicker.
    interferences: usize,
    /// By what they are about.
    events: BTreeMap<String, Vec<Value>>,
}

impl Api {
    pub fn new() -> Self {
        Self { state: Arc::default(), version: watch::Sender::new(0) }
    }

    /// Announces the gateway.
    pub fn announce(&self, url: &str, ca: &str) {
        self.state.lock().unwrap().gateway = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "drover-gateway" },
            "data": { "url": url, "ca.crt": ca },
        });
    }

    /// Makes a ready gateway pod, whose port is at `address`. Without one, pods may not be listed.
    pub fn add_pod(&self, address: SocketAddr) {
        self.state.lock().unwrap().pods = Some(address);
    }

    /// Method and path of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Each patch that was sent so far: its query and its operations.
    pub fn patches(&self) -> Vec<(BTreeMap<String, String>, Value)> {
        self.state.lock().unwrap().patches.clone()
    }

    /// Lets somebody else write the status just before each of the next patches.
    pub fn interfere(&self, times: usize) {
        self.state.lock().unwrap().interferences = times;
    }

    /// Adds an event that the field selector finds. Without any, events may not be listed.
    pub fn tell(&self, selector: &str, event: Value) {
        self.state.lock().unwrap().events.entry(selector.to_owned()).or_default().push(event);
    }

    /// Waits until the Session has what `seen` looks for.
    pub async fn until(&self, name: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let mut version = self.version.subscribe();
        version.wait_for(|_| self.session(name).is_some_and(|session| seen(&session))).await.unwrap();
        self.session(name).unwrap()
    }

    /// Adds a Session as it is.
    pub fn put(&self, mut session: Value) {
        let mut state = self.state.lock().unwrap();
        let version = state.history.len() + 1;
        session["metadata"]["resourceVersion"] = version.to_string().into();
        state.history.push(session);
        drop(state);
        self.version.send_replace(version);
    }

    /// Writes a Session over the version that it names, and no other.
    fn replace(&self, name: &str, mut session: Value) -> Option<Value> {
        let mut state = self.state.lock().unwrap();
        let present = state.history.iter().rev().find(|session| session["metadata"]["name"] == name)?;
        if present["metadata"]["resourceVersion"] != session["metadata"]["resourceVersion"] {
            return None;
        }
        let version = state.history.len() + 1;
        session["metadata"]["resourceVersion"] = version.to_string().into();
        state.history.push(session.clone());
        drop(state);
        self.version.send_replace(version);
        Some(session)
    }

    /// Writes the status of a Session, as the operator does.
    pub fn set_status(&self, name: &str, status: Value) {
        let mut session = self.session(name).expect("a Session");
        session["status"] = status;
        self.put(session);
    }

    /// The present state of a Session.
    pub fn session(&self, name: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.history.iter().rev().find(|session| session["metadata"]["name"] == name).cloned()
    }

    /// The name of the next Session that is created.
    pub async fn created(&self) -> String {
        let mut version = self.version.subscribe();
        version.wait_for(|version| *version > 0).await.unwrap();
        self.state.lock().unwrap().history[0]["metadata"]["name"].as_str().unwrap().to_owned()
    }

    pub fn router(&self) -> Router {
        const SESSIONS: &str = "/apis/drover.dev/v1alpha1/namespaces/{namespace}/sessions";
        Router::new()
            .route("/api/v1/namespaces/{namespace}/configmaps/drover-gateway", get(announcement))
            .route("/api/v1/namespaces/drover-system/pods", get(pods))
            .route("/api/v1/namespaces/drover-system/pods/{pod}/portforward", get(port_forward))
            .route(SESSIONS, get(list).post(create))
            .route(&format!("{SESSIONS}/{{name}}"), get(read).patch(patch))
            .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(review))
            .route("/api/v1/namespaces/team/events", get(events))
            .route("/apis/drover.dev/v1alpha1/sessions", get(list))
            .layer(middleware::from_fn_with_state(self.clone(), authenticate))
            .with_state(self.clone())
    }
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
                         "reason": reason, "message": message });
    (code, Json(status)).into_response()
}

async fn authenticate(State(api): State<Api>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    api.state.lock().unwrap().requests.push(line);
    let token = request.headers().get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"));
    let certificate = request.extensions().get() == Some(&super::tls::HasCertificate(true));
    if token || certificate {
        next.run(request).await
    } else {
        failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }
}

async fn announcement(State(api): State<Api>, Path(namespace): Path<String>) -> Response {
    let gateway = api.state.lock().unwrap().gateway.clone();
    if namespace != "drover-system" {
        return failure(StatusCode::NOT_FOUND, "NotFound", "configmaps \"drover-gateway\" not found");
    }
    Json(gateway).into_response()
}

async fn pods(State(api): State<Api>) -> Response {
    if api.state.lock().unwrap().pods.is_none() {
        return failure(StatusCode::FORBIDDEN, "Forbidden", "pods is forbidden");
    }
    let pod = |name: &str, ready: &str| json!({ "metadata": { "name": name }, "status": { "conditions": [{ "type": "Ready", "status": ready }] } });
    Json(json!({ "apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod("old", "False"), pod("new", "True")] }))
        .into_response()
}

async fn port_forward(State(api): State<Api>, Path(pod): Path<String>, request: Request) -> Response {
    let address = api.state.lock().unwrap().pods.filter(|_| pod == "new");
    match address {
        Some(address) => forward::accept(request, address),
        None => failure(StatusCode::NOT_FOUND, "NotFound", "no such pod"),
    }
}

async fn create(
    State(api): State<Api>,
    Path(namespace): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    Json(mut session): Json<Value>,
) -> Response {
    if session["spec"]["timeout"] == "744h" {
        return failure(StatusCode::FORBIDDEN, "Forbidden", "the namespace allows at most 1h");
    }
    let metadata = session["metadata"].as_object_mut().unwrap();
    if let Some(prefix) = metadata.get("generateName").and_then(Value::as_str) {
        let name = format!("{prefix}abcde");
        metadata.insert("name".to_owned(), name.into());
    }
    metadata.insert("namespace".to_owned(), namespace.into());
    metadata.insert("uid".to_owned(), "1234".into());
    metadata.insert("creationTimestamp".to_owned(), "2026-03-01T12:00:00Z".into());
    session["status"] = json!({ "observedGeneration": -1, "phase": "Pending" });
    if !query.contains_key("dryRun") {
        api.put(session.clone());
    }
    (StatusCode::CREATED, Json(session)).into_response()
}

async fn read(State(api): State<Api>, Path((_, name)): Path<(String, String)>) -> Response {
    match api.session(&name) {
        Some(session) => Json(session).into_response(),
        None => {
            let message = format!("sessions.drover.dev \"{name}\" not found");
            failure(StatusCode::NOT_FOUND, "NotFound", &message)
        }
    }
}

async fn patch(
    State(api): State<Api>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    Json(operations): Json<Value>,
) -> Response {
    let interfere = {
        let mut state = api.state.lock().unwrap();
        state.patches.push((query, operations.clone()));
        let interfere = state.interferences > 0;
        state.interferences = state.interferences.saturating_sub(1);
        interfere
    };
    let Some(before) = api.session(&name) else { return read(State(api), Path((namespace, name))).await };
    if interfere {
        api.put(before.clone());
    }
    let mut session = before;
    let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut session, &operations).unwrap();
    if let Some(generation) = session["metadata"]["generation"].as_i64() {
        session["metadata"]["generation"] = (generation + 1).into();
    }
    match api.replace(&name, session) {
        Some(session) => Json(session).into_response(),
        None => failure(StatusCode::CONFLICT, "Conflict", "the object has been modified"),
    }
}

async fn review() -> Response {
    let user = json!({ "userInfo": { "username": "jane" } });
    let kind = "SelfSubjectReview";
    (StatusCode::CREATED, Json(json!({ "apiVersion": "authentication.k8s.io/v1", "kind": kind, "status": user })))
        .into_response()
}

async fn events(State(api): State<Api>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let events = api.state.lock().unwrap().events.clone();
    if events.is_empty() {
        return failure(StatusCode::FORBIDDEN, "Forbidden", "events is forbidden");
    }
    let found = events.get(&query["fieldSelector"]).cloned().unwrap_or_default();
    Json(json!({ "apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": found })).into_response()
}

/// A list, or a watch from a version on.
async fn list(State(api): State<Api>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    if query.contains_key("watch") {
        let from: usize = query["resourceVersion"].parse().unwrap();
        return Body::from_stream(stream::unfold((api, from), next_change)).into_response();
    }
    let state = api.state.lock().unwrap();
    let latest: BTreeMap<String, Value> =
        state.history.iter().map(|s| (s["metadata"]["name"].to_string(), s.clone())).collect();
    let version = state.history.len().to_string();
    Json(json!({ "apiVersion": "drover.dev/v1alpha1", "kind": "SessionList",
                 "metadata": { "resourceVersion": version }, "items": latest.into_values().collect::<Vec<_>>() }))
    .into_response()
}

async fn next_change((api, from): (Api, usize)) -> Option<(Result<String, Infallible>, (Api, usize))> {
    api.version.subscribe().wait_for(|version| *version > from).await.ok()?;
    let object = api.state.lock().unwrap().history[from].clone();
    let line = format!("{}\n", json!({ "type": "MODIFIED", "object": object }));
    Some((Ok(line), (api, from + 1)))
}
