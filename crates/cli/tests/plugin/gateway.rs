//! A gateway with one Session's log and artifacts. Its streams can be cut in the middle.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{api::TOKEN, tls::HasCertificate};

/// The gateway.
#[derive(Clone, Default)]
pub struct Gateway(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    log: Vec<Value>,
    artifacts: Vec<(Value, Vec<u8>)>,
    /// After how many bytes each of the coming streams is cut.
    cuts: VecDeque<usize>,
    /// What each stream was asked to resume after.
    resumed: Vec<Option<String>>,
    requests: usize,
    /// What ends the streams in place of the log's end.
    problem: Option<String>,
}

impl Gateway {
    /// Adds an event of the agent, or of Drover where there is no stream, to the first attempt.
    pub fn log(&self, kind: &str, stream: Option<&str>, text: &str) {
        self.log_in(1, kind, stream, text);
    }

    /// The same in an attempt; attempts are filled in their order.
    pub fn log_in(&self, attempt: u32, kind: &str, stream: Option<&str>, text: &str) {
        let mut content = self.0.lock().unwrap();
        let prefix = format!("{attempt}-");
        let before = content.log.iter().filter(|event| event["id"].as_str().unwrap().starts_with(&prefix)).count();
        let id = format!("{prefix}{}", before + 1);
        let mut event = json!({ "id": id, "time": "2026-03-01T12:00:00.000Z", "type": kind, "text": text });
        if let Some(stream) = stream {
            event["stream"] = stream.into();
        }
        content.log.push(event);
    }

    /// Adds an artifact, announced with `sha256`.
    pub fn store(&self, name: &str, bytes: &[u8], sha256: &str) {
        let artifact = json!({ "name": name, "size": bytes.len(), "sha256": sha256 });
        self.0.lock().unwrap().artifacts.push((artifact, bytes.to_vec()));
    }

    /// What a list of the artifacts says.
    pub fn artifacts(&self) -> Vec<Value> {
        self.0.lock().unwrap().artifacts.iter().map(|(artifact, _)| artifact.clone()).collect()
    }

    /// Cuts the next streams after so many bytes.
    pub fn cut(&self, after: impl IntoIterator<Item = usize>) {
        self.0.lock().unwrap().cuts.extend(after);
    }

    /// Ends streams with a problem.
    pub fn fail(&self, detail: &str) {
        let problem = json!({ "type": "about:blank", "title": "Error", "status": 500, "detail": detail });
        self.0.lock().unwrap().problem = Some(problem.to_string());
    }

    /// The `Last-Event-ID` of each stream so far.
    pub fn resumed(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().resumed.clone()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.0.lock().unwrap().requests
    }

    pub fn router(&self) -> Router {
        const SESSION: &str = "/api/v1/namespaces/{namespace}/sessions/{name}";
        Router::new()
            .route(&format!("{SESSION}/logs"), get(logs))
            .route(&format!("{SESSION}/artifacts"), get(list))
            .route(&format!("{SESSION}/artifacts/{{*artifact}}"), get(artifact))
            .layer(middleware::from_fn_with_state(self.clone(), authenticate))
            .with_state(self.clone())
    }
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let problem = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

async fn authenticate(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    gateway.0.lock().unwrap().requests += 1;
    let token = request.headers().get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"));
    if !token && request.extensions().get() != Some(&HasCertificate(true)) {
        return problem(StatusCode::UNAUTHORIZED, "Unauthorized", "nobody knows who calls");
    }
    if request.uri().path().contains("/sessions/secret/") {
        return problem(StatusCode::FORBIDDEN, "Forbidden", "you may not get sessions/logs in namespace team");
    }
    next.run(request).await
}

async fn logs(
    State(gateway): State<Gateway>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut content = gateway.0.lock().unwrap();
    let after = |content: &Content, id: Option<&str>| {
        id.and_then(|id| content.log.iter().position(|event| event["id"] == id)).map_or(0, |place| place + 1)
    };
    if headers[header::ACCEPT] != "text/event-stream" {
        // Pages of two, so that a log has several.
        let from = after(&content, query.get("after").map(String::as_str));
        let events: Vec<Value> = content.log.iter().skip(from).take(2).cloned().collect();
        let next = from + events.len();
        let complete = next == content.log.len();
        let last = next.checked_sub(1).map_or("0-0".into(), |last| content.log[last]["id"].clone());
        return Json(json!({ "events": events, "next": last, "complete": complete })).into_response();
    }
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap().to_owned());
    // One event too many after a resumption: the plugin is not to show it twice.
    let from = after(&content, last.as_deref());
    content.resumed.push(last);
    let mut text = String::from(": hello\n\n");
    for event in content.log.iter().skip(from.saturating_sub(1)) {
        let (id, kind) = (event["id"].as_str().unwrap(), event["type"].as_str().unwrap());
        text.push_str(&format!("id: {id}\nevent: {kind}\ndata: {event}\n\n"));
    }
    match &content.problem {
        Some(problem) => text.push_str(&format!("event: problem\ndata: {problem}\n\n")),
        None => text.push_str("event: end\ndata: {\"complete\":true}\n\n"),
    }
    let cut = content.cuts.pop_front();
    ([(header::CONTENT_TYPE, "text/event-stream")], cut_off(text, cut)).into_response()
}

/// A body in small chunks that breaks off with an error after `cut` bytes.
fn cut_off(text: String, cut: Option<usize>) -> Body {
    let mut bytes = text.into_bytes();
    bytes.truncate(cut.unwrap_or(usize::MAX));
    let chunks: Vec<Result<Vec<u8>, &str>> = bytes.chunks(7).map(|chunk| Ok(chunk.to_vec())).collect();
    let end = cut.map(|_| Err("cut"));
    Body::from_stream(stream::iter(chunks.into_iter().chain(end)).then(async |chunk| {
        // Lets the chunk out before the next.
        tokio::task::yield_now().await;
        chunk
    }))
}

async fn list(State(gateway): State<Gateway>) -> Json<Value> {
    Json(json!({ "artifacts": gateway.artifacts() }))
}

async fn artifact(State(gateway): State<Gateway>, Path((_, _, name)): Path<(String, String, String)>) -> Response {
    let content = gateway.0.lock().unwrap();
    match content.artifacts.iter().find(|(artifact, _)| artifact["name"] == name.as_str()) {
        Some((_, bytes)) => Body::from_stream(stream::iter([Ok::<_, Infallible>(bytes.clone())])).into_response(),
        None => problem(StatusCode::NOT_FOUND, "Not Found", "no such artifact"),
    }
}
