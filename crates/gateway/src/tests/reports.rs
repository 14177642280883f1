use axum::http::StatusCode;
use drover_api::{log::EventId, report::Report, session::consumed_entry};
use drover_store::Look;
use serde_json::{Value, json};

use super::fake::{Answer, Fixture, POD};

impl Fixture {
    async fn report(&self, report: Value) -> Answer {
        self.call("POST", "/runner/v1/report", report.to_string()).await
    }

    fn reported(&self) -> Option<Report> {
        let pod = self.cluster.object(POD);
        pod["metadata"]["annotations"]["drover.dev/report"].as_str().map(|text| serde_json::from_str(text).unwrap())
    }

    async fn ended(&self) -> Option<u32> {
        self.store.events_after(&self.run, EventId::START, 1 << 20, Look::Thorough).await.unwrap().ended
    }
}

fn waiting(question: &str) -> Value {
    json!({"since": "2026-01-01T00:00:00Z", "question": question})
}

/// A turn with these fields, and others that are valid.
fn turn(fields: &Value) -> Value {
    let mut turn = json!({
        "message": "prompt", "attempt": 1, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
    });
    turn.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    turn
}

fn with_turn(fields: Value) -> Value {
    json!({"sequence": 1, "turns": [turn(&fields)]})
}

#[tokio::test]
async fn reports_follow_each_other_and_the_last_ends_the_log() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["a"]).await;
    let first = json!({"sequence": 1, "problems": ["x"]});
    for _ in 0..2 {
        assert_eq!(fixture.report(first.clone()).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(fixture.reported().unwrap().problems, ["x"]);
    assert_eq!(fixture.ended().await, None);
    for (report, next) in [(json!({"sequence": 1}), 2), (json!({"sequence": 3}), 2)] {
        let answer = fixture.report(report).await;
        assert_eq!((answer.status, &answer.json()["next"]), (StatusCode::CONFLICT, &json!(next)));
    }
    assert_eq!(fixture.report(json!({"sequence": 2, "last": true})).await.status, StatusCode::NO_CONTENT);
    assert_eq!((fixture.reported().unwrap().sequence, fixture.ended().await), (2, Some(1)));
    let patches = fixture.cluster.asked().into_iter().filter(|asked| asked.starts_with("PATCH")).collect::<Vec<_>>();
    assert_eq!(patches, vec![format!("PATCH {POD}/status"); 2], "a repeated report writes nothing");
}

#[tokio::test]
async fn a_report_that_is_repeated_after_a_crash_still_ends_the_log() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["a"]).await;
    let last = json!({"sequence": 1, "last": true});
    let annotation = serde_json::to_string(&Report { sequence: 1, last: true, ..Report::default() }).unwrap();
    fixture.cluster.set(POD, "/metadata/annotations", json!({"drover.dev/report": annotation}));
    assert_eq!(fixture.report(last).await.status, StatusCode::NO_CONTENT);
    assert_eq!(fixture.ended().await, Some(1));
}

