use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use drover_api::log::EventId;
use drover_store::Look;
use futures::stream;
use serde_json::json;

use super::fake::{Answer, Fixture, LIMITS, POD, POD_TOKEN, lines, pod_user, request};
use crate::Limits;

impl Fixture {
    async fn put_artifact(&self, name: &str, announced: &[u8], body: impl Into<Body>) -> Answer {
        let digest = format!("sha-256=:{}:", STANDARD.encode(hex(&drover_store::Digest::of(announced).to_string())));
        let request =
            request("PUT", &format!("/runner/v1/artifacts/{name}"), POD_TOKEN).header("content-digest", digest);
        self.send(request.body(body.into()).unwrap()).await
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn only_a_live_runner_pod_is_served() {
    let fixture = Fixture::new();
    let audience = Some("drover-gateway");
    fixture.cluster.token("x.api.x", None, pod_user("drover-runner", "drover-run-hello-1", "pod-uid"));
    for (token, user) in [
        ("x.other-account.x", pod_user("default", "drover-run-hello-1", "pod-uid")),
        ("x.other-pod.x", pod_user("drover-runner", "web-0", "pod-uid")),
        ("x.old-pod.x", pod_user("drover-runner", "drover-run-hello-1", "old-uid")),
        ("x.no-pod.x", json!({"username": "system:serviceaccount:team:drover-runner"})),
        ("x.person.x", json!({"username": "ada"})),
    ] {
        fixture.cluster.token(token, audience, user);
    }
    let status = async |token: &str| {
        let answer = fixture.send(request("GET", "/runner/v1/conversation", token).body(Body::empty()).unwrap()).await;
        if answer.status != StatusCode::OK {
            answer.detail();
        }
        answer.status
    };
    assert_eq!(status(POD_TOKEN).await, StatusCode::OK);
    for token in ["", "x.stolen.x", "ada", "x.api.x"] {
        assert_eq!(status(token).await, StatusCode::UNAUTHORIZED, "{token:?}");
    }
    for token in ["x.other-account.x", "x.other-pod.x", "x.old-pod.x", "x.no-pod.x", "x.person.x"] {
        assert_eq!(status(token).await, StatusCode::FORBIDDEN, "{token}");
    }
    for (pointer, value) in [
        ("/status/phase", json!("Succeeded")),
        ("/metadata/labels/drover.dev~1attempt", json!("0")),
        ("/metadata/labels/drover.dev~1session-uid", json!("../x")),
        ("/metadata/labels", json!({})),
    ] {
        let before = fixture.cluster.object(POD);
        fixture.cluster.set(POD, pointer, value);
        assert_eq!(status(POD_TOKEN).await, StatusCode::FORBIDDEN, "{pointer}");
        fixture.cluster.put(POD, before);
    }
    fixture.cluster.remove(POD);
    assert_eq!(status(POD_TOKEN).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_asked_about() {
    let fixture = Fixture::new();
    for token in ["x", "x.y", "x..y", ".x.y", "x.y.z.a", "x.y!.z", "x.y.z="] {
        let answer = fixture.send(request("GET", "/runner/v1/conversation", token).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(fixture.cluster.asked(), [""; 0]);
}

#[tokio::test]
async fn what_a_run_keeps_is_bounded_and_the_problem_says_by_what() {
    let fixture = Fixture::with_limits(Limits { max_run_bytes: 700, max_log_bytes: 10, ..LIMITS });
    assert_eq!(fixture.put_artifact("a", &[0; 400], vec![0; 400]).await.status, StatusCode::CREATED);
    let full = fixture.put_artifact("b", &[0; 400], vec![0; 400]).await;
    assert_eq!((full.status, &full.json()["limit"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("runBytes")));
    assert_eq!(full.detail(), "with this artifact the run keeps more than the 700 bytes that are allowed");
    let log = fixture.call("PUT", "/runner/v1/logs/1", lines(1, 1, &["a"])).await;
    assert_eq!((log.status, &log.json()["limit"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("logBytes")));
}

#[tokio::test]
async fn log_chunks_are_stored_once_for_the_pods_own_attempt() {
    let fixture = Fixture::new();
    for _ in 0..2 {
        let answer = fixture.call("PUT", "/runner/v1/logs/1", lines(1, 1, &["a", "b"])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(fixture.call("PUT", "/runner/v1/logs/3", lines(1, 3, &["c"])).await.status, StatusCode::NO_CONTENT);
    let page = fixture.store.events_after(&fixture.run, EventId::START, 1 << 20, Look::Thorough).await.unwrap();
    assert_eq!(page.events.iter().map(|event| event.text.as_str()).collect::<String>(), "abc");

    let gap = fixture.call("PUT", "/runner/v1/logs/5", lines(1, 5, &["e"])).await;
    assert_eq!((gap.status, &gap.json()["next"]), (StatusCode::CONFLICT, &json!(4)));
    for (path, body, detail) in [
        ("logs/4", lines(2, 4, &["x"]), "line 1 is event 2-4, but 1-4 is next"),
        ("logs/4", String::new(), "a piece of a log holds at least one event"),
        ("logs/4", "nonsense".to_owned(), "line 1 is not an event"),
        ("logs/0", lines(1, 0, &["x"]), "attempts and events are counted from 1"),
        ("logs/x", lines(1, 4, &["x"]), "Invalid URL"),
    ] {
        let answer = fixture.call("PUT", &format!("/runner/v1/{path}"), body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.detail().starts_with(detail), "{path}: {}", answer.detail());
    }
    let large = fixture.call("PUT", "/runner/v1/logs/4", vec![b'x'; drover_store::MAX_CHUNK + 1]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_full_log_takes_only_what_drover_has_to_say_about_it() {
    let fixture = Fixture::with_limits(Limits { max_log_bytes: 150, ..LIMITS });
    assert_eq!(fixture.call("PUT", "/runner/v1/logs/1", lines(1, 1, &["a"])).await.status, StatusCode::NO_CONTENT);
    let full = fixture.call("PUT", "/runner/v1/logs/2", lines(1, 2, &["b"])).await;
    assert_eq!(
        (full.status, full.detail()),
        (StatusCode::PAYLOAD_TOO_LARGE, "the log has reached the 150 bytes that are allowed".into())
    );
    let last = lines(1, 2, &["the log was cut"]).replace("\"agent\"", "\"system\"");
    assert_eq!(fixture.call("PUT", "/runner/v1/logs/2", last).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn artifacts_are_stored_when_they_are_what_was_announced() {
    let fixture = Fixture::new();
    let answer = fixture.put_artifact("out/a%20b", b"hello", "hello").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!((&answer.json()["name"], &answer.json()["size"]), (&json!("out/a b"), &json!(5)));
    assert_eq!(fixture.put_artifact("out/a%20b", b"hello", "hello").await.status, StatusCode::CREATED);

    assert_eq!(fixture.put_artifact("b", b"hello", "other").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(fixture.put_artifact("a/%2e%2e/b", b"", "").await.status, StatusCode::BAD_REQUEST);
    let missing = fixture.call("PUT", "/runner/v1/artifacts/b", "hello").await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    assert!(missing.detail().starts_with("the header Content-Digest is missing"));
    let cut = stream::iter([Ok(Bytes::from_static(b"he")), Err(std::io::Error::other("reset"))]);
    let cut = fixture.put_artifact("b", b"hello", Body::from_stream(cut)).await;
    assert_eq!((cut.status, cut.detail()), (StatusCode::BAD_REQUEST, "the request's body broke off".into()));
    let names: Vec<_> = fixture.store.list_artifacts(&fixture.run).await.unwrap().into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["out/a b"]);
}

#[tokio::test]
async fn too_large_and_too_many_artifacts_are_refused() {
    let fixture = Fixture::with_limits(Limits { max_artifact_bytes: 4, ..LIMITS });
    assert_eq!(fixture.put_artifact("a", b"hello", "hello").await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let announced = request("PUT", "/runner/v1/artifacts/a", POD_TOKEN)
        .header("content-digest", format!("sha-256=:{}:", STANDARD.encode([0; 32])))
        .header("content-length", "5")
        .body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()))
        .unwrap();
    let refused = fixture.send(announced).await;
    assert_eq!(refused.json()["limit"], "artifactBytes");
    assert_eq!(
        (refused.status, refused.detail()),
        (StatusCode::PAYLOAD_TOO_LARGE, "the artifact is larger than the 4 bytes that are allowed".into())
    );
    for n in 0..drover_api::report::MAX_ARTIFACTS {
        assert_eq!(fixture.put_artifact(&n.to_string(), b"x", "x").await.status, StatusCode::CREATED);
    }
    let refused = fixture.put_artifact("more", b"x", "x").await;
    assert_eq!(refused.json()["limit"], "artifacts");
    assert_eq!(
        (refused.status, refused.detail()),
        (StatusCode::PAYLOAD_TOO_LARGE, "a run keeps at most 64 artifacts".into())
    );
    assert_eq!(fixture.put_artifact("7", b"y", "y").await.status, StatusCode::CREATED, "one that is replaced");
}
