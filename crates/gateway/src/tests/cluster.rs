//! A Kubernetes API in memory: objects, lists in pages, watches, reviews.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, Response},
};
use futures::{StreamExt, channel::mpsc};
use kube::{Client, client::Body as KubeBody};
use serde_json::{Value, json};
use tower::service_fn;

const SESSIONS: &str = "/sessions";

/// The cluster as the gateway sees it.
#[derive(Clone, Default)]
pub(super) struct Cluster(Arc<Mutex<Objects>>);

/// Changes a pod.
type Rival = Box<dyn FnOnce(&mut Value) + Send>;

#[derive(Default)]
struct Objects {
    /// By path.
    objects: BTreeMap<String, Value>,
    /// What happened so far, with the object's path and version, as a watch tells it.
    events: Vec<(String, u64, Value)>,
    /// The version of the last event.
    version: u64,
    watchers: Vec<Watcher>,
    /// Users by token and audience.
    tokens: BTreeMap<(String, Option<String>), Value>,
    /// `user subresource namespace/name`.
    allowed: BTreeSet<String>,
    broken: bool,
    /// What was asked, as `METHOD path`.
    asked: Vec<String>,
    /// Called once before the next patch, as somebody who is faster.
    rival: Option<Rival>,
    /// Called once after a list was answered for the last time.
    after_list: Option<Box<dyn FnOnce() + Send>>,
}

/// Somebody who watches one object.
struct Watcher {
    path: String,
    events: mpsc::UnboundedSender<Result<Bytes, Infallible>>,
}

