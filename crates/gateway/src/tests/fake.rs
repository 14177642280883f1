//! A gateway that asks a Kubernetes API in memory.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use drover_k8s::{reviews::Reviews, writer::Writer};
use drover_store::{Bounds, Digest, LogChunk, Run, Store};
use futures::stream;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::cluster::Cluster;
use crate::{
    Limits,
    app::{self, Gateway},
    metrics::Metrics,
};

pub(super) const SESSION: &str = "/apis/drover.dev/v1alpha1/namespaces/team/sessions/hello";
pub(super) const POD: &str = "/api/v1/namespaces/team/pods/drover-run-hello-1";
pub(super) const LOGS: &str = "/api/v1/namespaces/team/sessions/hello/logs";
pub(super) const ARTIFACTS: &str = "/api/v1/namespaces/team/sessions/hello/artifacts";

pub(super) const LIMITS: Limits = Limits {
    max_artifact_bytes: 1 << 20,
    max_run_bytes: 1 << 21,
    max_log_bytes: 1 << 20,
    max_checkpoint_bytes: 1 << 20,
};
/// The token of the pod.
pub(super) const POD_TOKEN: &str = "head.pod.signature";

/// A gateway over a [`Cluster`] with one Session that runs, its pod, a user `ada` who may see everything and a user
/// `eve` who may see nothing; the token of each is their name. The pod's token is [`POD_TOKEN`].
pub(super) struct Fixture {
    pub(super) cluster: Cluster,
    pub(super) store: Store,
    pub(super) run: Run,
    pub(super) public: Router,
    pub(super) runners: Router,
    pub(super) stopping: CancellationToken,
    pub(super) folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body: to_bytes(body, 1 << 26).await.unwrap() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The detail of the problem that this is.
    pub(super) fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], "about:blank");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with_limits(LIMITS)
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::directory(folder.path()).unwrap();
        let cluster = cluster();
        let reviews = Arc::new(Reviews::new(cluster.client()));
        let stopping = CancellationToken::new();
        let gateway = Arc::new(Gateway {
            client: cluster.client(),
            watches: cluster.client(),
            writer: Writer::new(cluster.client(), "drover-gateway"),
            metrics: Metrics::register(&mut Registry::default(), Arc::clone(&reviews)),
            reviews,
            store: store.clone(),
            limits,
            reads: Semaphore::new(app::READS),
            stopping: stopping.clone(),
        });
        Self {
            cluster,
            store,
            run: Run::new("team", "uid-1").unwrap(),
            public: app::public(&gateway),
            runners: app::runners(&gateway),
            stopping,
            folder,
        }
    }

    pub(super) fn reviews(&self) -> Arc<Reviews> {
        Arc::new(Reviews::new(self.cluster.client()))
    }

    pub(super) async fn get(&self, path: &str, user: &str) -> Answer {
        self.ask(&self.public, request("GET", path, user).body(Body::empty()).unwrap()).await
    }

    /// Asks as the runner pod.
    pub(super) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request(method, path, POD_TOKEN).body(body.into()).unwrap()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        self.ask(&self.runners, request).await
    }

    pub(super) async fn ask(&self, router: &Router, request: Request<Body>) -> Answer {
        Answer::of(router.clone().oneshot(request).await.unwrap()).await
    }

    /// Stores events with these texts, the first numbered `first`.
    pub(super) async fn log(&self, attempt: u32, first: u64, texts: &[&str]) {
        let lines = lines(attempt, first, texts);
        let chunk = LogChunk::parse(format!("{attempt}-{first}").parse().unwrap(), lines.as_bytes()).unwrap();
        self.store.put_log_chunk(&self.run, chunk, u64::MAX).await.unwrap();
    }

    pub(super) async fn artifact(&self, name: &str, content: &'static [u8]) {
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(content))]);
        let name = name.parse().unwrap();
        let bounds = Bounds { artifact_bytes: 1 << 20, run_bytes: 1 << 20, artifacts: 64 };
        self.store.put_artifact(&self.run, &name, Digest::of(content), bounds, bytes).await.unwrap();
    }

    /// Records that the Session has ended, whose pod may still be there.
    pub(super) fn finish(&self) {
        let status = json!({
            "phase": "Succeeded", "attempt": 1, "finishedAt": jiff::Timestamp::now().to_string(),
            "pod": {"name": "drover-run-hello-1", "uid": "pod-uid"},
        });
        self.cluster.set(SESSION, "/status", status);
    }

    /// Records that the pod has ended.
    pub(super) fn end_pod(&self) {
        self.cluster.set(POD, "/status/phase", "Succeeded".into());
    }
}

pub(super) fn request(method: &str, path: &str, token: &str) -> http::request::Builder {
    let builder = Request::builder().method(method).uri(path);
    if token.is_empty() { builder } else { builder.header(header::AUTHORIZATION, format!("Bearer {token}")) }
}

/// Lines of a log.
pub(super) fn lines(attempt: u32, first: u64, texts: &[&str]) -> String {
    (first..)
        .zip(texts)
        .map(|(n, text)| {
            let event = json!({"id": format!("{attempt}-{n}"), "time": "2026-01-01T00:00:00.000Z", "type": "agent", "stream": "stdout", "text": text});
            format!("{event}\n")
        })
        .collect()
}

fn cluster() -> Cluster {
    let cluster = Cluster::default();
    cluster.put(
        SESSION,
        json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
            "metadata": {"name": "hello", "namespace": "team", "uid": "uid-1", "generation": 1},
            "spec": {"prompt": "echo hello", "framework": "shell"},
            "status": {"phase": "Running", "attempt": 1, "pod": {"name": "drover-run-hello-1", "uid": "pod-uid"}},
        }),
    );
    cluster.put(
        POD,
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "drover-run-hello-1", "namespace": "team", "uid": "pod-uid",
                "labels": {"drover.dev/session": "hello", "drover.dev/session-uid": "uid-1", "drover.dev/attempt": "1"},
                "annotations": {"drover.dev/generation": "1"},
            },
            "status": {"phase": "Running"},
        }),
    );
    for user in ["ada", "eve"] {
        cluster.token(user, None, json!({"username": user, "groups": ["system:authenticated"]}));
    }
    for subresource in ["logs", "artifacts"] {
        cluster.allow("ada", subresource);
    }
    cluster.token(POD_TOKEN, Some("drover-gateway"), pod_user("drover-runner", "drover-run-hello-1", "pod-uid"));
    cluster
}

pub(super) fn pod_user(account: &str, pod: &str, uid: &str) -> Value {
    json!({
        "username": format!("system:serviceaccount:team:{account}"),
        "extra": {
            "authentication.kubernetes.io/pod-name": [pod],
            "authentication.kubernetes.io/pod-uid": [uid],
        },
    })
}
