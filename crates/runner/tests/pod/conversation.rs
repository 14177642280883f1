//! Whole conversations: broker and `exec` together, with a gateway of the test's own.

use std::{fs, time::Duration};

use drover_api::{report::Report, state::Reason};
use tokio::time::Instant;

use crate::{
    gateway::{Gateway, Held},
    harness::Pod,
    turns::scripted,
};

/// The ids of a report's turns.
fn turns(report: &Report) -> Vec<&str> {
    report.turns.iter().map(|turn| turn.message.as_str()).collect()
}

/// The agent waits, and the gateway knows it.
fn waits(held: &Held) -> bool {
    held.reports.last().is_some_and(|report| report.waiting.is_some())
}

async fn interactive(prompt: &str) -> Gateway {
    let gateway = Gateway::up(prompt).await;
    gateway.change(|held| held.set_interactive(true));
    gateway
}

#[tokio::test]
async fn one_turn_costs_one_report_and_no_checkpoint() {
    let gateway = Gateway::up("say all done").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.framework(&scripted()).code().await, 0);
    let held = gateway.held.borrow();
    assert_eq!((held.reports.len(), held.checkpoints), (1, 0));
    let report = &held.reports[0];
    assert_eq!((turns(report), report.last, &report.waiting), (vec!["prompt"], true, &None));
    let turn = &report.turns[0];
    assert_eq!((turn.result.as_str(), turn.attempt), ("all done", 1));
    assert_eq!(turn.usage.unwrap().output_tokens, 1);
    assert_eq!(held.system(), ["turn prompt started", "turn prompt ended"]);
}

#[tokio::test]
async fn messages_that_are_there_are_dealt_with_in_order() {
    let gateway = Gateway::up("first").await;
    gateway.change(|held| {
        held.tell("b", "second");
        held.tell("a", "recall");
    });
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.framework(&scripted()).code().await, 0);
    let held = gateway.held.borrow();
    assert_eq!(held.checkpoints, 2, "one at the end of each turn but the last");
    let report = held.reports.last().unwrap();
    assert_eq!(turns(report), ["prompt", "b", "a"]);
    assert_eq!(report.turns[2].result, "2 turns before: first, second");
    assert!(held.reports.iter().all(|report| report.waiting.is_none()));
    let expected = ["prompt", "b", "a"].map(|id| [format!("turn {id} started"), format!("turn {id} ended")]);
    assert_eq!(held.system(), expected.concat());
}

#[tokio::test]
async fn a_question_is_answered() {
    let gateway = interactive("ask Which color?").await;
    let pod = Pod::new(&["*.txt"]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.framework(&scripted());
    let held = gateway.until(waits).await;
    let report = held.reports.last().unwrap();
    assert_eq!(report.waiting.as_ref().unwrap().question.as_deref(), Some("Which color?"));
    assert_eq!((turns(report), report.last), (vec!["prompt"], false));
    let reports = held.reports.len();
    drop(held);

    gateway.change(|held| held.tell("answer", "write color.txt blue\nsleep 0.2\nrecall"));
    drop(gateway.until(|held| held.reports.len() > reports).await);
    drop(gateway.until(|held| waits(held) && turns(held.reports.last().unwrap()).len() == 2).await);
    let held = gateway.held.borrow();
    assert!(held.reports[reports].waiting.is_none(), "the waiting ended when the message came");
    assert_eq!(held.reports.last().unwrap().waiting.as_ref().unwrap().question, None);
    drop(held);

    gateway.change(|held| held.set_interactive(false));
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    let report = held.reports.last().unwrap();
    assert!(report.last && report.artifacts[0].name == "color.txt");
    assert_eq!(report.turns[1].result, "1 turns before: ask Which color?");
}

#[tokio::test]
async fn a_message_that_is_taken_away_is_not_delivered() {
    let gateway = Gateway::up("echo one; while ! [ -e go ]; do sleep 0.05; done").await;
    gateway.change(|held| held.tell("gone", "echo gone"));
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.exec(60, &["sh", "{promptFile}"]);
    drop(gateway.until(|held| held.lines() == ["one"]).await);
    gateway.change(|held| {
        held.messages.pop();
        held.tell("last", "echo last");
    });
    fs::write(pod.workspace().join("go"), "").unwrap();
    assert_eq!(exec.code().await, 0);
    assert_eq!(gateway.held.borrow().lines(), ["one", "last"]);
}

#[tokio::test]
async fn a_conversation_survives_its_pod() {
    let gateway = interactive("write notes.txt kept").await;
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.framework(&scripted());
    drop(gateway.until(waits).await);
    let start = Instant::now();
    assert_eq!(exec.terminate().await, 143);
    assert_eq!(broker.terminate().await, 0);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(pod.termination().unwrap().reason, Reason::PodDeleted);

    // The gateway still names what was dealt with; the state knows better.
    gateway.change(|held| {
        held.next_attempt();
        held.tell("next", "read notes.txt\nrecall\nenv DROVER_INTERRUPTED");
    });
    let pod = pod.next();
    let _broker = pod.broker(&gateway);
    let mut exec = pod.framework(&scripted());
    drop(gateway.until(waits).await);
    gateway.change(|held| held.set_interactive(false));
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    let said = ["kept", "1 turns before: write notes.txt kept", "not set"];
    let lines = held.lines();
    assert!(said.iter().all(|said| lines.iter().any(|line| line == said)), "{lines:?}");
    let report = held.reports.last().unwrap();
    assert_eq!(turns(report), ["prompt", "next"]);
    assert_eq!(report.turns.iter().map(|turn| turn.attempt).collect::<Vec<_>>(), [1, 2]);
    assert!(held.events.iter().all(|event| event.id.attempt == 2));
}

#[tokio::test]
async fn a_turn_that_the_end_of_its_pod_cut_short_is_given_again_and_told() {
    let gateway = Gateway::up("write notes.txt kept").await;
    gateway.change(|held| held.tell("long", "write half.txt done\nsay begun\nenv DROVER_INTERRUPTED\nsleep 1000"));
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.framework(&scripted());
    drop(gateway.until(|held| held.says("begun")).await);
    assert_ne!(exec.terminate().await, 0);
    assert_eq!(broker.terminate().await, 0);
    {
        let held = gateway.held.borrow();
        assert!(held.says("turn long was cut short: "));
        assert_eq!((held.checkpoints, turns(held.reports.last().unwrap())), (2, vec!["prompt"]));
    }

    gateway.change(|held| {
        held.next_attempt();
        held.messages[1].text = "env DROVER_INTERRUPTED\nread notes.txt\nread half.txt\nrecall".to_owned();
    });
    let pod = pod.next();
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.framework(&scripted()).code().await, 0);
    let held = gateway.held.borrow();
    let said: Vec<String> = held.lines().into_iter().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(said, ["I was interrupted", "true", "kept", "done", "1 turns before: write notes.txt kept"]);
    assert!(held.system().contains(&"turn long started again, because it was interrupted"));
}