impl Cluster {
    pub(super) fn client(&self) -> Client {
        let cluster = self.clone();
        let service = service_fn(move |request: Request<KubeBody>| {
            let cluster = cluster.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let query: HashMap<String, String> =
                    axum::extract::Query::try_from_uri(&head.uri).map(|query| query.0).unwrap();
                let metadata_only = head
                    .headers
                    .get("accept")
                    .is_some_and(|accept| accept.to_str().unwrap().contains("as=PartialObjectMetadata"));
                if query.get("watch").is_some_and(|watch| watch == "true") {
                    assert!(metadata_only, "a watch of more than metadata");
                    return Ok(Response::new(cluster.watch(head.uri.path(), &query)));
                }
                let method = head.method.as_str();
                let (status, answer) = match query.get("limit") {
                    Some(limit) => cluster.list(head.uri.path(), limit.parse().unwrap(), &query, metadata_only),
                    None => cluster.answer(method, head.uri.path(), &body),
                };
                let answer = Response::builder().status(status).body(Body::from(serde_json::to_vec(&answer).unwrap()));
                Ok::<_, Infallible>(answer.unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let mut objects = self.0.lock().unwrap();
        objects.asked.push(format!("{method} {path}"));
        if objects.broken {
            return failure(500, "InternalError");
        }
        let question: Value = serde_json::from_slice(body).unwrap_or_default();
        match (method, path) {
            ("POST", "/apis/authentication.k8s.io/v1/tokenreviews") => (201, objects.token_review(&question)),
            ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => (201, objects.access_review(&question)),
            ("GET", path) => {
                objects.objects.get(path).map_or_else(|| failure(404, "NotFound"), |found| (200, found.clone()))
            }
            ("PATCH", path) => objects.patch(path.strip_suffix("/status").unwrap(), body),
            _ => panic!("{method} {path} needs a right that the gateway does not have"),
        }
    }

    /// A page of the Sessions of a namespace or of all.
    fn list(&self, path: &str, limit: usize, query: &HashMap<String, String>, metadata_only: bool) -> (u16, Value) {
        let mut objects = self.0.lock().unwrap();
        objects.asked.push(format!("LIST {path}"));
        if objects.broken {
            return failure(500, "InternalError");
        }
        let folder = path.strip_suffix(SESSIONS).unwrap_or_else(|| panic!("{path} needs a right to list"));
        let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let sessions = objects.objects.iter().filter(|(at, _)| at.starts_with(folder) && at.contains("/sessions/"));
        let mut items: Vec<Value> = sessions.map(|(_, object)| object.clone()).collect();
        let total = items.len();
        items = items.into_iter().skip(from).take(limit).collect();
        let next = from + items.len();
        if metadata_only {
            items = items.iter().map(metadata).collect();
        }
        let token = if next < total { next.to_string() } else { String::new() };
        let after = if token.is_empty() { objects.after_list.take() } else { None };
        drop(objects);
        if let Some(after) = after {
            after();
        }
        (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": token}, "items": items}))
    }

    /// Everything that happens to one object after a version.
    fn watch(&self, path: &str, query: &HashMap<String, String>) -> Body {
        let name = query["fieldSelector"].strip_prefix("metadata.name=").expect("a watch of one object");
        let from: u64 = query["resourceVersion"].parse().unwrap();
        let (events, stream) = mpsc::unbounded();
        let watcher = Watcher { path: format!("{path}/{name}"), events };
        let mut objects = self.0.lock().unwrap();
        objects.asked.push(format!("WATCH {path}/{name}"));
        for (at, version, event) in &objects.events {
            if *version > from {
                watcher.tell(at, event);
            }
        }
        objects.watchers.push(watcher);
        Body::from_stream(stream.boxed())
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        let mut objects = self.0.lock().unwrap();
        objects.objects.insert(path.to_owned(), object);
        objects.happened(path, "ADDED");
    }

    pub(super) fn remove(&self, path: &str) {
        let mut objects = self.0.lock().unwrap();
        objects.happened(path, "DELETED");
        objects.objects.remove(path);
    }

    pub(super) fn object(&self, path: &str) -> Value {
        self.0.lock().unwrap().objects[path].clone()
    }

    /// Changes part of an object: `pointer` is an RFC 6901 pointer to something whose parent exists. A change of the spec
    /// makes another generation.
    pub(super) fn set(&self, path: &str, pointer: &str, value: Value) {
        let mut objects = self.0.lock().unwrap();
        let object = objects.objects.get_mut(path).unwrap();
        match object.pointer_mut(pointer) {
            Some(found) => *found = value,
            None => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                object.pointer_mut(parent).unwrap()[key] = value;
            }
        }
        if pointer.starts_with("/spec") {
            let generation = object["metadata"]["generation"].as_i64().unwrap() + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        objects.happened(path, "MODIFIED");
    }

    pub(super) fn token(&self, token: &str, audience: Option<&str>, user: Value) {
        self.0.lock().unwrap().tokens.insert((token.to_owned(), audience.map(str::to_owned)), user);
    }

    pub(super) fn allow(&self, user: &str, subresource: &str) {
        self.0.lock().unwrap().allowed.insert(format!("{user} {subresource} team/hello"));
    }

    pub(super) fn break_down(&self) {
        self.0.lock().unwrap().broken = true;
    }

    /// Ends all watches, as an API server that restarts.
    pub(super) fn cut_watches(&self) {
        self.0.lock().unwrap().watchers.clear();
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How often something was asked.
    pub(super) fn times(&self, asked: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|known| *known == asked).count()
    }

    /// How many watches are open.
    pub(super) fn watching(&self) -> usize {
        self.0.lock().unwrap().watchers.iter().filter(|watcher| !watcher.events.is_closed()).count()
    }

    pub(super) fn rival(&self, rival: impl FnOnce(&mut Value) + Send + 'static) {
        self.0.lock().unwrap().rival = Some(Box::new(rival));
    }

    /// Calls `after` once a list was answered whole.
    pub(super) fn after_list(&self, after: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().after_list = Some(Box::new(after));
    }
}

impl Watcher {
    fn tell(&self, path: &str, event: &Value) {
        if path == self.path {
            let _ = self.events.unbounded_send(Ok(Bytes::from(format!("{event}\n"))));
        }
    }
}

/// What is told to those who ask for metadata alone.
fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

impl Objects {
    /// Gives an object its next version and tells those who watch it.
    fn happened(&mut self, path: &str, what: &str) {
        self.version += 1;
        let object = self.objects.get_mut(path).unwrap();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = json!({"type": what, "object": metadata(object)});
        for watcher in &self.watchers {
            watcher.tell(path, &event);
        }
        self.events.push((path.to_owned(), self.version, event));
    }

    fn token_review(&self, question: &Value) -> Value {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let audience = text(&question["spec"]["audiences"][0]);
        let status = match self.tokens.get(&(text(&question["spec"]["token"]).unwrap(), audience.clone())) {
            None => json!({"authenticated": false}),
            Some(user) => json!({"authenticated": true, "user": user, "audiences": audience.as_slice()}),
        };
        json!({"spec": {}, "status": status})
    }

    fn access_review(&self, question: &Value) -> Value {
        let spec = &question["spec"];
        let what = &spec["resourceAttributes"];
        assert_eq!(
            (&what["group"], &what["resource"], &what["verb"]),
            (&json!("drover.dev"), &json!("sessions"), &json!("get"))
        );
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (user, subresource) = (text(&spec["user"]), text(&what["subresource"]));
        let key = format!("{user} {subresource} {}/{}", text(&what["namespace"]), text(&what["name"]));
        json!({"spec": {}, "status": {"allowed": self.allowed.contains(&key)}})
    }

    fn patch(&mut self, path: &str, body: &[u8]) -> (u16, Value) {
        let rival = self.rival.take();
        let object = self.objects.get_mut(path).unwrap();
        if let Some(rival) = rival {
            rival(object);
        }
        let patch: json_patch::Patch = serde_json::from_slice(body).unwrap();
        match json_patch::patch(object, &patch) {
            Ok(()) => {
                self.happened(path, "MODIFIED");
                (200, self.objects[path].clone())
            }
            Err(_) => failure(422, "Invalid"),
        }
    }
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}))
}