#[tokio::test]
async fn a_pod_that_changes_meanwhile_is_looked_at_again() {
    let fixture = Fixture::new();
    fixture.cluster.rival(|pod| pod["metadata"]["resourceVersion"] = json!("9"));
    assert_eq!(fixture.report(json!({"sequence": 1})).await.status, StatusCode::NO_CONTENT);
    fixture.cluster.rival(|pod| {
        pod["metadata"]["annotations"]["drover.dev/report"] = json!("{\"sequence\":2,\"problems\":[\"theirs\"]}");
    });
    let answer = fixture.report(json!({"sequence": 2})).await;
    assert_eq!((answer.status, &answer.json()["next"]), (StatusCode::CONFLICT, &json!(3)));
    fixture.cluster.rival(|pod| pod["metadata"]["uid"] = json!("another"));
    assert_eq!(fixture.report(json!({"sequence": 3})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(fixture.reported().unwrap().problems, ["theirs"]);
}

#[tokio::test]
async fn a_pod_without_annotations_can_be_reported_on() {
    let fixture = Fixture::new();
    let mut pod = fixture.cluster.object(POD);
    pod["metadata"].as_object_mut().unwrap().remove("annotations");
    fixture.cluster.put(POD, pod);
    assert_eq!(fixture.report(json!({"sequence": 1})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(fixture.reported().unwrap().sequence, 1);
}

#[tokio::test]
async fn a_report_outside_its_bounds_is_refused() {
    let fixture = Fixture::new();
    fixture.artifact("a", b"hello").await;
    let stored = serde_json::to_value(fixture.store.list_artifacts(&fixture.run).await.unwrap()).unwrap();
    let mut wrong = stored.clone();
    wrong[0]["size"] = json!(6);
    for (report, detail) in [
        (json!({"sequence": 0}), "reports are counted from 1"),
        (json!({"sequence": 1, "problems": vec!["x"; 9]}), "a report names at most 8 problems"),
        (
            json!({"sequence": 1, "problems": ["x".repeat(257)]}),
            "a report names at most 8 problems of at most 256 bytes",
        ),
        (json!({"sequence": 1, "artifacts": wrong}), "the artifact \"a\" is not stored as reported"),
        (json!({"sequence": 1, "artifacts": vec![stored[0].clone(); 65]}), "a report names at most 64 artifacts"),
        (json!({"sequence": 1, "notKept": "x".repeat(257)}), "a report says in at most 256 bytes what was not kept"),
        (json!({"sequence": 1, "waiting": waiting(&"x".repeat(513))}), "a question has at most 512 bytes"),
        (json!({"sequence": 1, "waiting": waiting(&"\n".repeat(257))}), "a question has at most 512 bytes"),
        (json!({"sequence": 1, "turns": vec![turn(&json!({})); 21]}), "a report names at most 20 turns"),
        (json!({"sequence": 1, "consumed": vec![consumed_entry("a"); 257]}), "a report names at most 256 messages"),
        (
            json!({"sequence": 1, "consumed": ["a"]}),
            "a report names at most 256 messages that were dealt with, by their hashes",
        ),
        (json!({"sequence": 1, "consumed": ["\"\"\"\"\"\"\"\""]}), "a report names at most 256 messages"),
        (with_turn(json!({"message": ""})), "a turn names its message by an id of at most 63 bytes"),
        (with_turn(json!({"message": "x".repeat(64)})), "a turn names its message by an id of at most 63 bytes"),
        (with_turn(json!({"message": "Prompt"})), "a turn names its message by an id of at most 63 bytes"),
        (with_turn(json!({"message": "-a"})), "a turn names its message by an id of at most 63 bytes"),
        (with_turn(json!({"attempt": 0})), "a turn was in an attempt from 1 to 1, the one of this pod"),
        (with_turn(json!({"attempt": 2})), "a turn was in an attempt from 1 to 1, the one of this pod"),
        (with_turn(json!({"result": "x".repeat(129)})), "the result of a turn has at most 128 bytes"),
        (with_turn(json!({"result": "\"".repeat(65)})), "the result of a turn has at most 128 bytes"),
        (with_turn(json!({"usage": {"outputTokens": -1}})), "a number of tokens is not negative"),
        (with_turn(json!({"startedAt": "yesterday"})), "the body is not a report: "),
        (json!({}), "the body is not a report: missing field `sequence`"),
    ] {
        let answer = fixture.report(report).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{detail}");
        assert!(answer.detail().starts_with(detail), "{}", answer.detail());
    }
    let large = fixture.report(json!({"sequence": 1, "problems": ["x".repeat(40_000)]})).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(fixture.reported(), None);
    assert_eq!(fixture.report(json!({"sequence": 1, "artifacts": stored})).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_report_may_be_as_large_as_its_bounds() {
    let fixture = Fixture::new();
    let largest = json!({
        "message": "x".repeat(63), "result": "\"".repeat(64),
        "usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadTokens": 3, "cacheWriteTokens": 4},
    });
    let report = json!({
        "sequence": 1, "consumed": vec![consumed_entry("a"); 256], "turns": vec![turn(&largest); 20], "waiting": waiting(&"\n".repeat(256)),
        "notKept": "x".repeat(256), "problems": vec!["x".repeat(256); 8],
    });
    assert_eq!(fixture.report(report.clone()).await.status, StatusCode::NO_CONTENT);
    let expected: Report = serde_json::from_value(report).unwrap();
    assert_eq!(fixture.reported().unwrap(), expected);
}
