use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use drover_api::{
    runner::{Conversation, Heartbeat, MAX_WAIT_SECONDS},
    session::consumed_entry,
};
use futures::FutureExt;
use serde_json::json;
use tokio::time::Instant;

use super::fake::{Fixture, POD, SESSION};

const PATH: &str = "/runner/v1/conversation";
const WATCH: &str = "WATCH /apis/drover.dev/v1alpha1/namespaces/team/sessions/hello";

impl Fixture {
    async fn conversation(&self, query: &str) -> Conversation {
        let answer = self.call("GET", &format!("{PATH}{query}"), Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_slice(&answer.body).unwrap()
    }
}

fn ids(conversation: &Conversation) -> Vec<&str> {
    conversation.messages.iter().map(|message| message.id.as_str()).collect()
}

#[tokio::test]
async fn the_prompt_and_the_messages_come_from_the_session_that_the_pod_runs() {
    let fixture = Fixture::new();
    let answer = fixture.call("GET", PATH, Body::empty()).await;
    let expected = json!({"generation": 1, "interactive": false, "messages": [{"id": "prompt", "text": "echo hello"}]});
    assert_eq!(answer.json(), expected);
    let messages = json!([{"id": "b", "text": "two", "by": "ada"}, {"id": "a", "text": "three"}]);
    fixture.cluster.set(SESSION, "/spec/messages", messages);
    fixture.cluster.set(SESSION, "/spec/interactive", true.into());
    let conversation = fixture.conversation("").await;
    assert_eq!((conversation.generation, conversation.interactive), (3, true));
    assert_eq!(ids(&conversation), ["prompt", "b", "a"], "in the order of the spec");
    assert_eq!(conversation.messages[1].text, "two");
}

#[tokio::test]
async fn what_was_dealt_with_is_left_out() {
    let fixture = Fixture::new();
    fixture.cluster.set(SESSION, "/spec/messages", json!([{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]));
    fixture.cluster.set(SESSION, "/status/consumed", json!([consumed_entry("prompt"), consumed_entry("a")]));
    assert_eq!(ids(&fixture.conversation("").await), ["b"]);
    fixture.cluster.set(SESSION, "/status/consumed", json!(["prompt", "a"]));
    assert_eq!(ids(&fixture.conversation("").await), ["prompt", "a", "b"], "ids are kept as hashes");
}

#[tokio::test]
async fn a_session_that_is_gone_or_another_is_said_to_be_missing() {
    let fixture = Fixture::new();
    let missing = async || {
        let answer = fixture.call("GET", PATH, Body::empty()).await;
        (answer.status, answer.detail())
    };
    let expected = (StatusCode::NOT_FOUND, "the Session hello of this pod does not exist any more".to_owned());
    fixture.cluster.set(SESSION, "/metadata/uid", "uid-2".into());
    assert_eq!(missing().await, expected);
    fixture.cluster.remove(SESSION);
    assert_eq!(missing().await, expected);
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_explained() {
    let fixture = Fixture::new();
    for query in ["after=x", "wait=-1", "waits=1"] {
        let answer = fixture.call("GET", &format!("{PATH}?{query}"), Body::empty()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.detail().starts_with("Failed to deserialize query string"), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_knows_another_generation_or_does_not_wait_is_answered_at_once() {
    let fixture = Fixture::new();
    let began = Instant::now();
    for query in ["?after=0&wait=30", "?after=2&wait=30", "?after=1&wait=0", "?after=1", "?wait=30"] {
        assert_eq!(fixture.conversation(query).await.generation, 1, "{query}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_when_the_spec_changes_and_reads_the_session_only_then() {
    let fixture = Fixture::new();
    let began = Instant::now();
    let change = async {
        while fixture.cluster.watching() == 0 {
            tokio::task::yield_now().await;
        }
        for n in 0..5 {
            fixture.cluster.set(SESSION, "/status/attempt", n.into());
            tokio::task::yield_now().await;
        }
        fixture.cluster.set(SESSION, "/spec/messages", json!([{"id": "a", "text": "x"}]));
    };
    let (conversation, ()) = tokio::join!(fixture.conversation("?after=1&wait=30"), change);
    assert_eq!((conversation.generation, ids(&conversation)), (2, vec!["prompt", "a"]));
    assert_eq!(began.elapsed(), Duration::ZERO, "it was polled");
    assert_eq!(fixture.cluster.times(&format!("GET {SESSION}")), 2, "a change of status alone is not read");
    assert_eq!((fixture.cluster.times(WATCH), fixture.cluster.watching()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_change_between_the_read_and_the_watch_is_not_lost() {
    let fixture = Fixture::new();
    let mut waiting = Box::pin(fixture.conversation("?after=1&wait=30"));
    while fixture.cluster.times(&format!("GET {SESSION}")) == 0 {
        assert!(waiting.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    fixture.cluster.set(SESSION, "/spec/interactive", true.into());
    assert!(waiting.await.interactive);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_when_the_time_is_over() {
    let fixture = Fixture::new();
    for (wait, seconds) in [(7, 7), (MAX_WAIT_SECONDS, 30), (86_400, 30)] {
        let began = Instant::now();
        assert_eq!(fixture.conversation(&format!("?after=1&wait={wait}")).await.generation, 1);
        assert_eq!(began.elapsed().as_secs(), seconds, "wait={wait}");
        assert_eq!(fixture.cluster.watching(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_session_that_is_deleted_is_told() {
    let fixture = Fixture::new();
    let change = async {
        while fixture.cluster.watching() == 0 {
            tokio::task::yield_now().await;
        }
        fixture.cluster.remove(SESSION);
    };
    let path = format!("{PATH}?after=1&wait=30");
    let (answer, ()) = tokio::join!(fixture.call("GET", &path, Body::empty()), change);
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_request_and_with_the_gateway() {
    let fixture = Fixture::new();
    let mut waiting = Box::pin(fixture.conversation("?after=1&wait=30"));
    while fixture.cluster.watching() == 0 {
        assert!(waiting.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(waiting);
    assert_eq!(fixture.cluster.watching(), 0);
    let began = Instant::now();
    let stop = async {
        while fixture.cluster.watching() == 0 {
            tokio::task::yield_now().await;
        }
        fixture.stopping.cancel();
    };
    let (conversation, ()) = tokio::join!(fixture.conversation("?after=1&wait=30"), stop);
    assert_eq!((conversation.generation, began.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_off_is_begun_again_from_a_new_read() {
    let fixture = Fixture::new();
    let change = async {
        while fixture.cluster.watching() == 0 {
            tokio::task::yield_now().await;
        }
        fixture.cluster.cut_watches();
        while fixture.cluster.times(WATCH) < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        fixture.cluster.set(SESSION, "/spec/interactive", true.into());
    };
    let (conversation, ()) = tokio::join!(fixture.conversation("?after=1&wait=30"), change);
    assert!(conversation.interactive);
    assert_eq!(fixture.cluster.times(WATCH), 2, "it is not hurried");
}

#[tokio::test]
async fn a_heartbeat_says_whether_the_pod_is_to_end_for_one_read() {
    let fixture = Fixture::new();
    let beat = async || {
        let answer = fixture.call("POST", "/runner/v1/heartbeat", Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_slice::<Heartbeat>(&answer.body).unwrap()
    };
    assert_eq!(beat().await, Heartbeat { stop: false });
    let before = fixture.cluster.asked().len();
    assert_eq!(beat().await, Heartbeat { stop: false });
    assert_eq!(fixture.cluster.asked()[before..], [format!("GET {POD}")]);
    fixture.cluster.set(POD, "/metadata/deletionTimestamp", "2026-01-01T00:00:00Z".into());
    assert_eq!(beat().await, Heartbeat { stop: true });
    fixture.cluster.remove(POD);
    let answer = fixture.call("POST", "/runner/v1/heartbeat", Body::empty()).await;
    assert_eq!((answer.status, answer.detail()), (StatusCode::FORBIDDEN, "the pod does not exist any more".into()));
}
