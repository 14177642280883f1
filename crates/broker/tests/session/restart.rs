//! A broker that is killed at each step of a turn's end, and one that takes its place.

use drover_api::report::Report;
use drover_broker::KeptBy;

use crate::{
    gateway::{Gateway, Step},
    pod::Pod,
};

/// Kills the broker at a step of the first turn's end. What must hold whatever the step.
async fn killed_at(step: Step, kept_by: KeptBy) {
    let gateway = Gateway::with(&["prompt", "a", "b"], false).await;
    let pod = Pod { kept_by, ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    gateway.change(|held| held.stop_at = Some(step));
    broker.begin_end("prompt");
    gateway.until(|held| held.stopped > 0).await;
    broker.kill().await;
    gateway.change(|held| held.stop_at = None);

    let broker = pod.broker(&gateway).await;
    // What exec had no answer to it asks again.
    broker.end("prompt").await;
    for id in ["a", "b"] {
        let turn = broker.next().await.unwrap();
        assert_eq!((turn.message.id.as_str(), turn.interrupted), (id, false), "{step:?}");
        broker.end(id).await;
    }
    assert!(broker.next().await.is_none());
    broker.finish().await;
    let held = gateway.held.borrow();
    let last = held.reports.last().unwrap();
    let turns: Vec<&str> = last.turns.iter().map(|turn| turn.message.as_str()).collect();
    assert_eq!(turns, ["prompt", "a", "b"], "{step:?}");
    assert!(held.checkpoint.is_some() || kept_by == KeptBy::Claim);
}

#[tokio::test]
async fn a_turn_survives_its_broker_at_every_step() {
    for step in [
        Step::Before("GET conversation"),
        Step::After("GET conversation"),
        Step::Before("PUT checkpoint"),
        Step::InCheckpoint,
        Step::After("PUT checkpoint"),
        Step::Before("POST report"),
        Step::After("POST report"),
    ] {
        killed_at(step, Pod::new().kept_by).await;
        if !matches!(step, Step::Before("PUT checkpoint") | Step::After("PUT checkpoint") | Step::InCheckpoint) {
            killed_at(step, KeptBy::Claim).await;
        }
    }
}

#[tokio::test]
async fn a_turn_that_was_not_ended_goes_on_with_the_same_message() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.kill().await;
    // Not even a message before it comes between.
    gateway.say(&["early", "prompt", "a"]);
    let broker = pod.broker(&gateway).await;
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.interrupted), ("prompt", false), "the same attempt");
    broker.end("prompt").await;
    assert_eq!(broker.next_id().await, "early");
}

#[tokio::test]
async fn a_wait_survives_its_broker() {
    let gateway = Gateway::with(&["prompt"], true).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    let since = gateway.held.borrow().reports[0].waiting.clone();
    let waits = broker.ask_next();
    gateway.until(|held| held.done.len() >= 5).await;
    broker.kill().await;
    waits.abort();
    gateway.say(&["prompt", "a"]);
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "a");
    let held = gateway.held.borrow();
    let waiting: Vec<_> = held.reports.iter().map(|report| report.waiting.clone()).collect();
    assert_eq!(waiting, [since, None], "the end of the wait is told");
}

#[tokio::test]
async fn the_end_of_a_wait_is_told_though_the_broker_was_killed_before_it_could() {
    for step in [Step::Before("POST report"), Step::After("POST report")] {
        let gateway = Gateway::with(&["prompt"], true).await;
        let pod = Pod::new();
        let broker = pod.broker(&gateway).await;
        assert_eq!(broker.next_id().await, "prompt");
        broker.end("prompt").await;
        let waits = broker.ask_next();
        gateway.change(|held| held.stop_at = Some(step));
        gateway.say(&["prompt", "a"]);
        gateway.until(|held| held.stopped > 0).await;
        waits.abort();
        broker.kill().await;
        gateway.change(|held| held.stop_at = None);
        let broker = pod.broker(&gateway).await;
        assert_eq!(broker.next_id().await, "a", "{step:?}");
        let held = gateway.held.borrow();
        assert_eq!(held.reports.last().unwrap().waiting, None, "{step:?}: nobody takes the agent for idle");
    }
}

#[tokio::test]
async fn a_report_is_not_taken_for_one_that_a_broker_before_sent() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    gateway.change(|held| {
        // Of which this broker knows nothing, and more than could be tried one by one.
        held.reports.extend((1..=40).map(|sequence| Report { sequence, ..Report::default() }));
        // As if it was written before the gateway failed.
        held.away = 1;
    });
    let report = broker.finish().await;
    assert_eq!((report.sequence, report.last), (41, true));
    assert_eq!(gateway.held.borrow().reports.last(), Some(&report));
}
