use clap::Parser;
use drover_api::{
    Session,
    session::{SessionMessage, consumed_entry},
};
use serde_json::{Value, json};

use super::{Answer, MAX_MESSAGES, MessageArgs, adding, answer};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    message: MessageArgs,
}

fn args(flags: &[&str]) -> MessageArgs {
    Line::parse_from(["message", "x", "text"].iter().chain(flags)).message
}

fn session(messages: &[(&str, &str)], interactive: bool, status: Value) -> Session {
    let messages: Vec<Value> = messages.iter().map(|(id, text)| json!({ "id": id, "text": text })).collect();
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session", "metadata": { "name": "x" },
        "spec": { "prompt": "x", "messages": messages, "interactive": interactive }, "status": status,
    }))
    .unwrap()
}

fn message(id: &str) -> SessionMessage {
    SessionMessage { id: id.to_owned(), text: "Yes".to_owned(), by: Some("jane".to_owned()) }
}

fn planned(session: &Session, flags: &[&str]) -> Result<Vec<Value>, String> {
    adding(session, &message("yes"), &args(flags)).map_err(|error| error.to_string())
}

#[test]
fn only_the_one_item_is_written() {
    let item = json!({ "id": "yes", "text": "Yes", "by": "jane" });
    let running = json!({ "phase": "Running" });
    let first = planned(&session(&[], false, running.clone()), &[]).unwrap();
    assert_eq!(first, [json!({ "op": "add", "path": "/spec/messages", "value": [item] })]);
    let second = planned(&session(&[("a", "A")], true, running.clone()), &[]).unwrap();
    assert_eq!(second, [json!({ "op": "add", "path": "/spec/messages/-", "value": item })]);
    let last = planned(&session(&[("a", "A")], true, running.clone()), &["--last"]).unwrap();
    assert_eq!(last[1..], [json!({ "op": "replace", "path": "/spec/interactive", "value": false })]);
    assert_eq!(planned(&session(&[], false, running), &["--last"]).unwrap().len(), 1, "it ends anyway");
}

#[test]
fn an_id_is_taken_once() {
    let running = json!({ "phase": "Running" });
    assert_eq!(planned(&session(&[("yes", "Yes")], false, running.clone()), &[]).unwrap(), [Value::Null; 0]);
    let other = planned(&session(&[("yes", "No")], false, running), &[]).unwrap_err();
    assert_eq!(other, "Session x has another message with the id yes: choose another --id");
    let gone = json!({ "phase": "Running", "consumed": [consumed_entry("yes")] });
    let gone = planned(&session(&[], false, gone), &[]).unwrap_err();
    assert!(gone.starts_with("Session x has dealt with a message with the id yes"), "{gone}");
}

#[test]
fn a_session_that_ended_takes_none() {
    let ended = planned(&session(&[], true, json!({ "phase": "Failed" })), &[]).unwrap_err();
    let expected = "Session x has ended (Failed) and takes no more messages: start another one with kubectl drover run";
    assert_eq!(ended, expected);
    let mut cancelled = session(&[], true, json!({ "phase": "Running" }));
    cancelled.spec.cancel = Some(drover_api::session::Cancel::default());
    assert_eq!(planned(&cancelled, &[]).unwrap_err(), "Session x is being cancelled and takes no more messages");
}

#[test]
fn pruning_makes_room() {
    let ids: Vec<String> = (0..MAX_MESSAGES).map(|number| format!("m{number}")).collect();
    let messages: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "text")).collect();
    let done = json!({ "phase": "Running", "consumed": [consumed_entry("m0"), consumed_entry("m2")] });
    let full = session(&messages, true, done);
    assert!(planned(&full, &[]).unwrap_err().ends_with("with --prune"));
    let paths: Vec<Value> = planned(&full, &["--prune"]).unwrap().iter().map(|op| op["path"].clone()).collect();
    assert_eq!(paths, ["/spec/messages/2", "/spec/messages/0", "/spec/messages/-"]);
    let undone = session(&messages, true, json!({ "phase": "Running" }));
    assert!(planned(&undone, &["--prune"]).is_err(), "nothing was dealt with");
}

#[test]
fn an_answer_is_the_turn_of_the_message() {
    let turn = json!({ "message": "yes", "attempt": 1, "startedAt": "2026-03-01T12:00:00Z",
                       "finishedAt": "2026-03-01T12:00:09Z", "result": "Done." });
    let asked = |by: &str| json!({ "text": "More?", "message": by, "askedAt": "2026-03-01T12:00:09Z" });
    let told = |status: Value| match answer(&session(&[], true, status), "yes") {
        Some(Answer::Turn(turn, question)) => format!("{} {:?}", turn.result, question.map(|question| question.text)),
        Some(Answer::Past) => "past".to_owned(),
        Some(Answer::Ended(_)) => "ended".to_owned(),
        None => "nothing".to_owned(),
    };
    let waiting = |by: &str| json!({ "phase": "Waiting", "turns": [turn], "question": asked(by) });
    assert_eq!(told(waiting("yes")), "Done. Some(\"More?\")");
    assert_eq!(told(waiting("prompt")), "Done. None", "another turn's question");
    assert_eq!(told(json!({ "phase": "Running" })), "nothing");
    assert_eq!(told(json!({ "phase": "Waiting", "consumed": [consumed_entry("yes")] })), "past");
    assert_eq!(told(json!({ "phase": "Failed" })), "ended");
    assert_eq!(told(json!({ "phase": "Succeeded", "turns": [turn] })), "Done. None");
}
