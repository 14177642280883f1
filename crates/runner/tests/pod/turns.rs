//! Turns of `exec`, with a broker of the test's own.

use std::{fs, os::unix::fs::PermissionsExt};

use axum::http::StatusCode;
use drover_api::{
    framework::{Invocation, JsonLines, OutputFormat, UsagePointers},
    log::Kind,
    report::Usage,
    runner::NextTurn,
    state::Reason,
};

use crate::{
    broker::{Broker, turn},
    harness::{Pod, RUNNER, plain, unshare},
};

/// A user's own framework: the scripted agent of the repository's tests.
pub fn scripted() -> Invocation {
    const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/agents/json-lines.sh");
    let pointer = |text: &str| Some(text.to_owned());
    let usage = UsagePointers {
        input_tokens: pointer("/usage/input_tokens"),
        output_tokens: pointer("/usage/output_tokens"),
        cache_read_tokens: pointer("/usage/cache_read_tokens"),
        cache_write_tokens: pointer("/usage/cache_write_tokens"),
    };
    let output = OutputFormat::JsonLines(JsonLines {
        text: pointer("/text"),
        question: pointer("/question"),
        resume_id: pointer("/session_id"),
        usage: Some(usage),
    });
    Invocation {
        resume_command: ["sh", AGENT, "{promptFile}", "{resumeId}"].map(str::to_owned).into(),
        interrupted_notice: "say I was interrupted".to_owned(),
        output,
        ..plain(&["sh", AGENT, "{promptFile}"])
    }
}

#[tokio::test]
async fn message_after_message_until_there_are_no_more() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "echo one; echo 1 > n"), turn("next", "cat n; echo two")]);
    assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, 0);
    let held = broker.held.borrow();
    let ended: Vec<_> = held.ended.iter().map(|(id, end)| (id.as_str(), end.result.as_str())).collect();
    assert_eq!(ended, [("prompt", "one"), ("next", "1\ntwo")]);
    assert_eq!(held.lines(Kind::Agent), ["one", "1", "two"]);
    let turns = ["turn prompt started", "turn prompt ended", "turn next started", "turn next ended"];
    assert_eq!(held.lines(Kind::System), turns);
    assert_eq!((held.finished, pod.termination()), (1, None));
    // The lines of a turn stand between its start and its end.
    let texts: Vec<&str> = held.output.iter().map(|output| output.text.as_str()).collect();
    let place = |text| texts.iter().position(|other| *other == text).unwrap();
    assert!(place("one") < place("turn prompt ended") && place("turn next started") < place("two"));
}

#[tokio::test]
async fn the_result_is_the_end_of_standard_output() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "seq 100000; echo aside >&2; echo; echo done; echo")]);
    assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, 0);
    let held = broker.held.borrow();
    let result = &held.only_end().result;
    assert!(result.ends_with("\n99999\n100000\n\ndone") && result.len() <= 4096, "{result}");
    assert!(result.lines().next().unwrap().len() == 5, "it begins with a whole line: {result}");
    assert_eq!(held.lines(Kind::Agent).len(), 100_004);
}

#[tokio::test]
async fn no_message_is_a_good_end() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, []);
    assert_eq!(pod.exec(60, &["no-such-agent"]).code().await, 0);
    let held = broker.held.borrow();
    assert_eq!((held.finished, held.output.len(), pod.termination()), (1, 0, None));
}

#[tokio::test]
async fn a_turn_that_failed_is_the_last() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "echo said; exit 7"), turn("next", "echo never")]);
    assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, 7);
    let held = broker.held.borrow();
    assert_eq!((held.ended.len(), held.finished, pod.termination()), (0, 1, None));
    assert_eq!(held.lines(Kind::Agent), ["said"]);
    let turns = ["turn prompt started", "turn prompt failed: the agent ended with exit code 7"];
    assert_eq!(held.lines(Kind::System), turns);
}

