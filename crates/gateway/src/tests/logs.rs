use std::{pin::Pin, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use futures::{FutureExt, Stream, StreamExt};
use serde_json::json;
use tower::ServiceExt;

use super::fake::{Fixture, LOGS, POD, SESSION, request};

#[tokio::test]
async fn pages_follow_each_other_until_the_log_is_complete() {
    let fixture = Fixture::new();
    let empty = fixture.get(LOGS, "ada").await;
    assert_eq!(empty.json(), json!({"events": [], "next": "0-0", "complete": false}));
    fixture.log(1, 1, &["one", "two"]).await;
    fixture.log(1, 3, &["three"]).await;
    let page = fixture.get(&format!("{LOGS}?limit=1"), "ada").await.json();
    assert_eq!((&page["next"], &page["complete"]), (&json!("1-2"), &json!(false)));
    assert_eq!(
        page["events"][0],
        json!({"id": "1-1", "time": "2026-01-01T00:00:00.000Z", "type": "agent", "stream": "stdout", "text": "one"})
    );
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    let page = fixture.get(&format!("{LOGS}?after=1-1"), "ada").await.json();
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["complete"]),
        (2, &json!(false)),
        "the Session still runs"
    );
    fixture.finish();
    fixture.end_pod();
    let page = fixture.get(&format!("{LOGS}?after=1-3"), "ada").await.json();
    assert_eq!(page, json!({"events": [], "next": "1-3", "complete": true}));
}

#[tokio::test]
async fn the_log_is_complete_when_the_pod_of_a_finished_session_has_ended_whatever_its_broker_said() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.finish();
    let complete = async || fixture.get(LOGS, "ada").await.json()["complete"].clone();
    assert_eq!(complete().await, json!(false), "the broker may have more to say");
    fixture.cluster.set(POD, "/status/phase", "Failed".into());
    assert_eq!(complete().await, json!(true));
    fixture.cluster.set(POD, "/status/phase", "Running".into());
    fixture.cluster.set(POD, "/metadata/uid", "another".into());
    assert_eq!(complete().await, json!(true));
    fixture.cluster.remove(POD);
    assert_eq!(complete().await, json!(true));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_explained() {
    let fixture = Fixture::new();
    for (query, detail) in [
        ("after=nonsense", "\"nonsense\" is not an event id: it looks like 1-42"),
        ("limit=0", "limit is a number of bytes from 1 to"),
        ("limit=99999999999", "limit is a number of bytes from 1 to"),
        ("limit=x", "Failed to deserialize query string"),
        ("folow=true", "Failed to deserialize query string: folow: unknown field `folow`"),
    ] {
        let answer = fixture.get(&format!("{LOGS}?{query}"), "ada").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.detail().starts_with(detail), "{query}: {}", answer.detail());
    }
    let answer = fixture.get(LOGS, "eve").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.detail().contains("sessions/logs"));
}

/// A stream of server-sent events.
struct EventStream {
    body: Pin<Box<dyn Stream<Item = Result<axum::body::Bytes, axum::Error>> + Send>>,
    text: String,
    /// How many signs of life came between events.
    signs: usize,
}

impl EventStream {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: Box::pin(response.into_body().into_data_stream()), text: String::new(), signs: 0 }
    }

    /// The next event's lines if it is there already.
    fn poll(&mut self) -> Option<String> {
        self.next().now_or_never().flatten()
    }

    /// The next event's lines; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if !event.starts_with(':') {
                    return Some(event);
                }
                self.signs += 1;
                continue;
            }
            self.text += std::str::from_utf8(&self.body.next().await?.unwrap()).unwrap();
        }
    }
}

impl Fixture {
    async fn follow(&self, last: Option<&str>) -> EventStream {
        let mut request = request("GET", LOGS, "ada").header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        EventStream::of(self.public.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap())
    }
}

