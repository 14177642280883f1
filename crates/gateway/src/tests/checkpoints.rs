use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures::stream;
use serde_json::json;

use super::fake::{Answer, Fixture, LIMITS, POD, POD_TOKEN, request};
use crate::Limits;

const PATH: &str = "/runner/v1/checkpoint";

impl Fixture {
    async fn put_checkpoint(&self, body: impl Into<Body>) -> Answer {
        self.call("PUT", PATH, body).await
    }

    async fn checkpoint(&self) -> Answer {
        self.call("GET", PATH, Body::empty()).await
    }

    /// Makes the pod one of another attempt.
    fn attempt(&self, attempt: u32) {
        self.cluster.set(POD, "/metadata/labels/drover.dev~1attempt", attempt.to_string().into());
    }
}

/// A body that comes in pieces and does not say how long it is.
fn pieces<const N: usize>(pieces: [Result<&'static str, std::io::Error>; N]) -> Body {
    Body::from_stream(stream::iter(pieces.map(|piece| piece.map(Bytes::from))))
}

#[tokio::test]
async fn the_next_attempt_gets_the_last_checkpoint_of_the_one_before() {
    let fixture = Fixture::new();
    assert_eq!(fixture.put_checkpoint(pieces([Ok("first")])).await.status, StatusCode::NO_CONTENT);
    assert_eq!(fixture.put_checkpoint(pieces([Ok("sec"), Ok("ond")])).await.status, StatusCode::NO_CONTENT);
    let own = fixture.checkpoint().await;
    assert_eq!(own.status, StatusCode::NOT_FOUND);
    assert_eq!(own.detail(), "no earlier attempt of this Session stored a checkpoint");
    fixture.attempt(2);
    let answer = fixture.checkpoint().await;
    assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, b"second".as_slice()));
    assert_eq!((answer.header("content-type"), answer.header("content-length")), ("application/x-tar", "6"));
    fixture.put_checkpoint("third").await;
    fixture.attempt(1);
    assert_eq!(fixture.put_checkpoint("a late one").await.status, StatusCode::NO_CONTENT);
    fixture.attempt(3);
    assert_eq!(fixture.checkpoint().await.body.as_ref(), b"third", "of the latest attempt, whoever came last");
}

#[tokio::test]
async fn a_checkpoint_of_another_session_is_nobodys() {
    let fixture = Fixture::new();
    fixture.put_checkpoint("secret").await;
    fixture.attempt(2);
    fixture.cluster.set(POD, "/metadata/labels/drover.dev~1session-uid", "uid-2".into());
    assert_eq!(fixture.checkpoint().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_checkpoint_that_breaks_off_leaves_the_one_before() {
    let fixture = Fixture::new();
    fixture.put_checkpoint("whole").await;
    let cut = fixture.put_checkpoint(pieces([Ok("ha"), Err(std::io::Error::other("reset"))])).await;
    assert_eq!((cut.status, cut.detail()), (StatusCode::BAD_REQUEST, "the request's body broke off".into()));
    fixture.attempt(2);
    assert_eq!(fixture.checkpoint().await.body.as_ref(), b"whole");
}

#[tokio::test]
async fn a_checkpoint_beyond_the_limit_is_refused_before_it_comes_where_its_length_is_known() {
    let fixture = Fixture::with_limits(Limits { max_checkpoint_bytes: 4, ..LIMITS });
    assert_eq!(fixture.put_checkpoint("1234").await.status, StatusCode::NO_CONTENT);
    let announced = request("PUT", PATH, POD_TOKEN)
        .header("content-length", "5")
        .body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()))
        .unwrap();
    for refused in [fixture.put_checkpoint(pieces([Ok("123"), Ok("45")])).await, fixture.send(announced).await] {
        assert_eq!(
            (refused.status, &refused.json()["limit"]),
            (StatusCode::PAYLOAD_TOO_LARGE, &json!("checkpointBytes"))
        );
        assert_eq!(refused.detail(), "the checkpoint is larger than the 4 bytes that are allowed");
    }
    fixture.attempt(2);
    assert_eq!(fixture.checkpoint().await.body.as_ref(), b"1234");
}

#[tokio::test]
async fn only_a_runner_pod_stores_and_fetches_checkpoints() {
    let fixture = Fixture::new();
    for method in ["GET", "PUT"] {
        let answer = fixture.send(request(method, PATH, "ada").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}