#[tokio::test]
async fn a_command_that_goes_away_ends_the_attempt() {
    let pod = Pod::new(&[]);
    let agent = pod.workspace().join("agent");
    fs::write(&agent, "#!/bin/sh\nrm agent\n").unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let broker = Broker::up(&pod, [turn("prompt", ""), turn("next", ""), turn("last", "")]);
    assert_eq!(pod.exec(60, &["./agent"]).code().await, 127);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::CommandNotFound);
    let held = broker.held.borrow();
    assert_eq!((held.ended.len(), held.finished), (1, 1));
    assert_eq!(held.lines(Kind::Error), ["the command ./agent does not exist in the image"]);
}

#[tokio::test]
async fn a_message_that_no_command_line_can_hold_is_told() {
    let pod = Pod::new(&[]);
    let _broker = Broker::up(&pod, [turn("prompt", "a\0b")]);
    assert_eq!(pod.exec(60, &["echo", "{prompt}"]).code().await, 126);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::CommandNotFound);
    assert!(termination.message.contains("a NUL character") && termination.message.contains("{promptFile}"));
    // In a file it can stand.
    let broker = Broker::up(&pod, [turn("prompt", "a\0b")]);
    assert_eq!(pod.exec(60, &["cat", "{promptFile}"]).code().await, 0);
    assert_eq!(broker.held.borrow().lines(Kind::Agent), ["a\0b"]);
}

