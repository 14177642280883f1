//! Which messages the agent gets, in which order, and what is reported.

use drover_api::{
    report::{MAX_QUESTION, MAX_RESULT, Report, Usage},
    runner::TurnEnd,
};
use reqwest::StatusCode;

use crate::{gateway::Gateway, pod::Pod};

fn turns(report: &Report) -> Vec<&str> {
    report.turns.iter().map(|turn| turn.message.as_str()).collect()
}

#[tokio::test]
async fn one_turn_costs_one_report_and_no_checkpoint() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.text.as_str(), turn.interrupted, turn.resume_id), ("do prompt", false, None));
    let usage = Some(Usage { input_tokens: 3, ..Usage::default() });
    let end = TurnEnd { result: "é".repeat(1000), usage, ..TurnEnd::default() };
    assert_eq!(broker.end_with("prompt", &end).await, StatusCode::NO_CONTENT);
    assert!(broker.next().await.is_none());
    let report = broker.finish().await;
    assert!(report.last && report.waiting.is_none());
    assert_eq!((turns(&report), report.turns[0].usage), (vec!["prompt"], usage));
    assert_eq!((report.turns[0].attempt, report.turns[0].result.as_str()), (1, "é".repeat(MAX_RESULT / 2).as_str()));
    assert_eq!(gateway.held.borrow().done, ["GET conversation", "GET conversation", "POST report"]);
    broker.terminate().await;
    assert_eq!(gateway.held.borrow().reports, [report]);
}

#[tokio::test]
async fn a_burst_is_dealt_with_in_its_order() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    gateway.say(&["prompt", "a", "c", "b"]);
    for id in ["prompt", "a", "c"] {
        broker.end(id).await;
        assert_ne!(broker.next_id().await, id);
    }
    broker.end("b").await;
    assert!(broker.next().await.is_none());
    broker.finish().await;
    let held = gateway.held.borrow();
    let reported: Vec<_> = held.reports.iter().map(turns).collect();
    let all = ["prompt", "a", "c", "b"];
    assert_eq!(reported, [&all[..1], &all[..2], &all[..3], &all[..]]);
    let kept = held.done.iter().filter(|request| *request == "PUT checkpoint").count();
    assert_eq!(kept, 3, "one where another turn follows");
}

#[tokio::test]
async fn a_message_is_never_given_twice() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.end_with("prompt", &TurnEnd::default()).await, StatusCode::CONFLICT, "it was not given");
    for _ in 0..3 {
        assert_eq!(broker.next_id().await, "prompt");
    }
    assert_eq!(broker.end_with("a", &TurnEnd::default()).await, StatusCode::CONFLICT, "it was not given");
    // Taken away, and added again in another place.
    gateway.say(&["prompt"]);
    gateway.say(&["a", "prompt", "a", "b"]);
    for _ in 0..2 {
        broker.end("prompt").await;
    }
    assert_eq!(broker.next_id().await, "a");
    broker.end("a").await;
    assert_eq!(broker.next_id().await, "b");
    broker.end("prompt").await;
    broker.end("b").await;
    assert!(broker.next().await.is_none());
    assert_eq!(turns(&broker.finish().await), ["prompt", "a", "b"]);
}

#[tokio::test]
async fn what_was_taken_away_in_time_is_not_given() {
    let gateway = Gateway::with(&["prompt", "a", "b"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    gateway.say(&["prompt", "b"]);
    assert_eq!(broker.next_id().await, "b");
}

#[tokio::test]
async fn an_interactive_conversation_waits_and_says_so() {
    let gateway = Gateway::with(&["prompt"], true).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    let end = TurnEnd {
        question: Some("\"which?\"".repeat(1000)),
        resume_id: Some("conversation-7".to_owned()),
        ..TurnEnd::default()
    };
    assert_eq!(broker.end_with("prompt", &end).await, StatusCode::NO_CONTENT);
    {
        let held = gateway.held.borrow();
        let [report] = &held.reports[..] else { panic!("{:?}", held.reports) };
        let waiting = report.waiting.as_ref().unwrap();
        assert_eq!(waiting.since, report.turns[0].finished_at);
        let question = serde_json::to_string(waiting.question.as_ref().unwrap()).unwrap();
        // With the quotation marks.
        assert!((MAX_QUESTION - 10..=MAX_QUESTION + 2).contains(&question.len()), "{}", question.len());
        assert_eq!(held.done.iter().filter(|request| *request == "PUT checkpoint").count(), 1);
    }
    let asked = broker.ask_next();
    gateway.until(|held| held.done.len() >= 5).await;
    assert!(!asked.is_finished());
    gateway.say(&["prompt", "answer"]);
    assert_eq!(asked.await.unwrap().status(), StatusCode::OK);
    // Running again before the agent has the message.
    assert!(gateway.held.borrow().reports[1].waiting.is_none());
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.resume_id.as_deref()), ("answer", Some("conversation-7")));
    broker.end("answer").await;
    let held = gateway.held.borrow();
    assert_eq!(held.reports.len(), 3);
    assert_eq!(held.reports[2].waiting.as_ref().unwrap().question, None, "it was answered");
}

#[tokio::test]
async fn an_outage_of_the_gateway_is_waited_for() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    gateway.change(|held| held.away = 2);
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    // The conversation, the checkpoint and the report.
    for away in [1, 2, 3] {
        gateway.change(|held| held.away = away);
        broker.end("prompt").await;
    }
    assert_eq!(broker.next_id().await, "a");
    gateway.change(|held| held.away = 3);
    broker.end("a").await;
    assert_eq!(turns(&broker.finish().await), ["prompt", "a"]);
}

#[tokio::test]
async fn reports_that_are_there_already_are_gone_beyond() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    gateway.change(|held| held.reports = (1..=5).map(|sequence| Report { sequence, ..Report::default() }).collect());
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    let held = gateway.held.borrow();
    assert_eq!((held.reports.len(), turns(&held.reports[5])), (6, vec!["prompt"]));
}