#[tokio::test]
async fn a_stream_follows_the_run_to_its_end() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    let mut stream = fixture.follow(None).await;
    let first = stream.next().await.unwrap();
    assert!(first.starts_with("id: 1-1\nevent: agent\ndata: {\"id\":\"1-1\","), "{first}");
    fixture.log(1, 2, &["two"]).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-2\n"));
    fixture.log(1, 3, &["three"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.finish();
    fixture.end_pod();
    assert!(stream.next().await.unwrap().starts_with("id: 1-3\n"));
    assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {\"complete\":true}");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_that_began_before_the_log_shows_it_without_asking_for_the_session_again() {
    let fixture = Fixture::new();
    let mut stream = fixture.follow(None).await;
    let asked = async || fixture.cluster.asked().into_iter().filter(|asked| asked.ends_with("/sessions/hello")).count();
    let first = async {
        // The follower has looked at everything once, found nothing, and now waits.
        while asked().await < 2 {
            tokio::task::yield_now().await;
        }
        fixture.log(1, 1, &["one"]).await;
    };
    let (event, ()) = tokio::join!(stream.next(), first);
    assert!(event.unwrap().starts_with("id: 1-1\n"));
    assert_eq!(asked().await, 2);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_in_later_attempts_too() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one", "two"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.log(2, 1, &["again"]).await;
    fixture.store.end_log(&fixture.run, 2).await.unwrap();
    fixture.finish();
    fixture.end_pod();
    fixture.cluster.set(SESSION, "/status/attempt", 2.into());
    let mut stream = fixture.follow(Some("1-1")).await;
    let mut ids = Vec::new();
    while let Some(event) = stream.next().await {
        ids.push(event.lines().next().unwrap().to_owned());
    }
    assert_eq!(ids, ["id: 1-2", "id: 2-1", "event: end"]);
    let wrong = request("GET", LOGS, "ada").header("accept", "text/event-stream").header("last-event-id", "x");
    let answer = fixture.ask(&fixture.public, wrong.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_stream_ends_with_its_session_after_what_was_said_until_then() {
    let fixture = Fixture::new();
    fixture.cluster.remove(POD);
    fixture.log(1, 1, &["one"]).await;
    let mut stream = fixture.follow(None).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-1\n"));
    fixture.log(2, 1, &["last words"]).await;
    fixture.cluster.remove(SESSION);
    assert!(stream.next().await.unwrap().starts_with("id: 2-1\n"));
    assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {\"complete\":false}");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_session_of_the_same_name_is_not_followed() {
    let fixture = Fixture::new();
    let mut stream = fixture.follow(None).await;
    fixture.cluster.set(SESSION, "/metadata/uid", "uid-2".into());
    assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {\"complete\":false}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_brokers_last_word_is_followed_too() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.finish();
    let mut stream = fixture.follow(None).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-1\n"));
    // The follower finds the pod alive, and waits.
    let pods = format!("GET {POD}");
    while fixture.cluster.times(&pods) < 3 {
        assert!(stream.poll().is_none());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fixture.log(1, 2, &["more"]).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-2\n"));
    fixture.cluster.remove(POD);
    assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {\"complete\":true}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_over_attempts_and_suspensions_until_the_session_is_finished() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    let mut stream = fixture.follow(None).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-1\n"));
    fixture.cluster.set(SESSION, "/status/phase", "Suspended".into());
    fixture.cluster.remove(POD);
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(600) {
        assert!(stream.poll().is_none(), "a suspended Session is waited for");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(stream.signs > 30, "it was silent all the time");
    fixture.cluster.set(SESSION, "/status/phase", "Running".into());
    fixture.cluster.set(SESSION, "/status/attempt", 2.into());
    fixture.log(2, 1, &["again"]).await;
    assert!(stream.next().await.unwrap().starts_with("id: 2-1\n"));
    fixture.log(2, 2, &["end"]).await;
    assert!(stream.next().await.unwrap().starts_with("id: 2-2\n"));
    fixture.finish();
    assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {\"complete\":true}");
}

#[tokio::test]
async fn who_polls_is_not_told_that_a_suspended_sessions_log_is_complete() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.cluster.remove(POD);
    for phase in ["Suspended", "Pending", "Waiting"] {
        fixture.cluster.set(SESSION, "/status/phase", phase.into());
        assert_eq!(fixture.get(LOGS, "ada").await.json()["complete"], json!(false), "{phase}");
    }
}

#[tokio::test]
async fn a_stream_stops_without_an_end_when_the_gateway_stops() {
    let fixture = Fixture::new();
    let mut stream = fixture.follow(None).await;
    fixture.stopping.cancel();
    assert_eq!(stream.next().await, None);
}

/// Replaces the piece of the log that begins with event `first`, which was stored before.
fn damage(fixture: &Fixture, first: u64) {
    let chunk = fixture.folder.path().join(format!("team/uid-1/logs/0000000001/{first:020}"));
    std::fs::write(chunk, "nonsense\n").unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_a_problem_and_no_stream() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    damage(&fixture, 1);
    let answer = fixture.get(&format!("{LOGS}?follow=true"), "ada").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.detail(), "the artifact store failed: the gateway's log says why");
}

#[tokio::test]
async fn a_stream_that_fails_on_its_way_says_so() {
    let fixture = Fixture::new();
    fixture.log(1, 1, &["one"]).await;
    let mut stream = fixture.follow(None).await;
    assert!(stream.next().await.unwrap().starts_with("id: 1-1\n"));
    fixture.log(1, 2, &["two"]).await;
    damage(&fixture, 2);
    let problem = stream.next().await.unwrap();
    let data = problem.strip_prefix("event: problem\ndata: ").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["status"], &data["title"]), (&json!(500), &json!("Internal Server Error")));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn follow_chooses_whatever_accept_says() {
    let fixture = Fixture::new();
    fixture.finish();
    fixture.cluster.remove(POD);
    let streamed = fixture.get(&format!("{LOGS}?follow=true"), "ada").await;
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    let paged = request("GET", &format!("{LOGS}?follow=false"), "ada").header("accept", "text/event-stream");
    let paged = fixture.ask(&fixture.public, paged.body(Body::empty()).unwrap()).await;
    assert_eq!(paged.header("content-type"), "application/json");
}