#[tokio::test]
async fn a_user_s_own_framework_converses() {
    let pod = Pod::new(&[]);
    let messages = [
        turn("prompt", "say Hello \"you\" \\ there\nwrite notes.txt some text\nask Which color?"),
        turn("answer", "blue\nread notes.txt\nplain not JSON"),
        turn("last", "recall"),
    ];
    let broker = Broker::up(&pod, messages);
    assert_eq!(pod.framework(&scripted()).code().await, 0);
    let held = broker.held.borrow();
    let usage = |input_tokens, output_tokens| Some(Usage { input_tokens, output_tokens, ..Usage::default() });
    let [(_, first), (_, second), (_, third)] = held.ended.as_slice() else { panic!("three turns") };
    assert_eq!(first.result, "Hello \"you\" \\ there");
    assert_eq!((first.question.as_deref(), first.resume_id.as_deref()), (Some("Which color?"), Some("c-1")));
    assert_eq!((first.usage, second.usage, third.usage), (usage(1, 1), usage(2, 2), usage(3, 1)));
    assert_eq!((second.result.as_str(), second.question.as_deref()), ("some text", None));
    assert_eq!(third.result, "2 turns before: say Hello \"you\" \\ there, blue");
    assert_eq!(third.resume_id.as_deref(), Some("c-1"));

    let said = ["Hello \"you\" \\ there", "Which color?", "noted", "some text", "not JSON", &third.result];
    assert_eq!(held.lines(Kind::Agent), said);
    let tools = held.lines(Kind::Tool);
    assert_eq!(tools[1], r#"{"type":"tool","name":"write","file":"notes.txt"}"#);
    assert_eq!(tools.iter().filter(|line| line.contains(r#""type":"session""#)).count(), 3);
}

#[tokio::test]
async fn a_conversation_goes_on_in_another_attempt_with_a_notice() {
    let pod = Pod::new(&[]);
    fs::create_dir(pod.path("home/conversations")).unwrap();
    fs::write(pod.path("home/conversations/c-1"), "before\n").unwrap();
    let again = NextTurn {
        interrupted: true,
        resume_id: Some("c-1".to_owned()),
        ..turn("next", "recall\nenv DROVER_INTERRUPTED\nenv DROVER_SECRET")
    };
    let broker = Broker::up(&pod, [again, turn("last", "env DROVER_INTERRUPTED")]);
    assert_eq!(pod.framework(&scripted()).code().await, 0);
    let held = broker.held.borrow();
    assert_eq!(held.lines(Kind::Agent), ["I was interrupted", "1 turns before: before", "true", "not set", "not set"]);
    assert_eq!(held.lines(Kind::System)[0], "turn next started again, because it was interrupted");
}

#[tokio::test]
async fn a_resume_id_is_not_forgotten_by_a_turn_that_says_none() {
    let pod = Pod::new(&[]);
    let resumed = NextTurn { resume_id: Some("c-7".to_owned()), ..turn("next", "hi") };
    let broker = Broker::up(&pod, [resumed]);
    // Without a command for it, the one for all is run.
    assert_eq!(pod.exec(60, &["echo", "{prompt}", "{resumeId}"]).code().await, 0);
    let held = broker.held.borrow();
    assert_eq!(held.lines(Kind::Agent), ["hi c-7"]);
    assert_eq!(held.only_end().resume_id.as_deref(), Some("c-7"));
}

#[tokio::test]
async fn without_a_notice_an_interrupted_message_is_given_as_it_is() {
    let pod = Pod::new(&[]);
    let again = NextTurn { interrupted: true, ..turn("prompt", "echo $DROVER_INTERRUPTED") };
    let broker = Broker::up(&pod, [again]);
    assert_eq!(pod.exec(60, &["sh", "-c", "cat {promptFile}; echo; . {promptFile}"]).code().await, 0);
    assert_eq!(broker.held.borrow().lines(Kind::Agent), ["echo $DROVER_INTERRUPTED", "true"]);
}

#[tokio::test]
async fn what_a_turn_left_running_does_not_reach_the_next() {
    let pod = Pod::new(&[]);
    let leave = "(while :; do echo left; sleep 0.05; done) & echo $! > pid";
    let look = "kill -0 $(cat pid) 2> /dev/null && echo alive || echo dead";
    let broker = Broker::up(&pod, [turn("prompt", leave), turn("next", look)]);
    // As first process, so that what is dead is gone.
    let mut command = unshare();
    command.arg(RUNNER);
    assert_eq!(pod.exec_by(command, 60, &plain(&["sh", "{promptFile}"])).code().await, 0);
    assert_eq!(broker.held.borrow().ended[1].1.result, "dead");
}

#[tokio::test]
async fn answers_that_are_lost_and_a_broker_that_is_restarted_change_nothing() {
    let pod = Pod::new(&[]);
    let wait = "echo one; touch ready; while ! [ -e go ]; do sleep 0.05; done; echo two";
    let mut broker = Broker::up(&pod, [turn("prompt", wait), turn("next", "echo three")]);
    broker.change(|held| held.lose_answers = 3);
    let mut exec = pod.exec(60, &["sh", "{promptFile}"]);
    drop(broker.until(|held| held.lines(Kind::Agent) == ["one"] && held.lose_answers == 0).await);
    broker.go();
    broker.start(&pod);
    broker.change(|held| held.lose_answers = 4);
    fs::write(pod.workspace().join("go"), "").unwrap();
    assert_eq!(exec.code().await, 0);
    let held = broker.held.borrow();
    assert_eq!(held.lines(Kind::Agent), ["one", "two", "three"]);
    assert_eq!(held.ended.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["prompt", "next"]);
}

#[tokio::test]
async fn a_refusal_that_would_last_is_told() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "true")]);
    broker.change(|held| held.refuse = Some(StatusCode::NOT_FOUND));
    assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, 125);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::PodFailed);
    let message = "the broker beside the agent answered /v1/turns/next with 404 Not Found: no such thing";
    assert_eq!(termination.message, message);
}

#[tokio::test]
async fn what_cannot_be_a_framework_is_refused_at_the_start() {
    for framework in ["{", "{}", r#"{"command": []}"#, r#"{"command": ["sh"], "unknown": 1}"#] {
        let mut command = tokio::process::Command::new(RUNNER);
        command.args(["exec", "--timeout", "5", "--framework", framework]).stderr(std::process::Stdio::null());
        assert_eq!(command.status().await.unwrap().code(), Some(2), "{framework}");
    }
}