#[tokio::test]
async fn a_broker_that_is_killed_again_and_again_loses_no_turn() {
    let gateway = interactive("say one").await;
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.framework(&scripted());
    for (number, id) in ["m-1", "m-2", "m-3"].into_iter().enumerate() {
        drop(gateway.until(|held| waits(held) && turns(held.reports.last().unwrap()).len() == number + 1).await);
        broker.kill().await;
        gateway.change(|held| held.tell(id, &format!("say begun {id}\nsleep 0.3\nrecall")));
        broker = pod.broker(&gateway);
        // In the middle of the turn as well.
        drop(gateway.until(|held| held.says(&format!("begun {id}"))).await);
        broker.kill().await;
        broker = pod.broker(&gateway);
    }
    drop(gateway.until(|held| waits(held) && turns(held.reports.last().unwrap()).len() == 4).await);
    gateway.change(|held| held.set_interactive(false));
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    let report = held.reports.last().unwrap();
    assert_eq!(turns(report), ["prompt", "m-1", "m-2", "m-3"]);
    assert_eq!(report.turns[3].result, "3 turns before: say one, say begun m-1, say begun m-2");
    assert_eq!(held.system().iter().filter(|line| line.ends_with(" started")).count(), 4, "none was given twice");
}

#[tokio::test]
async fn an_agent_whose_gateway_is_lost_is_ended() {
    let gateway = Gateway::up("echo ready; exec sleep 1000").await;
    let mut pod = Pod::new(&[]);
    pod.patience = 4;
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    assert_eq!(exec.code().await, 143);
    for termination in [pod.termination(), pod.broker_termination()] {
        assert_eq!(termination.unwrap().reason, Reason::ReportingLost);
    }
    assert_eq!(broker.terminate().await, 0);
    let held = gateway.held.borrow();
    assert_eq!((held.lines(), held.checkpoints), (vec!["ready".to_owned()], 1));
}

#[tokio::test]
async fn a_pod_that_is_being_deleted_gives_its_agent_no_work() {
    let gateway = Gateway::up("echo ready").await;
    gateway.change(|held| held.stop = true);
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    drop(gateway.until(|held| held.heartbeats == 1).await);
    while pod.broker_termination().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(pod.exec(600, &["sh", "{promptFile}"]).code().await, 143);
    assert_eq!(pod.termination().unwrap().reason, Reason::PodDeleted);
    assert!(gateway.held.borrow().lines().is_empty());
}

#[tokio::test]
async fn the_time_of_the_waiting_ends_the_attempt_with_all_that_was_done() {
    let gateway = interactive("echo one > made.txt").await;
    let pod = Pod::new(&["*.txt"]);
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.exec(4, &["sh", "{promptFile}"]).code().await, 124);
    assert_eq!(pod.termination().unwrap().reason, Reason::DeadlineExceeded);
    let held = gateway.held.borrow();
    let report = held.reports.last().unwrap();
    assert_eq!((turns(report), report.last, report.artifacts.len()), (vec!["prompt"], true, 1));
}
