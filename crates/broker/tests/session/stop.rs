//! The end of the pod before the end of the conversation.

use std::time::{Duration, Instant};

use drover_api::{runner::Heartbeat, state::Reason};

use crate::{
    gateway::{Gateway, Step},
    pod::Pod,
};

#[tokio::test]
async fn a_pod_that_is_deleted_has_its_agent_ended() {
    let gateway = Gateway::with(&["prompt"], false).await;
    gateway.change(|held| held.heartbeat = Some(Heartbeat { stop: true }));
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    let termination = broker.stop().await;
    assert_eq!(termination.reason, Reason::PodDeleted);
    assert_eq!(pod.termination(), Some(termination.clone()));
    assert_eq!(broker.stop().await, termination, "whoever asks");
}

#[tokio::test]
async fn a_gateway_that_is_lost_has_the_agent_ended() {
    let gateway = Gateway::with(&["prompt"], false).await;
    gateway.change(|held| held.heartbeat = None);
    let pod = Pod { patience: Duration::from_secs(1), ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    let termination = broker.stop().await;
    assert_eq!(termination.reason, Reason::ReportingLost);
    assert!(termination.message.contains("for 1 s"), "{}", termination.message);
    assert_eq!(pod.termination(), Some(termination));
    // The kubelet ends the broker when the agent's container has ended, and what the agent did is kept.
    broker.terminate().await;
    assert!(gateway.held.borrow().checkpoint.is_some());
}

#[tokio::test]
async fn a_broker_that_takes_the_place_of_another_does_not_begin_to_count_anew() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod { patience: Duration::from_secs(30), ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    gateway.until(|held| held.beats > 0).await;
    while !pod.path("journal/heard").exists() {
        tokio::task::yield_now().await;
    }
    broker.kill().await;
    let heard: u64 = pod.read("journal/heard").unwrap().parse().unwrap();
    pod.write("journal/heard", heard.saturating_sub(29_000).to_string());
    gateway.change(|held| held.heartbeat = None);
    let since = Instant::now();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.stop().await.reason, Reason::ReportingLost);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test]
async fn work_so_far_is_kept_when_the_pod_ends_in_the_middle_of_a_turn() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod { artifacts: vec!["made".to_owned()], ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    pod.write("workspace/made", "half");
    broker.terminate().await;
    {
        let held = gateway.held.borrow();
        assert_eq!(held.done, ["GET conversation", "PUT checkpoint", "PUT artifacts/made", "POST report"]);
        assert!(held.reports[0].last && held.reports[0].turns.is_empty());
    }
    let earlier = gateway.held.borrow().checkpoint.clone();
    let gateway = Gateway::with(&["prompt"], false).await;
    gateway.change(|held| held.earlier = earlier);
    let pod = pod.next_attempt();
    let turn = pod.broker(&gateway).await.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.interrupted), ("prompt", true));
    assert_eq!(pod.read("workspace/made").as_deref(), Some("half"));
}

#[tokio::test]
async fn a_turn_whose_end_is_being_seen_to_is_kept_and_reported() {
    for step in [Step::InCheckpoint, Step::Before("POST report"), Step::After("GET conversation")] {
        let gateway = Gateway::with(&["prompt", "a"], false).await;
        let pod = Pod::new();
        let broker = pod.broker(&gateway).await;
        assert_eq!(broker.next_id().await, "prompt");
        gateway.change(|held| held.stop_at = Some(step));
        broker.begin_end("prompt");
        gateway.until(|held| held.stopped > 0).await;
        let ending = tokio::spawn(broker.terminate());
        gateway.change(|held| held.stop_at = None);
        ending.await.unwrap();
        let held = gateway.held.borrow();
        assert!(held.checkpoint.is_some(), "{step:?}");
        let last = held.reports.last().unwrap();
        assert_eq!((last.last, last.turns.len()), (true, 1), "{step:?}");
    }
}

#[tokio::test]
async fn a_pod_that_ends_while_its_agent_waits_keeps_what_it_has() {
    let gateway = Gateway::with(&["prompt"], true).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    broker.terminate().await;
    let held = gateway.held.borrow();
    let kept = held.done.iter().filter(|request| *request == "PUT checkpoint").count();
    assert_eq!((kept, held.reports.len()), (1, 2), "nothing happened since the turn's end");
    assert!(held.reports[1].last && held.reports[1].waiting.is_some(), "it was cut short in no turn");
}

#[tokio::test]
async fn a_broker_whose_agent_has_nothing_yet_goes_at_once() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod::new();
    pod.broker(&gateway).await.terminate().await;
    assert!(gateway.held.borrow().reports.is_empty());
}
